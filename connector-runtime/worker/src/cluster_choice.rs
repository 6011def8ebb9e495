//! Which Kafka cluster a command talks to.

use crate::arguments::Globals;
use crate::dev::{Found, Kept, Lent, Served, Told, is_in_use};
use crate::runtime_file::Setup;
use unbatch_api::config::Text;
use unbatch_api::{Error, Result};

/// Named after the option, before the runtime file.
pub(crate) const BROKERS_VARIABLE: &str = "UNBATCH_KAFKA_BROKERS";

/// Where the address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    /// `--brokers` or the environment.
    Given(String),
    /// The broker of a `run --dev` in this folder.
    Running(String),
    /// What a `run --dev` kept here, served by ourselves for a moment.
    Kept,
    /// The runtime file, or its default.
    File,
}

/// What a command wants to do with the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Run pipelines: never against what another process runs for development.
    Run,
    /// Look at what is there, wherever it is; `dev`: asked for by name.
    Look { dev: bool },
}

/// Which cluster it is.
pub(crate) struct Settled {
    /// Must be kept until the command ends.
    pub(crate) served: Option<Served>,
    /// In words, where nobody named it.
    pub(crate) asked: Option<String>,
}

/// Puts the chosen address into the settings.
pub(crate) fn settle(setup: &mut Setup, globals: &Globals, want: Want) -> Result<Settled> {
    let variable = brokers_variable();
    let kept = Kept::here();
    let found = match want {
        Want::Run => Found::Nothing,
        Want::Look { .. } => kept.look(),
    };
    let (mut served, mut asked) = (None, None);
    match choose(globals.brokers.as_deref(), variable.as_deref(), found, setup.names_brokers, want)? {
        Choice::Given(address) => {
            setup.config.kafka.brokers = Text::Plain(address);
            setup.config.kafka.named_by = match globals.brokers {
                Some(_) => "`--brokers`",
                None => BROKERS_VARIABLE,
            };
        }
        Choice::Running(address) => {
            asked = Some(of_a_run(&address));
            setup.config.kafka.brokers = Text::Plain(address);
        }
        Choice::Kept => match kept.lend()? {
            Lent::Running(address) => {
                asked = Some(of_a_run(&address));
                setup.config.kafka.brokers = Text::Plain(address);
            }
            Lent::Served(kept) => {
                asked = Some("the broker that `run --dev` kept under .unbatch/".to_owned());
                setup.config.kafka.brokers = Text::Plain(kept.address());
                served = Some(kept);
            }
        },
        Choice::File if !setup.names_brokers => {
            asked = Some(by_default(&setup.config.kafka.brokers.resolve(setup.resolver.as_ref())?));
        }
        Choice::File => {}
    }
    Ok(Settled { served, asked })
}

fn of_a_run(address: &str) -> String {
    format!("the broker of the `run --dev` that runs here, {address}")
}

fn by_default(address: &str) -> String {
    format!("the broker at {address}, the default")
}

/// Whom a reader asks that goes on when there is nobody to ask, as [`settle`] would choose now.
pub(crate) struct Guide {
    kept: Kept,
    /// Where somebody may serve who was not started here; `None`: only a run in this folder is meant.
    default: Option<String>,
}

impl Guide {
    /// `None`: somebody named the cluster. Then it is always that one, and [`settle`] finds it.
    pub(crate) fn new(setup: &Setup, globals: &Globals, dev: bool) -> Result<Option<Guide>> {
        let kept = Kept::here();
        let names_another = || brokers_variable().is_some() || (setup.names_brokers && kept.told().is_none());
        if globals.brokers.is_some() || (!dev && names_another()) {
            return Ok(None);
        }
        let default = match dev || setup.names_brokers {
            true => None,
            false => Some(setup.config.kafka.brokers.resolve(setup.resolver.as_ref())?),
        };
        Ok(Some(Guide { kept, default }))
    }

    /// Who is there to be asked now.
    pub(crate) fn find(&self) -> Option<Told> {
        // once a run has kept something here, its topics are meant
        let default = self.default.as_deref().filter(|_| self.kept.look() == Found::Nothing);
        self.kept.told().or_else(|| Told::at(default?))
    }

