//! Starts pipelines and stops them: what each split needs is put together here, and every split gets a task of its own.

use crate::admission::{Intent, Rollback};
use crate::adoption::adopt;
use crate::config::PipelineSpec;
use crate::split::Split;
use crate::status::{SplitRecord, StatusBoard};
use crate::supervisor::{SplitEnd, supervise};
use crate::telemetry::SplitMetrics;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use unbatch_api::config::Resolver;
use unbatch_api::{
    Bound, CheckContext, Checkpoint, Committed, DeploymentName, Error, Facts, Limits, Ownership, PipelineName,
    Resources, Result, SinkContext, SourceContext, SplitId,
};

/// Rows of a batch that sources aim at.
const BATCH_ROWS: usize = 8_192;
/// Bytes of a batch that sources aim at.
const BATCH_BYTES: usize = 2 << 20;
/// A memory share below this cannot hold a batch at each stage.
const MEMORY_SHARE_MIN: usize = 16 << 20;
/// A split waits this long for the other splits' fences before it reads its state (delivery.md K3).
const FENCE_GATE_TIME_MAX: Duration = Duration::from_secs(5);

/// The process around the pipelines.
#[derive(Clone)]
pub struct Scene {
    pub deployment: DeploymentName,
    pub resources: Resources,
    pub secrets: Arc<dyn Resolver>,
    pub ownership: Arc<dyn Ownership>,
    pub bound: Bound,
    /// Divided over all splits.
    pub memory_bytes: usize,
    /// Pipelines that may go on although their source is not the same.
    pub accept_change: BTreeSet<PipelineName>,
    pub rollback: Rollback,
    /// Seed of back-off jitter.
    pub seed: u64,
}

/// Everything that is known about a split before it opens.
pub(crate) struct Plan {
    pub(crate) spec: PipelineSpec,
    pub(crate) scene: Scene,
    pub(crate) limits: Limits,
    pub(crate) intent: Intent,
    pub(crate) bound: Bound,
    pub(crate) seed: u64,
}

/// What became of a pipeline.
#[derive(Debug)]
pub struct Ended {
    pub pipeline: PipelineName,
    /// The first error of each split that needs a person; empty: it finished or was stopped.
    pub errors: Vec<Error>,
    /// Inputs that were set aside as a whole.
    pub parked: u64,
}

/// Pipelines under way.
pub struct Running {
    scene: Scene,
    board: StatusBoard,
    stops: BTreeMap<PipelineName, watch::Sender<bool>>,
    tasks: JoinSet<SplitEnd>,
    names: HashMap<tokio::task::Id, SplitId>,
    failed_to_start: Vec<Ended>,
}

/// Starts every pipeline. One that cannot be started is reported by [`Running::next_end`]; it does not keep the others.
pub async fn start(specs: Vec<PipelineSpec>, scene: Scene, board: StatusBoard) -> Running {
    let mut running = Running {
        scene,
        board,
        stops: BTreeMap::new(),
        tasks: JoinSet::new(),
        names: HashMap::new(),
        failed_to_start: Vec::new(),
    };
    running.add(specs).await;
    running
}

impl Running {
    /// Starts more pipelines beside those that run; their memory shares are cut from the same whole.
    pub async fn add(&mut self, specs: Vec<PipelineSpec>) {
        let counts = futures::future::join_all(specs.iter().map(|spec| prepare(spec, &self.scene))).await;
        let total: usize = counts.iter().map(|c| *c.as_ref().unwrap_or(&0) as usize).sum::<usize>() + self.tasks.len();
        let mut splits = Vec::new();
        for (spec, count) in specs.into_iter().zip(counts) {
            match count {
                Ok(count) => {
                    let ids = (0..count).map(|index| SplitId::new(spec.name.clone(), index)).collect();
                    splits.extend(plan(spec, ids, total, &self.scene, &self.board));
                }
                Err(error) => self.failed_to_start(&spec, error),
            }
        }
        let gate = Arc::new(FenceGate::new(splits.len()));
        for split in splits {
            let id = split.id.clone();
            let stop = self.stops.entry(id.pipeline.clone()).or_insert_with(|| watch::channel(false).0);
            let task = supervise(Arc::new(split), gate.clone(), stop.subscribe());
            let handle = self.tasks.spawn(task);
            self.names.insert(handle.id(), id);
        }
    }

