//! One simulation: lives with faults, then one without, then the verdict.

use crate::ledger::Ledger;
use crate::pipelines::{Violations, furnish, push, report, spec};
use crate::plan::{Life, PipelinePlan, Plan};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use unbatch_api::config::NoSecrets;
use unbatch_api::context::OwnsAll;
use unbatch_api::testkit::MemoryWorld;
use unbatch_api::{Bound, DeploymentName, Kind, PipelineName};
use unbatch_engine::config::PipelineSpec;
use unbatch_engine::{Ended, Rollback, Scene, SplitState, StatusBoard, start};

/// Longest that pipelines may take to stop, and the last run to end, on the simulated clock.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

/// Which promise the connectors break, by its name in YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    None,
    Source(&'static str),
    Sink(&'static str),
}

/// What a simulation that went well did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    pub rows: u64,
    pub epochs: u64,
    pub faults: u64,
    pub owners: u64,
    pub fenced: u64,
}

/// What went wrong under a seed.
pub struct Violation {
    pub seed: u64,
    pub seen: Vec<String>,
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run again with UNBATCH_SEED={}: {}", self.seed, self.seen.join("; "))
    }
}

/// Runs a plan, on a clock of its own.
pub fn simulate(plan: &Plan, sabotage: Sabotage) -> Result<Summary, Violation> {
    on_its_own_clock(plan, async { Simulation::new(plan, sabotage).map_err(|e| vec![e])?.run().await })
}

/// Time passes only when nothing is left to do.
pub(crate) fn on_its_own_clock<T>(
    plan: &Plan,
    run: impl Future<Output = Result<T, Vec<String>>>,
) -> Result<T, Violation> {
    let violation = |seen| Violation { seed: plan.seed, seen };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|e| violation(vec![format!("starting a runtime failed: {e}")]))?;
    runtime.block_on(run).map_err(violation)
}

pub(crate) struct Simulation<'a> {
    plan: &'a Plan,
    pub world: MemoryWorld,
    deployment: DeploymentName,
    pub specs: Vec<PipelineSpec>,
    violations: Violations,
    fenced: u64,
}

impl<'a> Simulation<'a> {
    pub fn new(plan: &'a Plan, sabotage: Sabotage) -> Result<Self, String> {
        let (world, violations) = (MemoryWorld::default(), Violations::default());
        let deployment = DeploymentName::parse("sim")?;
        let mut specs = Vec::new();
        for pipeline in &plan.pipelines {
            furnish(&world, pipeline, &PipelineName::parse(&pipeline.name)?, &deployment, &violations);
            specs.push(spec(pipeline, sabotage)?);
        }
        Ok(Self { plan, world, deployment, specs, violations, fenced: 0 })
    }

    async fn run(mut self) -> Result<Summary, Vec<String>> {
        let feeding = tokio::spawn(feed(self.plan.clone(), self.world.clone()));
        for life in &self.plan.lives {
            self.live(life).await;
        }
        if feeding.await.is_err() {
            self.report("feeding ended early".into());
        }
        self.heal_and_end().await?;
        Ok(self.summary())
    }

