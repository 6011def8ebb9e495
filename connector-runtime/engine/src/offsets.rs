//! Positions of stopped pipelines, in human terms: read without disturbing anybody, set and reset through the sink.

use crate::adoption::moved;
use crate::config::PipelineSpec;
use crate::run::{Scene, check_context, sink_context};
use serde::Serialize;
use unbatch_api::{Checkpoint, Error, Facts, Jump, PartView, PipelineName, Result, SplitId, SplitIndex, Stored};

/// What is stored of one split.
#[derive(Debug, Serialize)]
pub struct SplitOffsets {
    pub split: String,
    pub generation: u64,
    pub owner: u64,
    pub epoch: u64,
    pub revision: u64,
    /// The pipeline that goes on from here, when this one was renamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    pub parts: Vec<PartView>,
}

/// What is stored of each split; empty when the pipeline never committed.
pub async fn view(spec: &PipelineSpec, scene: &Scene) -> Result<Vec<SplitOffsets>> {
    let mut all = Vec::new();
    let mut index = 0;
    loop {
        let split = SplitId::new(spec.name.clone(), index);
        let stored = spec.sink.inspect(check_context(spec, scene, split.clone())).await?;
        let Some(stored) = stored.filter(|stored| !stored.forgotten) else {
            return Ok(all);
        };
        all.push(SplitOffsets {
            moved_to: stored.facts.moved_to.clone(),
            split: split.to_string(),
            generation: stored.facts.generation,
            owner: stored.facts.owner,
            epoch: stored.facts.seq,
            revision: stored.facts.revision,
            parts: spec.source.describe(&stored.checkpoint),
        });
        index += 1;
        if index >= stored.facts.splits.max(1) {
            return Ok(all);
        }
    }
}

/// The positions before and after a change, for the person who has to agree to it.
#[derive(Debug, Serialize)]
pub struct Change {
    pub split: String,
    pub before: Vec<PartView>,
    pub after: Vec<PartView>,
    #[serde(skip)]
    from: Option<Moment>,
    #[serde(skip)]
    to: Option<Checkpoint>,
}

/// Generation, owner and epoch of what a change was planned on: no commit, open or jump leaves all three as they are.
type Moment = (u64, u64, u64);

fn moment(facts: &Facts) -> Moment {
    (facts.generation, facts.owner, facts.seq)
}

/// What `offsets set` would do; changes nothing.
pub async fn plan_set(spec: &PipelineSpec, scene: &Scene, index: u32, jumps: &[Jump]) -> Result<Change> {
    let split = SplitId::new(spec.name.clone(), index);
    let stored = spec.sink.inspect(check_context(spec, scene, split.clone())).await?;
    if let Some(to) = stored.as_ref().and_then(|s| s.facts.moved_to.as_deref()) {
        return Err(moved(&spec.name, to));
    }
    let from = stored.as_ref().map(|s| moment(&s.facts));
    let checkpoint = stored.map(|s| s.checkpoint).unwrap_or_default();
    let to = spec.source.jump(&checkpoint, jumps)?;
    Ok(Change {
        split: split.to_string(),
        before: spec.source.describe(&checkpoint),
        after: spec.source.describe(&to),
        from,
        to: Some(to),
    })
}

/// What `offsets reset` would do, for each split; changes nothing.
pub async fn plan_reset(spec: &PipelineSpec, scene: &Scene) -> Result<Vec<Change>> {
    let stored = view(spec, scene).await?;
    let change = |s: SplitOffsets| {
        let from = Some((s.generation, s.owner, s.epoch));
        Change { split: s.split, before: s.parts, after: Vec::new(), from, to: None }
    };
    let mut changes: Vec<Change> = stored.into_iter().map(change).collect();
    // what was refused before a reset comes again by itself, so a replay begins anew too
    let replay = SplitId { pipeline: spec.name.clone(), index: SplitIndex::Replay };
    let stored = spec.sink.inspect(check_context(spec, scene, replay.clone())).await?;
    if let Some(stored) = stored.filter(|stored| !stored.forgotten) {
        let (split, from) = (replay.to_string(), Some(moment(&stored.facts)));
        changes.push(Change { split, before: Vec::new(), after: Vec::new(), from, to: None });
    }
    Ok(changes)
}

/// Carries out a planned change: fences whoever runs the split, then rewrites its state under a new generation. What somebody
/// agreed to is a step from where the split stood; if it went on meanwhile, the same new position would double or skip other
/// rows than were shown, so nothing is written. Nobody can commit any more when that is judged.
pub async fn carry_out(spec: &PipelineSpec, scene: &Scene, change: Change) -> Result<Facts> {
    let index = match change.split.rsplit_once('/') {
        Some((_, "replay")) => Some(SplitIndex::Replay),
        Some((_, number)) => number.parse().ok().map(SplitIndex::Number),
        None => None,
    };
    let Some(index) = index else {
        return Err(Error::bug("rewriting a split's state failed, it has no number").with("split", change.split));
    };
    let split = SplitId { pipeline: spec.name.clone(), index };
    let (from, to) = (change.from, change.to);
    let pipeline = spec.name.clone();
    let judge = move |stored: Option<&Stored>| match stored.map(|s| moment(&s.facts)) == from {
        true => Ok(to),
        false => Err(went_on(&pipeline)),
    };
    spec.sink.rewrite(sink_context(spec, scene, split), Box::new(judge)).await
}

fn went_on(pipeline: &PipelineName) -> Error {
    Error::misconfigured("changing positions failed, the pipeline went on meanwhile")
        .code("U0406")
        .with("pipeline", pipeline)
        .help("stop it wherever it runs, look with `unbatch offsets get`, then repeat the command; nothing was changed")
}
