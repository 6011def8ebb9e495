//! A panic is a bug of ours: it is said in one sentence, with the details only for those who ask.

use crate::failure::THIS_IS_A_BUG;
use std::backtrace::Backtrace;
use std::io::Write;
use std::panic;

/// Asks for the message, the place and the stack of a panic.
const DETAILS: &str = "UNBATCH_BACKTRACE";

/// From now on a panic prints a sentence and a code. Its own message is shown on request only, since it may quote data.
pub(crate) fn install() {
    panic::set_hook(Box::new(|info| {
        let detailed = std::env::var_os(DETAILS).is_some_and(|v| !v.is_empty() && v != "0");
        let place = info.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
        let mut err = std::io::stderr().lock();
        // nothing is left to do when even stderr is gone
        let _ = writeln!(err, "error[U0900]: a part of unbatch stopped unexpectedly{place}\n  help: {THIS_IS_A_BUG}");
        if detailed {
            let _ = writeln!(err, "{info}\n{}", Backtrace::force_capture());
        }
    }));
}
