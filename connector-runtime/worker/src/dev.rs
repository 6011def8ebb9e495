//! The embedded broker of `run --dev`, kept under `.unbatch/` in the current folder: its log, and its address for the commands
//! in other terminals.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
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
/// A command that reads what is kept is waited for so long; it may read a large topic, or wait for a pager.
const READER_TIME_MAX: Duration = Duration::from_secs(10);
const LOOK_PERIOD: Duration = Duration::from_millis(50);
const IN_USE: &str = "U0730";

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

/// A broker that a run tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) address: String,
    /// When it was told: the next run may take the same port, and is another broker.
    since: Option<SystemTime>,
}

/// What is kept, for the time of one command.
pub(crate) enum Lent {
    Served(Served),
    /// A run came first: it serves at this address.
    Running(String),
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
        if let Some(told) = self.told() {
            return Found::Running(told.address);
        }
        // what cannot be looked at is not nothing: reading it says why
        match self.0.join(LOG).try_exists().unwrap_or(true) {
            true => Found::Kept,
            false => Found::Nothing,
        }
    }

    /// The broker that a run told of, when it answers.
    pub(crate) fn told(&self) -> Option<Told> {
        let file = self.0.join(ADDRESS);
        let address = std::fs::read_to_string(&file).ok().map(|a| a.trim().to_owned()).filter(|a| answers(a))?;
        let since = std::fs::metadata(&file).and_then(|file| file.modified()).ok();
        Some(Told { address, since })
    }

    /// Another one once something was added to what is kept.
    pub(crate) fn edition(&self) -> Option<(u64, Option<SystemTime>)> {
        let log = std::fs::metadata(self.0.join(LOG)).ok()?;
        Some((log.len(), log.modified().ok()))
    }

    /// Serves what is kept here and tells others the address, as `run --dev` does. A command that reads what is kept has it for
    /// a moment, which is waited for after `tell` was called.
    ///
    /// # Errors
    ///
    /// Misconfigured when another run serves it, or a command does not give it back.
    pub(crate) fn take_over(&self, tell: impl FnOnce()) -> Result<Served> {
        let (deadline, mut tell) = (Instant::now() + READER_TIME_MAX, Some(tell));
        loop {
            match self.serve_and_tell() {
                Err(e) if is_in_use(&e) && self.told().is_none() && Instant::now() < deadline => {}
                result => return result,
            }
            if let Some(tell) = tell.take() {
                tell();
            }
            std::thread::sleep(LOOK_PERIOD);
        }
    }

    fn serve_and_tell(&self) -> Result<Served> {
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

    /// Serves what is kept here for the time of one command. Another one that has it is waited for.
    ///
    /// # Errors
    ///
    /// Misconfigured when the other one does not give it back.
    pub(crate) fn lend(&self) -> Result<Lent> {
        let deadline = Instant::now() + READER_TIME_MAX;
        loop {
            match self.serve() {
                Err(e) if is_in_use(&e) && Instant::now() < deadline => {}
                result => return result.map(Lent::Served),
            }
            if let Some(told) = self.told() {
                return Ok(Lent::Running(told.address));
            }
            std::thread::sleep(LOOK_PERIOD);
        }
    }

    fn serve(&self) -> Result<Served> {
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

    /// Why it no longer answers, when it had to stop: what it cannot write down it does not acknowledge.
    pub(crate) fn failure(&self) -> Option<Error> {
        let failure = io::Error::other(self.broker.failure()?);
        let error = Error::lost("going on failed, the embedded broker cannot write its log").code("U0778");
        let error = error
            .with("folder", self.address_file.as_ref().and_then(|f| f.parent()).unwrap_or(Path::new(FOLDER)).display());
        Some(error.caused_by(failure).help(
            "make room on the disk that holds the folder, then run again: it goes on where it stood, and what was committed is there",
        ))
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

impl Told {
    /// A broker at an address that nobody has to tell.
    pub(crate) fn at(address: &str) -> Option<Self> {
        answers(address).then(|| Told { address: address.to_owned(), since: None })
    }
}

/// Only ever on this machine.
fn answers(address: &str) -> bool {
    let addr = address.parse::<SocketAddr>();
    addr.is_ok_and(|addr| addr.ip().is_loopback() && TcpStream::connect_timeout(&addr, KNOCK_TIME_MAX).is_ok())
}

/// Somebody else serves what is kept.
pub(crate) fn is_in_use(error: &Error) -> bool {
    error.code_text() == Some(IN_USE)
}

fn failed(folder: &Path, cause: io::Error) -> Error {
    let at = |kind| Error::new(kind, "starting the embedded broker failed").with("folder", folder.display());
    match cause.kind() {
        io::ErrorKind::WouldBlock => at(Kind::Misconfigured)
            .code(IN_USE)
            .help("another unbatch has what is kept here: a `run --dev`, or a command that reads it while none runs, such as `topics read`; end it first, or work in a folder of your own"),
        io::ErrorKind::InvalidData => at(Kind::Lost)
            .code("U0731")
            .help("what it kept cannot be read; remove the folder to begin anew (its topics are lost)")
            .caused_by(cause),
        _ => at(Kind::Misconfigured)
            .code("U0732")
            .help("check that .unbatch/ in the current folder can be written to, that the disk has room, and that loopback ports are free")
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
        let served = kept.take_over(|| ()).unwrap();
        assert_eq!(kept.look(), Found::Running(served.address()));
        let second = kept.take_over(|| panic!("a run does not give it back")).err().unwrap();
        assert_eq!((second.kind(), second.code_text()), (Kind::Misconfigured, Some("U0730")));
        assert_eq!(kept.look(), Found::Running(served.address()), "the second must not take the address away");
        drop(served);
        assert_eq!(kept.look(), Found::Kept);
        drop(kept.serve().unwrap());
    }

    #[test]
    fn a_folder_that_cannot_be_looked_into_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FOLDER), "a file").unwrap();
        let kept = Kept(folder.path().join(FOLDER));
        assert_eq!(kept.look(), Found::Kept);
        let Err(error) = kept.lend() else { panic!("a file was served") };
        assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0732")), "{error:?}");
    }

    /// Reading holds what is kept for a moment; who comes meanwhile waits, be it a run or another reader.
    #[test]
    fn what_a_command_reads_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept(folder.path().join(FOLDER));
        drop(kept.take_over(|| ()).unwrap());
        let reader = kept.serve().unwrap();
        let (waits, told) = std::sync::mpsc::channel();
        let run = std::thread::spawn({
            let kept = kept.clone();
            move || kept.take_over(|| waits.send(()).unwrap()).unwrap()
        });
        told.recv().unwrap();
        drop(reader);
        let run = run.join().unwrap();
        // and a reader that comes while a run starts asks that one
        let Lent::Running(address) = kept.lend().unwrap() else { panic!("lent what is served") };
        assert_eq!(address, run.address());
    }

    #[test]
    fn the_next_run_is_another_broker_also_on_the_same_port() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept(folder.path().join(FOLDER));
        let first = kept.take_over(|| ()).unwrap();
        let told = kept.told().unwrap();
        assert_eq!((kept.told().as_ref(), told.address.clone()), (Some(&told), first.address()));
        drop(first);
        assert_eq!(kept.told(), None);
        let _second = kept.take_over(|| ()).unwrap();
        assert_ne!(kept.told().unwrap(), told);
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