    /// What a run kept here, for a moment in which none runs.
    pub(crate) fn lend(&self) -> Result<Option<Served>> {
        if self.kept.look() != Found::Kept {
            return Ok(None);
        }
        match self.kept.lend() {
            Ok(Lent::Served(served)) => Ok(Some(served)),
            Ok(Lent::Running(_)) => Ok(None),
            Err(error) if is_in_use(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Another one once somebody added to what is kept here.
    pub(crate) fn edition(&self) -> impl PartialEq {
        self.kept.edition()
    }

    /// Who it is, in words.
    pub(crate) fn asked(&self, told: &Told) -> String {
        match self.default.as_deref() == Some(&*told.address) && self.kept.told().is_none() {
            true => by_default(&told.address),
            false => of_a_run(&told.address),
        }
    }

    /// Who may still come, in words.
    pub(crate) fn awaited(&self) -> String {
        let here = "`unbatch run --dev` in this folder";
        match self.default.as_deref().filter(|_| self.kept.look() == Found::Nothing) {
            Some(default) => format!("{here}, or a broker at {default}"),
            None => here.to_owned(),
        }
    }
}

fn brokers_variable() -> Option<String> {
    std::env::var(BROKERS_VARIABLE).ok().filter(|v| !v.trim().is_empty())
}

fn choose(flag: Option<&str>, variable: Option<&str>, found: Found, in_file: bool, want: Want) -> Result<Choice> {
    let asked_for_dev = want == Want::Look { dev: true };
    match (flag, variable, found) {
        (Some(flag), _, _) if flag.trim().is_empty() => {
            Err(Error::misconfigured("reading --brokers failed, it is empty")
                .code("U0733")
                .help("give host:port, such as --brokers 127.0.0.1:9092"))
        }
        (Some(flag), _, _) => Ok(Choice::Given(flag.trim().to_owned())),
        (None, Some(variable), _) if !asked_for_dev => Ok(Choice::Given(variable.trim().to_owned())),
        (None, _, Found::Running(address)) => Ok(Choice::Running(address)),
        (None, _, Found::Kept) if asked_for_dev || !in_file => Ok(Choice::Kept),
        (None, _, Found::Nothing) if asked_for_dev => {
            Err(Error::misconfigured("finding the broker of `run --dev` failed, there is none in this folder")
                .code("U0734")
                .help("start `unbatch run --dev` here first, or leave out --dev"))
        }
        (None, _, _) => Ok(Choice::File),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Want = Want::Look { dev: false };
    const DEV: Want = Want::Look { dev: true };

    fn running() -> Found {
        Found::Running("127.0.0.1:9092".into())
    }
    fn given(address: &str) -> Choice {
        Choice::Given(address.into())
    }

    #[test]
    fn the_option_comes_before_the_variable_and_that_before_the_file() {
        for (flag, variable, in_file, expected) in [
            (Some("flag:1"), Some("env:1"), true, given("flag:1")),
            (Some(" flag:1 "), None, true, given("flag:1")),
            (None, Some("env:1"), true, given("env:1")),
            (None, None, true, Choice::File),
            (None, None, false, Choice::File),
        ] {
            for want in [Want::Run, LOOK] {
                assert_eq!(choose(flag, variable, Found::Nothing, in_file, want).unwrap(), expected);
            }
        }
    }

    #[test]
    fn the_broker_of_a_development_run_is_found_when_nothing_is_said() {
        let running_here = Choice::Running("127.0.0.1:9092".into());
        assert_eq!(choose(None, None, running(), false, LOOK).unwrap(), running_here);
        assert_eq!(choose(None, None, running(), true, LOOK).unwrap(), running_here);
        assert_eq!(choose(None, Some("env:1"), running(), false, LOOK).unwrap(), given("env:1"));
        assert_eq!(choose(None, Some("env:1"), running(), true, DEV).unwrap(), running_here);
        assert_eq!(choose(None, None, Found::Kept, false, LOOK).unwrap(), Choice::Kept);
        assert_eq!(choose(None, None, Found::Kept, true, LOOK).unwrap(), Choice::File);
        assert_eq!(choose(None, None, Found::Kept, true, DEV).unwrap(), Choice::Kept);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let code = |r: Result<Choice>| r.unwrap_err().code_text();
        assert_eq!(code(choose(None, None, Found::Nothing, true, DEV)), Some("U0734"));
        assert_eq!(code(choose(Some(" "), None, Found::Nothing, true, LOOK)), Some("U0733"));
    }
}
