//! A worker that goes on until it is stopped, and what its HTTP API answers.
#![allow(dead_code, reason = "a part of each test, which uses what it needs")]

use crate::shop::{DEADLINE, Shop};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use unbatch_test_harness::{Process, Signal, free_port, wait_for};

pub struct Served {
    pub process: Process,
    port: u16,
}

impl Served {
    /// `unbatch run` in the shop, with these failpoints armed.
    pub fn start(shop: &Shop, failpoints: &str) -> Served {
        let port = free_port();
        let runtime = format!("deployment: {}\nhttp: {{listen: \"127.0.0.1:{port}\"}}\n", shop.deployment);
        fs::write(shop.home.path().join("unbatch.yaml"), runtime).unwrap();
        let mut launch = shop.launch(&["run"]);
        if !failpoints.is_empty() {
            launch = launch.env("UNBATCH_FAILPOINTS", failpoints);
        }
        Served { process: launch.start(), port }
    }

    /// Code and body; `None` while nothing answers.
    pub fn ask(&self, page: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).ok()?;
        write!(stream, "GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.get(9..12)?.parse().ok()?, body.to_owned()))
    }

    pub fn status(&self) -> Option<Value> {
        serde_json::from_str(&self.ask("/api/v1/status")?.1).ok()
    }

    /// Of the split of `prices`, once it is as it should be.
    #[track_caller]
    pub fn wait_for_split(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        wait_for(DEADLINE, what, || {
            let status = self.status()?;
            let all = status["pipelines"].as_array()?;
            let split = all.iter().find(|p| p["pipeline"] == "prices")?["splits"][0].clone();
            holds(&split).then_some(split)
        })
    }

    #[track_caller]
    pub fn wait_for_ready(&self) {
        wait_for(DEADLINE, "a worker that is ready", || (self.ask("/readyz")?.0 == 200).then_some(()));
    }

    /// What `unbatch status` shows.
    pub fn shown(&self, shop: &Shop) -> String {
        let http = format!("127.0.0.1:{}", self.port);
        let status = shop.launch(&["status", "--http", &http]).run(DEADLINE);
        assert!(status.status.success(), "{}{}", status.stdout, status.stderr);
        status.stdout
    }

    /// The sum of a metric over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.ask("/metrics").unwrap_or_default();
        let of = |line: &str| {
            let (label, value) = line.rsplit_once(' ')?;
            let is_meant = label.split('{').next() == Some(name);
            if is_meant { value.parse::<f64>().ok() } else { None }
        };
        text.lines().filter_map(of).sum()
    }

    /// SIGTERM; all that it wrote to stderr.
    pub fn end(mut self) -> String {
        self.process.signal(Signal::Terminate);
        let status = self.process.wait(DEADLINE);
        assert!(status.success(), "{status}\n{}", self.process.stderr());
        self.process.stderr()
    }
}
