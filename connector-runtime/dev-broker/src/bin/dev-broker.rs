//! `unbatch-dev-broker ADDR [LOG]`: the embedded broker as a process of its own, for tests that kill it.
//!
//! Prints `READY <address>` once it serves, and runs until SIGTERM or SIGINT.

use std::io::{self, Write};
use std::path::PathBuf;

use unbatch_dev_broker::{DevBroker, Settings};

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(addr) = args.next() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "usage: unbatch-dev-broker ADDR [LOG]"));
    };
    // Before any thread starts: threads inherit the mask, so that only the wait below takes these signals.
    let signals = block_termination();
    let broker = DevBroker::start(Settings { addr, log: args.next().map(PathBuf::from), ..Settings::default() })?;
    let mut out = io::stdout();
    writeln!(out, "READY {}", broker.addr())?;
    out.flush()?;
    wait_for(&signals);
    broker.stop();
    Ok(())
}

fn block_termination() -> libc::sigset_t {
    // SAFETY: the set is initialised by sigemptyset before anything reads it, and all pointers are to locals.
    unsafe {
        let mut signals: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut signals);
        libc::sigaddset(&mut signals, libc::SIGTERM);
        libc::sigaddset(&mut signals, libc::SIGINT);
        libc::pthread_sigmask(libc::SIG_BLOCK, &signals, std::ptr::null_mut());
        signals
    }
}

fn wait_for(signals: &libc::sigset_t) {
    let mut taken = 0;
    // SAFETY: both pointers are valid for the call.
    unsafe {
        libc::sigwait(signals, &mut taken);
    }
}