    /// Asks all splits to commit what they have and end; returns at once.
    pub fn stop(&self) {
        for stop in self.stops.values() {
            stop.send_replace(true);
        }
    }
    /// Asks the splits of one pipeline to commit what they have and end; returns at once. Their end comes by
    /// [`Running::next_end`]; after that the pipeline may be added again.
    pub fn stop_pipeline(&mut self, pipeline: &PipelineName) {
        if let Some(stop) = self.stops.remove(pipeline) {
            stop.send_replace(true);
        }
    }
    pub fn status(&self) -> &StatusBoard {
        &self.board
    }
    /// Waits until the next split ends for whatever reason; `None` when all have.
    pub async fn next_end(&mut self) -> Option<Ended> {
        if let Some(ended) = self.failed_to_start.pop() {
            return Some(ended);
        }
        let (id, error) = match self.tasks.join_next_with_id().await? {
            Ok((id, SplitEnd::Failed(error))) => (id, Some(error)),
            Ok((id, SplitEnd::Finished | SplitEnd::Stopped)) => (id, None),
            // a panic is a Bug of one split; the others go on
            // its message may quote data; where it was, the process's own hook has told
            Err(ended) => {
                let split = self.names.get(&ended.id()).map(SplitId::to_string).unwrap_or_default();
                tracing::error!(%split, panicked = ended.is_panic(), "a split ended by a bug");
                let error = Error::bug("running a split failed, its task ended unexpectedly").code("U0908");
                (ended.id(), Some(error.with("split", split)))
            }
        };
        let split = self.names.remove(&id)?;
        let parked = self.board.split_ended(&split, error.as_ref());
        Some(Ended { pipeline: split.pipeline, errors: error.into_iter().collect(), parked })
    }
    /// Waits for all splits and puts their ends together, one for each pipeline.
    pub async fn ended(&mut self) -> Vec<Ended> {
        let mut all: Vec<Ended> = Vec::new();
        while let Some(one) = self.next_end().await {
            match all.iter_mut().find(|e| e.pipeline == one.pipeline) {
                Some(entry) => {
                    entry.errors.extend(one.errors);
                    entry.parked += one.parked;
                }
                None => all.push(one),
            }
        }
        all
    }
    fn failed_to_start(&mut self, spec: &PipelineSpec, error: Error) {
        tracing::error!(pipeline = %spec.name, error = %error.one_line(), "pipeline did not start");
        let record = Arc::new(SplitRecord::new(format!("{}/0", spec.name), spec.source.clone()));
        record.ended(crate::status::SplitState::Failed, Some(&error));
        self.board.add(spec, record);
        self.failed_to_start.push(Ended { pipeline: spec.name.clone(), errors: vec![error], parked: 0 });
    }
}

/// What has to be settled before any split of the pipeline opens; the number of its splits.
async fn prepare(spec: &PipelineSpec, scene: &Scene) -> Result<u32> {
    let count = split_count(spec, scene).await?;
    if let Some(formerly) = &spec.formerly {
        for index in 0..count {
            adopt(spec, scene, formerly, index).await?;
        }
    }
    Ok(count)
}

/// The number of splits was decided at the first start; until then the source says.
async fn split_count(spec: &PipelineSpec, scene: &Scene) -> Result<u32> {
    let count = spec.source.splits(place(spec, scene, 0)).await?;
    match count {
        0 => Err(Error::bug("planning the splits failed, the source has none").code("U0909")),
        count => Ok(count),
    }
}

fn place(spec: &PipelineSpec, scene: &Scene, index: u32) -> CheckContext {
    check_context(spec, scene, SplitId::new(spec.name.clone(), index))
}

/// What connectors need to look at a pipeline's systems without running it.
pub fn check_context(spec: &PipelineSpec, scene: &Scene, split: SplitId) -> CheckContext {
    CheckContext {
        deployment: scene.deployment.clone(),
        split,
        base: spec.base.clone(),
        resources: scene.resources.clone(),
        secrets: scene.secrets.clone(),
        quarantine_name: spec.on_error.quarantine_name.clone(),
    }
}

/// What a sink needs to be fenced, outside of a run.
pub fn sink_context(spec: &PipelineSpec, scene: &Scene, split: SplitId) -> SinkContext {
    SinkContext {
        place: check_context(spec, scene, split),
        policy: spec.policy,
        limits: limits(scene.memory_bytes, 1, spec),
        ownership: scene.ownership.clone(),
        reports: unbatch_api::Reports::default(),
        exactly_once: spec.delivery == unbatch_api::Delivery::ExactlyOnce,
    }
}