    /// Goes to the end without faults, then compares everything with the ledger.
    pub async fn heal_and_end(&self) -> Result<(), Vec<String>> {
        for pipeline in self.names() {
            self.world.faults(&pipeline).heal();
        }
        self.last_life().await;
        let mut wrong = Ledger::of(self.plan).check(&self.world, &self.deployment);
        let seen = std::mem::take(&mut *self.violations.lock().unwrap_or_else(PoisonError::into_inner));
        wrong.splice(0..0, seen);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// One process, or two at a time.
    async fn live(&mut self, life: &Life) {
        let first = self.process(life, Duration::ZERO);
        let second = async {
            match life.second_after {
                Some(after) => self.process(life, after).await,
                None => vec![],
            }
        };
        let (first, second) = tokio::join!(first, second);
        for ended in first.into_iter().chain(second) {
            self.judge(life, &ended);
        }
    }

    async fn process(&self, life: &Life, after: Duration) -> Vec<Ended> {
        sleep(after).await;
        let bound = if life.is_bounded { Bound::Once } else { Bound::Continuous };
        let mut running = start(self.specs.clone(), self.scene(bound), StatusBoard::default()).await;
        if let Ok(ended) = timeout(life.lasts, running.ended()).await {
            return ended;
        }
        if life.is_killed {
            // the tasks are aborted where they stand
            return vec![];
        }
        running.stop();
        match timeout(PATIENCE, running.ended()).await {
            Ok(ended) => ended,
            Err(_) => {
                self.report("a process that was asked to stop did not".into());
                vec![]
            }
        }
    }

    /// What a pipeline may end with: nothing; another owner, where there is one; a bounded run may lose its patience. A process
    /// that was overtaken may also find that its successor has released what it was about to read, before it hears of it.
    fn judge(&mut self, life: &Life, ended: &Ended) {
        let plan = self.plan.pipelines.iter().find(|p| p.name == ended.pipeline.as_str());
        let usurped = plan.and_then(|p| p.faulty.as_ref()).is_some_and(|f| f.usurped);
        for error in &ended.errors {
            let is_fair = match error.kind() {
                Kind::Fenced => usurped || life.second_after.is_some(),
                Kind::Lost => life.second_after.is_some(),
                Kind::Transient => life.is_bounded,
                Kind::Rejected | Kind::Misconfigured | Kind::Bug => false,
            };
            self.fenced += u64::from(error.kind() == Kind::Fenced);
            if !is_fair {
                self.report(format!("{} ended with {error:?}", ended.pipeline));
            }
        }
    }

    /// Nothing goes wrong any more: everything must come to its end.
    async fn last_life(&self) {
        let board = StatusBoard::default();
        let mut running = start(self.specs.clone(), self.scene(Bound::Once), board.clone()).await;
        match timeout(PATIENCE, running.ended()).await {
            Err(_) => self.report("the last run did not end".into()),
            Ok(ended) => {
                for (pipeline, error) in ended.iter().flat_map(|e| e.errors.iter().map(|error| (&e.pipeline, error))) {
                    self.report(format!("the last run of {pipeline} ended with {error:?}"));
                }
            }
        }
        for split in board.snapshot().iter().flat_map(|p| &p.splits) {
            if split.state != SplitState::Finished {
                self.report(format!("after the last run status says {} is {:?}", split.split, split.state));
            }
        }
    }

    pub fn scene(&self, bound: Bound) -> Scene {
        Scene {
            deployment: self.deployment.clone(),
            resources: self.world.resources(),
            secrets: Arc::new(NoSecrets),
            ownership: Arc::new(OwnsAll),
            bound,
            memory_bytes: 256 << 20,
            accept_change: BTreeSet::new(),
            rollback: Rollback::Intended,
            seed: self.plan.seed,
        }
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary { fenced: self.fenced, ..Summary::default() };
        for name in self.names() {
            let epochs = self.world.store(name.as_str()).epochs();
            summary.epochs += epochs.len() as u64;
            summary.rows += epochs.iter().map(|e| e.receipt.written + e.receipt.rejected).sum::<u64>();
            summary.owners += epochs.last().map_or(0, |e| e.owner);
            summary.faults += self.world.faults(&name).struck().len() as u64;
        }
        summary
    }

    fn names(&self) -> Vec<PipelineName> {
        self.specs.iter().map(|s| s.name.clone()).collect()
    }
    pub fn report(&self, what: String) {
        report(&self.violations, what);
    }
}

/// Pushes what is not there from the beginning, a transaction at a time.
pub(crate) async fn feed(plan: Plan, world: MemoryWorld) {
    let mut random = SmallRng::seed_from_u64(plan.seed ^ 0xfeed);
    let mut late: Vec<(PipelinePlan, usize, usize)> = Vec::new();
    for pipeline in &plan.pipelines {
        for (index, part) in pipeline.parts.iter().enumerate() {
            late.push((pipeline.clone(), index, part.early));
        }
    }
    while !late.is_empty() {
        sleep(Duration::from_millis(random.random_range(0..500))).await;
        let at = random.random_range(0..late.len());
        let (pipeline, part, next) = &mut late[at];
        let part = &pipeline.parts[*part];
        if *next >= part.transactions.len() {
            late.swap_remove(at);
            continue;
        }
        push(&world.feed(&pipeline.name), part, *next..*next + 1);
        *next += 1;
    }
}
