//! SIGTERM and SIGINT: the first asks for an orderly end, the second for an end.

use crate::exit::Exit;

use tokio::signal::unix::{Signal, SignalKind, signal};
use unbatch_api::{Error, Result};

pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|e| Error::transient("listening for signals failed").code("U0702").caused_by(e))
        };
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }
    /// The name of the next signal.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Ends the process now: no destructor, no handler of a library that waits for its threads. What is not committed was never
/// visible, so nothing has to be undone.
pub(crate) fn end_at_once(exit: Exit) -> ! {
    // SAFETY: _exit takes a plain number and does not come back
    unsafe { libc::_exit(i32::from(exit.code())) }
}