pub(crate) fn limits(memory_bytes: usize, splits: usize, spec: &PipelineSpec) -> Limits {
    let share = (memory_bytes / splits.max(1)).max(MEMORY_SHARE_MIN);
    Limits {
        batch_rows: BATCH_ROWS,
        batch_bytes: BATCH_BYTES.min(share / 8),
        uncut_rows: spec.policy.rows.max(BATCH_ROWS as u64),
        uncut_bytes: (share / 4).min(usize::try_from(spec.policy.bytes).unwrap_or(usize::MAX)).max(BATCH_BYTES),
        memory_bytes: share,
    }
}

/// The splits of a pipeline; `total` is how many share the memory.
pub(crate) fn plan(
    spec: PipelineSpec,
    ids: Vec<SplitId>,
    total: usize,
    scene: &Scene,
    board: &StatusBoard,
) -> Vec<Split> {
    let intent = Intent {
        config_hash: spec.hash.clone(),
        fingerprint: fingerprint(&spec),
        splits: ids.len() as u32,
        accept_change: scene.accept_change.contains(&spec.name),
        rollback: scene.rollback,
    };
    let limits = limits(scene.memory_bytes, total, &spec);
    let (bound, seed) = (scene.bound, scene.seed);
    let plan = Arc::new(Plan { spec, scene: scene.clone(), limits, intent, bound, seed });
    ids.into_iter()
        .map(|id| {
            let record = Arc::new(SplitRecord::new(id.to_string(), plan.spec.source.clone()));
            board.add(&plan.spec, record.clone());
            let metrics = SplitMetrics::of(&id);
            Split { id, plan: plan.clone(), record, metrics }
        })
        .collect()
}

/// What "the same source" means for this pipeline.
pub(crate) fn fingerprint(spec: &PipelineSpec) -> String {
    spec.source.fingerprint(&std::path::absolute(&spec.base).unwrap_or_else(|_| spec.base.clone()))
}

impl Plan {
    pub(crate) fn source_context(
        &self,
        split: &Split,
        resume: Checkpoint,
        committed: Committed,
        facts: &Facts,
    ) -> SourceContext {
        SourceContext {
            place: check_context(&self.spec, &self.scene, split.id.clone()),
            resume,
            committed,
            bound: self.bound,
            limits: self.limits,
            ownership: self.scene.ownership.clone(),
            reports: split.record.reports.clone(),
            stop_after: self.spec.on_error.stop_after,
            revision: facts.revision,
            generation: facts.generation,
            looks_only: false,
        }
    }
    pub(crate) fn check_context(&self, split: &Split) -> CheckContext {
        check_context(&self.spec, &self.scene, split.id.clone())
    }
    pub(crate) fn sink_context(&self, split: &Split) -> SinkContext {
        SinkContext {
            limits: self.limits,
            reports: split.record.reports.clone(),
            ..sink_context(&self.spec, &self.scene, split.id.clone())
        }
    }
}

/// K3: a split's open transaction stalls the state reads of its neighbours, so all splits of a process are fenced before any
/// reads its state. One that cannot be fenced is waited for a few seconds only: it must not hold up the others.
pub(crate) struct FenceGate {
    outside: watch::Sender<usize>,
}

/// A split that has yet to be fenced for the first time. Dropping it counts as fenced.
pub(crate) struct Entered(Arc<FenceGate>);

impl FenceGate {
    pub(crate) fn new(splits: usize) -> Self {
        Self { outside: watch::channel(splits).0 }
    }
    pub(crate) fn enter(self: &Arc<Self>) -> Entered {
        Entered(self.clone())
    }
}

impl Entered {
    pub(crate) async fn fenced_and_all_others_too(self) {
        let gate = self.0.clone();
        drop(self);
        if unbatch_api::failpoint::sabotaged("K3") {
            return;
        }
        let mut outside = gate.outside.subscribe();
        let all = outside.wait_for(|n| *n == 0);
        if timeout(FENCE_GATE_TIME_MAX, all).await.is_err() {
            tracing::warn!("opening although some splits could not be fenced yet");
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.outside.send_modify(|n| *n = n.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn k3_no_split_goes_on_before_all_are_fenced_but_none_waits_for_ever() {
        let gate = Arc::new(FenceGate::new(2));
        let (first, second) = (gate.enter(), gate.enter());
        let waiting = tokio::spawn(first.fenced_and_all_others_too());
        tokio::time::sleep(FENCE_GATE_TIME_MAX / 2).await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
        let broken = Arc::new(FenceGate::new(2));
        let start = tokio::time::Instant::now();
        broken.enter().fenced_and_all_others_too().await;
        assert_eq!(start.elapsed(), FENCE_GATE_TIME_MAX);
    }
}
