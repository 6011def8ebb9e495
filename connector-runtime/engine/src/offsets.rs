//! Positions of stopped pipelines, in human terms: read without disturbing anybody, set and reset through the sink.

use crate::config::PipelineSpec;
use crate::run::{Scene, check_context, sink_context};
use serde::Serialize;
use unbatch_api::{Checkpoint, Error, Facts, Jump, PartView, Result, SplitId};

/// What is stored of one split.
#[derive(Debug, Serialize)]
pub struct SplitOffsets {
    pub split: String,
    pub generation: u64,
    pub owner: u64,
    pub epoch: u64,
    pub revision: u64,
    pub parts: Vec<PartView>,
}

/// What is stored of each split; empty when the pipeline never committed.
pub async fn view(spec: &PipelineSpec, scene: &Scene) -> Result<Vec<SplitOffsets>> {
    let mut all = Vec::new();
    let mut index = 0;
    loop {
        let split = SplitId::new(spec.name.clone(), index);
        let Some(stored) = spec.sink.inspect(check_context(spec, scene, split.clone())).await? else {
            return Ok(all);
        };
        all.push(SplitOffsets {
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
    to: Option<Checkpoint>,
}

/// What `offsets set` would do; changes nothing.
pub async fn plan_set(spec: &PipelineSpec, scene: &Scene, index: u32, jumps: &[Jump]) -> Result<Change> {
    let split = SplitId::new(spec.name.clone(), index);
    let stored = spec.sink.inspect(check_context(spec, scene, split.clone())).await?;
    let checkpoint = stored.map(|s| s.checkpoint).unwrap_or_default();
    let to = spec.source.jump(&checkpoint, jumps)?;
    Ok(Change {
        split: split.to_string(),
        before: spec.source.describe(&checkpoint),
        after: spec.source.describe(&to),
        to: Some(to),
    })
}

/// What `offsets reset` would do, for each split; changes nothing.
pub async fn plan_reset(spec: &PipelineSpec, scene: &Scene) -> Result<Vec<Change>> {
    let stored = view(spec, scene).await?;
    Ok(stored.into_iter().map(|s| Change { split: s.split, before: s.parts, after: Vec::new(), to: None }).collect())
}

/// Carries out a planned change: fences whoever runs the split, then rewrites its state under a new generation.
pub async fn carry_out(spec: &PipelineSpec, scene: &Scene, change: Change) -> Result<Facts> {
    let index = change.split.rsplit_once('/').and_then(|(_, n)| n.parse().ok());
    let Some(index) = index else {
        return Err(Error::bug("rewriting a split's state failed, it has no number").with("split", change.split));
    };
    let split = SplitId::new(spec.name.clone(), index);
    spec.sink.rewrite(sink_context(spec, scene, split), change.to).await
}
