//! The commands, each in a file of its own.

pub(crate) mod completions;
mod connectors;
mod explain;
mod follow;
mod init;
mod offsets;
mod preview;
mod quarantine;
mod replay;
mod run;
mod schema;
mod settle;
mod status;
mod top;
mod topics;
mod validate;
mod validate_report;
mod version;

use crate::answer::Answer;
use crate::arguments::{Command, Globals};
use crate::cluster_choice::{Want, settle};
use crate::dev::Served;
use crate::failure::{Failure, Outcome};
use crate::runtime_file::{Setup, setup};
use crate::terminal::Terminal;
use std::collections::BTreeSet;
use std::sync::Arc;
use unbatch_api::context::OwnsAll;
use unbatch_api::{Bound, Error, PipelineName, Resources};
use unbatch_engine::{Registry, Rollback, Scene};
use unbatch_kafka_client::Cluster;

/// What every command is given.
pub(crate) struct Context {
    pub(crate) registry: Registry,
    pub(crate) globals: Globals,
    pub(crate) terminal: Terminal,
}

/// Does what the command line says.
pub(crate) fn dispatch(command: Command, cx: &Context) -> Outcome<Answer> {
    match command {
        Command::Demo(args) => crate::demo::play(&args, cx),
        Command::Init(args) => init::init(&args, cx),
        Command::Run(args) => run::run(&args, cx),
        Command::Validate(args) => validate::validate(&args, cx),
        Command::Preview(args) => preview::preview(&args, cx),
        Command::Topics(command) => topics::topics(&command, cx),
        Command::Quarantine(command) => quarantine::quarantine(&command, cx),
        Command::Offsets(command) => offsets::offsets(&command, cx),
        Command::Status(args) => status::status(&args, cx),
        Command::Top(args) => top::top(&args, cx),
        Command::Connectors(args) => connectors::connectors(&args, cx),
        Command::Schema(args) => Ok(schema::schema(&args, cx)),
        Command::Explain(args) => explain::explain(&args, cx),
        Command::Completions(args) => completions::completions(&args),
        Command::Version => Ok(version::version()),
    }
}

/// A cluster to look at, and the broker that is served for it, if any; that one ends with this value.
pub(crate) struct Looking {
    pub(crate) setup: Setup,
    _served: Option<Served>,
}

impl Context {
    pub(crate) fn setup(&self) -> Outcome<Setup> {
        setup(&self.globals).map_err(|found| Failure::Files { found, files: 1 })
    }

    /// For commands that look at what is there.
    pub(crate) fn look(&self, dev: bool) -> Outcome<Looking> {
        let mut setup = self.setup()?;
        let served = self.settle(&mut setup, Want::Look { dev })?;
        Ok(Looking { setup, _served: served })
    }

    /// An answer of another cluster than the one that was meant looks like an answer: nobody has to guess which it was.
    fn settle(&self, setup: &mut Setup, want: Want) -> Outcome<Option<Served>> {
        let settled = settle(setup, &self.globals, want)?;
        if let Some(asked) = settled.asked {
            self.terminal.say_prose(&format!("asking {asked}; --brokers names another\n"));
        }
        Ok(settled.served)
    }
}

impl Looking {
    pub(crate) fn cluster(&self) -> Outcome<Arc<Cluster>> {
        Ok(Arc::new(Cluster::resolve(&self.setup.config.kafka, self.setup.resolver.as_ref())?))
    }
    pub(crate) fn scene(&self) -> Scene {
        scene(&self.setup, Bound::Once, BTreeSet::new())
    }
}

/// What the engine needs to know about the process.
pub(crate) fn scene(setup: &Setup, bound: Bound, accept_change: BTreeSet<PipelineName>) -> Scene {
    let mut resources = Resources::default();
    resources.insert(setup.config.kafka.clone());
    Scene {
        deployment: setup.deployment.clone(),
        resources,
        secrets: setup.resolver.clone(),
        ownership: Arc::new(OwnsAll),
        bound,
        memory_bytes: usize::try_from(setup.config.memory.limit.0).unwrap_or(usize::MAX),
        accept_change,
        rollback: Rollback::Intended,
        seed: rand::random(),
    }
}

/// Not more threads than the machine runs at once: what waits needs none, and each costs memory.
pub(crate) fn async_runtime() -> Outcome<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    runtime.map_err(|cause| {
        Error::transient("starting the async runtime failed")
            .code("U0702")
            .help("the system refuses more threads or files; see `ulimit -a`")
            .caused_by(cause)
            .into()
    })
}
