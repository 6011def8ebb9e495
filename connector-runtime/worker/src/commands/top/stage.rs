//! The terminal while `top` has it: raw, on its other screen. It is given back at every end, also at a panic, whose message then
//! stands on the screen that is left.

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::crossterm::{cursor, execute};
use std::io::{self, Stdout};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether there is something to give back.
static ENTERED: AtomicBool = AtomicBool::new(false);

pub(super) struct Stage(Terminal<CrosstermBackend<Stdout>>);

impl Stage {
    /// # Errors
    ///
    /// When the process has no terminal that it may set; then nothing was changed.
    pub(super) fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        ENTERED.store(true, Ordering::SeqCst);
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            leave();
            before(info);
        }));
        let entered = execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        entered.map(Stage).inspect_err(|_| leave())
    }

    pub(super) fn draw(&mut self, render: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        self.0.draw(render).map(|_| ())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        leave();
    }
}

fn leave() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        // a terminal that is gone needs nothing back
        let _ = execute!(io::stdout(), cursor::Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::process::{Command, Stdio};

    /// Tells the second run of this test that it is the one on the stage.
    const ON_STAGE: &str = "UNBATCH_TEST_ON_STAGE";

    /// The test runs itself once more in a pseudo terminal, where it panics.
    #[test]
    fn a_panic_gives_the_terminal_back_before_it_speaks() {
        if std::env::var_os(ON_STAGE).is_some() {
            let _stage = Stage::enter().unwrap();
            panic!("a word of the panic");
        }
        let (mut outside, mut inside) = (-1, -1);
        // SAFETY: the two numbers are ours, and no name, settings or size are asked for
        let opened = unsafe {
            libc::openpty(&mut outside, &mut inside, std::ptr::null_mut(), std::ptr::null(), std::ptr::null())
        };
        assert_eq!(opened, 0, "{}", io::Error::last_os_error());
        // SAFETY: both were just opened and belong to nobody else
        let (mut terminal, inside) = unsafe { (File::from_raw_fd(outside), OwnedFd::from_raw_fd(inside)) };
        let end = || Stdio::from(inside.try_clone().unwrap());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["a_panic_gives_the_terminal_back", "--nocapture"]).env(ON_STAGE, "1").env("RUST_BACKTRACE", "0");
        let status = command.stdin(end()).stdout(end()).stderr(end()).status().unwrap();
        assert!(!status.success());
        // SAFETY: plain numbers, filled by the call; the handle is open
        let mut settings: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: as above
        assert_eq!(unsafe { libc::tcgetattr(inside.as_raw_fd(), &raw mut settings) }, 0);
        assert_eq!(settings.c_lflag & (libc::ICANON | libc::ECHO), libc::ICANON | libc::ECHO);
        drop(command);
        drop(inside);
        let mut written = Vec::new();
        // on Linux the read after the last byte fails, as nobody is left who could write
        let _ = terminal.read_to_end(&mut written);
        let written = String::from_utf8_lossy(&written);
        let at = |text: &str| written.find(text).unwrap_or_else(|| panic!("no {text:?} in {written:?}"));
        assert!(at("\u{1b}[?1049h") < at("\u{1b}[?1049l") && at("\u{1b}[?1049l") < at("a word of the panic"));
    }
}
