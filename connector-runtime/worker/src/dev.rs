//! The embedded broker of `run --dev`, kept under `.unbatch/` in the current folder: its log, and its address for the commands
//! in other terminals.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use unbatch_api::{Error, Kind, Result};
use unbatch_dev_broker::{DevBroker, Settings};

/// Where everything of a development run is kept.
pub(crate) const FOLDER: &str = ".unbatch";
const LOG: &str = "dev-broker.log";
const ADDRESS: &str = "dev-broker.addr";
/// Taken when it is free, so that other tools find the broker where they expect Kafka.
const USUAL_ADDRESS: &str = "127.0.0.1:9092";
/// A broker on this machine answers a connection at once, or is not there.
const KNOCK_TIME_MAX: Duration = Duration::from_millis(500);

/// A folder that a development run keeps its broker in.
#[derive(Clone, Debug)]
pub(crate) struct Kept(PathBuf);

/// What is there of a development run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A broker that answers at this address.
    Running(String),
    /// Its log, and nobody who serves it.
    Kept,
    Nothing,
}

/// The broker while this process serves it.
pub(crate) struct Served {
    broker: DevBroker,
    /// Removed at the end, when this process told others where the broker is.
    address_file: Option<PathBuf>,
}

impl Kept {
    /// In the current folder.
    pub(crate) fn here() -> Self {
        Kept(PathBuf::from(FOLDER))
    }

    pub(crate) fn look(&self) -> Found {
        let address = std::fs::read_to_string(self.0.join(ADDRESS)).ok();
        if let Some(address) = address.map(|a| a.trim().to_owned()).filter(|a| answers(a)) {
            return Found::Running(address);
        }
        match self.0.join(LOG).exists() {
            true => Found::Kept,
            false => Found::Nothing,
        }
    }

    /// Serves what is kept here and tells others the address, as `run --dev` does.
    ///
    /// # Errors
    ///
    /// Misconfigured when another process serves it.
    pub(crate) fn serve_and_tell(&self) -> Result<Served> {
        let failed = |cause: io::Error| failed(&self.0, cause);
        std::fs::create_dir_all(&self.0).map_err(failed)?;
        // nothing in here belongs into a repository
        std::fs::write(self.0.join(".gitignore"), "*\n").map_err(failed)?;
        let broker = match self.start(USUAL_ADDRESS) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => self.start("127.0.0.1:0"),
            other => other,
        };
        let broker = broker.map_err(failed)?;
        let address_file = self.0.join(ADDRESS);
        std::fs::write(&address_file, format!("{}\n", broker.addr())).map_err(failed)?;
        Ok(Served { broker, address_file: Some(address_file) })
    }

    /// Serves what is kept here for the time of one command.
    pub(crate) fn serve(&self) -> Result<Served> {
        let broker = self.start("127.0.0.1:0").map_err(|cause| failed(&self.0, cause))?;
        Ok(Served { broker, address_file: None })
    }

    fn start(&self, addr: &str) -> io::Result<DevBroker> {
        let log = Some(self.0.join(LOG));
        DevBroker::start(Settings { addr: addr.to_owned(), log, ..Settings::default() })
    }
}

impl Served {
    pub(crate) fn address(&self) -> String {
        self.broker.addr().to_string()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(file) = &self.address_file {
            let _ = std::fs::remove_file(file);
        }
        self.broker.stop();
    }
}

fn answers(address: &str) -> bool {
    let addr = address.parse::<SocketAddr>();
    addr.is_ok_and(|addr| addr.ip().is_loopback() && TcpStream::connect_timeout(&addr, KNOCK_TIME_MAX).is_ok())
}

fn failed(folder: &Path, cause: io::Error) -> Error {
    let at = |kind| Error::new(kind, "starting the embedded broker failed").with("folder", folder.display());
    match cause.kind() {
        io::ErrorKind::WouldBlock => at(Kind::Misconfigured)
            .code("U0730")
            .help("another unbatch has what is kept here: a `run --dev`, or a command that reads without one, such as `topics read --follow`; end it first, or work in a folder of your own"),
        io::ErrorKind::InvalidData => at(Kind::Lost)
            .code("U0731")
            .help("what it kept cannot be read; remove the folder to begin anew (its topics are lost)")
            .caused_by(cause),
        _ => at(Kind::Misconfigured)
            .code("U0732")
            .help("check that the current folder can be written to and that loopback ports are free")
            .caused_by(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_found_while_it_runs_and_its_log_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept(folder.path().join(FOLDER));
        assert_eq!(kept.look(), Found::Nothing);
        let served = kept.serve_and_tell().unwrap();
        assert_eq!(kept.look(), Found::Running(served.address()));
        let second = kept.serve_and_tell().err().unwrap();
        assert_eq!((second.kind(), second.code_text()), (Kind::Misconfigured, Some("U0730")));
        assert_eq!(kept.look(), Found::Running(served.address()), "the second must not take the address away");
        drop(served);
        assert_eq!(kept.look(), Found::Kept);
        drop(kept.serve().unwrap());
    }

    #[test]
    fn an_address_left_behind_by_a_crash_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept(folder.path().to_owned());
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for stale in [free.to_string(), "203.0.113.7:9092".to_owned(), "nonsense".to_owned()] {
            std::fs::write(folder.path().join(ADDRESS), stale).unwrap();
            assert_eq!(kept.look(), Found::Nothing);
        }
    }
}
