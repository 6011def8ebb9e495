//! A client of the language server protocol, as far as the tests ask (https://microsoft.github.io/language-server-protocol):
//! JSON-RPC messages over stdin and stdout, each behind a header with its length.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

pub struct LanguageServer {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    asked: u64,
}

impl LanguageServer {
    /// Starts it with a folder as its workspace.
    pub fn start(program: &Path, folder: &Path) -> LanguageServer {
        let mut command = Command::new("node");
        command.arg(program).arg("--stdio").current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let (to, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, from) = channel();
        // ends when the server does, or when nobody listens any more
        std::thread::spawn(move || {
            let mut out = BufReader::new(out);
            while let Some(message) = message(&mut out) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut server = LanguageServer { child, to, from, asked: 0 };
        let root = format!("file://{}", folder.display());
        let wanted = json!({"processId": std::process::id(), "rootUri": root, "capabilities": {}});
        server.ask("initialize", &wanted, Duration::from_secs(60));
        server.notify("initialized", &json!({}));
        server
    }

    pub fn notify(&mut self, method: &str, parameters: &Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": parameters}));
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, method: &str, parameters: &Value, deadline: Duration) -> Value {
        self.asked += 1;
        let id = json!(self.asked);
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters}));
        let answer = self.next(method, deadline, |m| m["id"] == id && m["method"].is_null());
        assert!(answer["error"].is_null(), "{method}: {answer:#}");
        answer["result"].clone()
    }

    /// Waits for what the server says unasked.
    pub fn wait_for(&mut self, method: &str, deadline: Duration, is_it: impl Fn(&Value) -> bool) -> Value {
        self.next(method, deadline, |m| m["method"] == method && is_it(&m["params"]))["params"].clone()
    }

    /// Ends it as an editor does.
    pub fn close(mut self, deadline: Duration) {
        self.ask("shutdown", &Value::Null, deadline);
        self.notify("exit", &Value::Null);
        self.child.wait().unwrap();
    }

    fn next(&mut self, what: &str, deadline: Duration, is_it: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + deadline;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self.from.recv_timeout(left).unwrap_or_else(|e| panic!("waited in vain for {what}: {e}"));
            if is_it(&message) {
                return message;
            }
            // what the server asks the editor: we have no settings of our own
            if !message["id"].is_null() && message["method"].is_string() {
                self.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": null}));
            }
        }
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.to.flush().unwrap();
    }
}

impl Drop for LanguageServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One message; `None` at the end.
fn message(out: &mut BufReader<ChildStdout>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if out.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    out.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
