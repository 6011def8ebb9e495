//! Plays the transcripts of one page, in order, in a folder of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use unbatch_docs_tests::fences::Fence;
use unbatch_docs_tests::root;
use unbatch_docs_tests::transcript::{Step, agrees, begins, steps};
use unbatch_test_harness::{Launch, Process, Signal, built_binary, wait_for};

/// For one command.
const DEADLINE: Duration = Duration::from_secs(120);
/// For what a command that only looks has to see, while another one works in the background.
const PATIENCE: Duration = Duration::from_secs(30);
/// Commands that change nothing, so that they may be asked again.
const LOOKS: [&str; 4] = ["unbatch topics ", "unbatch quarantine list", "unbatch quarantine show", "unbatch status"];

/// A page in the middle of being played: where its shell stands, and what works in its background.
pub struct Session {
    page: String,
    folder: tempfile::TempDir,
    background: Vec<(usize, Process)>,
}

impl Session {
    /// A new folder. Pages of examples, which begin in the checkout, find the examples in it.
    pub fn new(page: &str) -> Session {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        if page.starts_with("examples/") {
            copy(&root().join("examples"), &home.join("examples"));
        }
        let session = Session { page: page.to_owned(), folder, background: Vec::new() };
        session.remember("cwd", home.to_str().unwrap());
        session.remember("variables", "");
        session.remember("code", "0");
        session
    }

    /// Plays a block: writes the file that it is, runs the commands that it shows, or does nothing.
    pub fn play(&mut self, fence: &Fence) -> Result<(), String> {
        if let Some(file) = fence.info.iter().find_map(|word| word.strip_prefix("file=")) {
            fs::write(PathBuf::from(self.recall("cwd")).join(file), &fence.text).unwrap();
        }
        if fence.language() != "console" || fence.asks("norun") {
            return Ok(());
        }
        let steps = steps(&fence.text, fence.line);
        for (n, step) in steps.iter().enumerate() {
            let is_last = n + 1 == steps.len();
            match is_last && fence.asks("background") {
                true => self.leave_running(step)?,
                false => self.run(step, is_last && fence.asks("fails"))?,
            }
        }
        Ok(())
    }

    /// Ends what works in the background.
    pub fn close(mut self) {
        for (_, mut process) in self.background.drain(..) {
            if process.exited().is_none() {
                process.signal(Signal::Interrupt);
            }
            process.wait(Duration::from_secs(30));
        }
    }

    fn run(&mut self, step: &Step, fails: bool) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let done = self.launch(step, "").run(DEADLINE);
            let right = step.output.is_empty() || agrees(&step.output, &done.stdout);
            if right && done.status.success() != fails {
                return Ok(());
            }
            // what works in the background may need a moment more
            let may_look_again = LOOKS.iter().any(|look| step.command.starts_with(look)) && !self.background.is_empty();
            if !may_look_again || Instant::now() > until {
                let code = done.status.code();
                return Err(self.told(step, &format!("it ended with {code:?} and said\n{}", done.stdout)));
            }
        }
    }

    fn leave_running(&mut self, step: &Step) -> Result<(), String> {
        let mut process = self.launch(step, "exec ").start();
        let until = Instant::now() + PATIENCE;
        let right = wait_for(DEADLINE, "a command in the background", || {
            let said = begins(&step.output, &process.stdout());
            (said || process.exited().is_some() || Instant::now() > until).then_some(said)
        });
        let said = process.stdout();
        self.background.push((step.line, process));
        if right { Ok(()) } else { Err(self.told(step, &format!("it said\n{said}"))) }
    }

    /// A shell that goes on where the one before stood: its folder, its variables, its last exit code.
    fn launch(&self, step: &Step, how: &str) -> Launch {
        let state = self.folder.path().join("state");
        let script = format!(
            "exec 2>&1\ncd \"$(cat {state}/cwd)\"\nsource {state}/variables\n{BUILT}\n(exit $(cat {state}/code))\n\
             {how}{command}\ncode=$?\npwd >{state}/cwd\nexport -p >{state}/variables\necho $code >{state}/code\nexit $code\n",
            state = state.display(),
            command = step.command,
        );
        let file = state.join(format!("line-{}.sh", step.line));
        fs::write(&file, script).unwrap();
        let programs = built_binary("unbatch").parent().unwrap().to_owned();
        let path = std::env::var("PATH").unwrap_or_default();
        Launch::program("/bin/bash")
            .arg(file)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("HOME", self.folder.path().join("home"))
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.folder.path())
            .named(&step.command)
    }

    fn told(&self, step: &Step, what: &str) -> String {
        format!("{}:{}: $ {}\nthe page shows\n{}\n{what}", self.page, step.line, step.command, step.output.join("\n"))
    }

    fn remember(&self, what: &str, text: &str) {
        fs::write(self.folder.path().join("state").join(what), text).unwrap();
    }

    fn recall(&self, what: &str) -> String {
        fs::read_to_string(self.folder.path().join("state").join(what)).unwrap().trim_end().to_owned()
    }
}

/// What builds before it runs, without the building: it runs what the tests were built with.
const BUILT: &str = r#"make() {
  [[ $* == demo ]] || { echo "a transcript may not call: make $*"; return 1; }
  unbatch demo
}
cargo() {
  [[ $1 == run && $2 == -p && $4 == -- ]] || { echo "a transcript may not call: cargo $*"; return 1; }
  local program=$3; shift 4; "$program" "$@"
}"#;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().unwrap().is_dir() {
            true => {
                // what somebody left who tried the example
                if !matches!(entry.file_name().to_str(), Some(".unbatch" | "archive")) {
                    copy(&path, &target);
                }
            }
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}
