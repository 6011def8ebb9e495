//! `top` in a real pseudo terminal and without one, and `status` beside it.

use crate::workshop::{Ended, Running, Workshop, wait_until};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

/// A running worker with twenty rows behind it, and where it answers.
fn worker(workshop: &Workshop) -> (Running, String) {
    workshop.write("unbatch.yaml", "http: {listen: \"127.0.0.1:0\"}\n");
    let rows: String = (0..20).map(|n| format!("r{n},{n}\n")).collect();
    workshop.drop_file("stock_a.csv", &format!("id,counted\n{rows}"));
    let mut run = workshop.start("run", &["run", "--dev"]);
    let said = run.wait_for("running     stock");
    let http = said.split_once("http://").and_then(|(_, rest)| rest.split_once("/api")).unwrap().0.to_owned();
    let written = || workshop.json(&["status", "--http", &http])["pipelines"][0]["splits"][0]["written_ever"].as_u64();
    wait_until("20 rows", || (written() == Some(20)).then_some(()));
    (run, http)
}

/// `top` on a terminal of 80 columns and 24 lines, and all that it wrote there.
struct Screen {
    child: Child,
    terminal: File,
    /// Kept open, so that the terminal outlives the child and its settings can be looked at.
    inside: OwnedFd,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Screen {
    fn open(workshop: &Workshop, arguments: &[&str]) -> Self {
        let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let (mut outside, mut inside) = (-1, -1);
        // SAFETY: the two numbers are ours, and no name or settings are asked for
        let opened = unsafe {
            libc::openpty(&mut outside, &mut inside, std::ptr::null_mut(), std::ptr::null(), &raw const size)
        };
        assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: both were just opened and belong to nobody else
        let (terminal, inside) = unsafe { (File::from_raw_fd(outside), OwnedFd::from_raw_fd(inside)) };
        let end = || Stdio::from(inside.try_clone().unwrap());
        let mut command = workshop.command(arguments);
        let child = command.env("TERM", "xterm-256color").stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, sink) = (terminal.try_clone().unwrap(), written.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                sink.lock().unwrap().extend_from_slice(&bytes[..n]);
            }
        });
        Screen { child, terminal, inside, written }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }
    fn wait_for(&self, text: &str) {
        wait_until(&format!("{text:?} on the screen"), || self.text().contains(text).then_some(()));
    }
    fn press(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }
    /// Whether lines are edited and keys are echoed, as a shell expects.
    fn is_as_a_shell_wants_it(&self) -> bool {
        // SAFETY: plain numbers, filled by the call
        let mut settings: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: the handle is open and the place is ours
        assert_eq!(unsafe { libc::tcgetattr(self.inside.as_raw_fd(), &raw mut settings) }, 0);
        let wanted = libc::ICANON | libc::ECHO | libc::ISIG;
        settings.c_lflag & wanted == wanted
    }
    /// Its exit code, once it has given the terminal back.
    fn end(&mut self) -> Option<i32> {
        let code = wait_until("the end of top", || self.child.try_wait().unwrap()).code();
        self.wait_for("\u{1b}[?1049l");
        self.wait_for("\u{1b}[?25h");
        assert!(self.is_as_a_shell_wants_it());
        code
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_live_view_shows_follows_keys_and_gives_the_terminal_back() {
    let workshop = Workshop::with_pipeline();
    let (_run, http) = worker(&workshop);
    let mut screen = Screen::open(&workshop, &["top", "--http", &http, "--interval", "50ms"]);
    screen.wait_for("PIPELINE");
    assert!(screen.text().contains("\u{1b}[?1049h") && !screen.is_as_a_shell_wants_it());
    screen.wait_for("running");
    screen.press("s");
    screen.wait_for("state");
    screen.press("\r");
    screen.wait_for("split stock/0");
    screen.press("p");
    screen.wait_for("paused");
    // closes the details, then the whole
    screen.press("\u{1b}");
    screen.wait_for("Enter details");
    screen.press("q");
    assert_eq!(screen.end(), Some(0));

    let mut by_signal = Screen::open(&workshop, &["top", "--http", &http]);
    by_signal.wait_for("PIPELINE");
    // SAFETY: a plain system call; the child has not been waited for, so the pid is its own
    assert_eq!(unsafe { libc::kill(by_signal.child.id() as libc::pid_t, libc::SIGTERM) }, 0);
    assert_eq!(by_signal.end(), Some(0));

    let mut by_key = Screen::open(&workshop, &["top", "--http", &http]);
    by_key.wait_for("PIPELINE");
    by_key.press("\u{3}");
    assert_eq!(by_key.end(), Some(0));
}

/// What a worker knew of its own has to be there for the next one.
#[test]
fn after_a_restart_the_table_says_what_was_before() {
    let workshop = Workshop::with_pipeline();
    let (mut run, http) = worker(&workshop);
    workshop.drop_file("stock_b.csv", "other,header\n1,2\n");
    let parked = |http: &str| {
        workshop.json(&["status", "--http", http])["pipelines"][0]["splits"][0]["numbers"]["files_parked"] == 1
    };
    wait_until("the parked file", || parked(&http).then_some(()));
    assert_eq!(run.terminate(), Some(0));
    drop(run);

    let mut again = workshop.start("again", &["run", "--dev"]);
    let said = again.wait_for("running     stock");
    let http = said.split_once("http://").and_then(|(_, rest)| rest.split_once("/api")).unwrap().0.to_owned();
    wait_until("the parked file again", || parked(&http).then_some(()));
    let status = workshop.run(&["status", "--http", &http]);
    let line = status.stdout.lines().nth(1).unwrap_or_default();
    for part in ["20", "before start", "1 file parked"] {
        assert!(line.contains(part), "{part:?} is missing\n{status}");
    }
    for part in ["! stock: 1 file parked", "stock_b.csv: was parked before this start", "unbatch quarantine list stock"]
    {
        assert!(status.stdout.replace('⚠', "!").contains(part), "{part:?} is missing\n{status}");
    }
    let top = workshop.run(&["top", "--http", &http]);
    assert!(top.stdout.contains("1 file parked") && !top.stdout.contains("never"), "{top}");
    // the remedy: what is mended is not parked any more
    workshop.drop_file("stock_b.csv", "id,counted\nb,2\n");
    // the list is short as soon as the file is read; its row counts when it is committed
    let written = || workshop.json(&["status", "--http", &http])["pipelines"][0]["splits"][0]["written_ever"].as_u64();
    wait_until("the mended file", || (!parked(&http) && written() == Some(21)).then_some(()));
    let status = workshop.run(&["status", "--http", &http]);
    assert!(!status.stdout.contains("parked") && status.stdout.contains("21"), "{status}");
}

#[test]
fn a_worker_that_ends_is_said_on_the_screen_that_stays() {
    let workshop = Workshop::with_pipeline();
    let (mut run, http) = worker(&workshop);
    let mut screen = Screen::open(&workshop, &["top", "--http", &http, "--interval", "50ms"]);
    screen.wait_for("PIPELINE");
    assert_eq!(run.terminate(), Some(0));
    screen.wait_for("no answer for");
    screen.press("q");
    assert_eq!(screen.end(), Some(0));
}

#[test]
fn without_a_terminal_it_is_one_look_and_without_a_worker_an_error() {
    let workshop = Workshop::with_pipeline();
    let (_run, http) = worker(&workshop);
    let once = workshop.run(&["top", "--http", &http]);
    assert_eq!(once.code, Some(0), "{once}");
    assert!(once.stdout.starts_with("PIPELINE") && once.stderr.contains("stdout is no terminal"), "{once}");
    assert!(once.stdout.contains("stock") && once.stdout.contains("running"), "{once}");
    let dumb = Ended::from(workshop.command(&["top", "--http", &http]).env("TERM", "dumb").output().unwrap());
    assert_eq!(dumb.code, Some(0), "{dumb}");
    let status = workshop.json(&["top", "--http", &http]);
    let split = &status["pipelines"][0]["splits"][0];
    assert!(split["rows_per_second"].is_number() && split["recent_rows"].is_array(), "{status}");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let nobody = workshop.run(&["top", "--http", &free]);
    assert_eq!(nobody.code, Some(3), "{nobody}");
    assert!(nobody.stderr.starts_with("error[U0741]: asking the worker failed"), "{nobody}");
}
