//! `formerly: NAME`: a renamed pipeline goes on with the state of its old name, once.

use crate::admission::another_source;
use crate::config::PipelineSpec;
use crate::run::{Scene, check_context, fingerprint, sink_context};
use unbatch_api::{Error, Facts, PipelineName, Result, SplitId, Stored};

/// Says that the new name got a state meanwhile.
const ALREADY: &str = "U0406";

/// Done before the first commit under the new name. The old split is opened, not only read: that fences it, raises its owner,
/// and notes in the same step where its state went, so that it is adopted once and nobody goes on with it under the old
/// name. What the new name has already is never replaced, also when it was forgotten by a reset.
pub(crate) async fn adopt(spec: &PipelineSpec, scene: &Scene, formerly: &PipelineName, index: u32) -> Result<()> {
    let new = SplitId::new(spec.name.clone(), index);
    let old = SplitId::new(formerly.clone(), index);
    let stored = |split: &SplitId| spec.sink.inspect(check_context(spec, scene, split.clone()));
    if is_known(stored(&new).await?.as_ref(), formerly) || stored(&old).await?.is_none_or(|old| old.forgotten) {
        return Ok(());
    }
    tracing::info!(pipeline = %spec.name, %formerly, "adopting the state of the old name");
    let source = (!scene.accept_change.contains(&spec.name)).then(|| fingerprint(spec));
    let moves = moving(formerly.clone(), spec.name.clone(), source);
    let opened = spec.sink.fence(sink_context(spec, scene, old)).await?.open(Box::new(moves)).await?;
    let old_name = formerly.clone();
    let take = move |stored: Option<&Stored>| match is_known(stored, &old_name) {
        true => Err(Error::transient("adopting the state of the old name failed, there is one by now").code(ALREADY)),
        false => Ok(Some(opened.checkpoint)),
    };
    match spec.sink.rewrite(sink_context(spec, scene, new), Box::new(take)).await {
        Err(error) if error.code_text() == Some(ALREADY) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// Whether the new name stands somewhere of its own. A pipeline that gets its first name back does not.
fn is_known(stored: Option<&Stored>, formerly: &PipelineName) -> bool {
    stored.is_some_and(|stored| stored.facts.moved_to.as_deref() != Some(formerly.as_str()))
}

/// What is written in place of the old name's facts. Stopped after this and before the new name has the state, the next start
/// finds it moved to itself, and takes it. `source`: what the positions have to belong to, unless somebody consents.
fn moving(
    old: PipelineName,
    new: PipelineName,
    source: Option<String>,
) -> impl FnOnce(Option<&Stored>) -> Result<Facts> + Send + 'static {
    move |stored| {
        let gone = || Error::lost("adopting the state of the old name failed, it is gone").code("U0404");
        let stored = stored.ok_or_else(gone)?;
        match stored.facts.moved_to.as_deref() {
            Some(other) if other != new.as_str() => Err(moved(&old, other)),
            _ if !is_of(stored, source.as_deref()) => {
                let error = another_source(&stored.facts.fingerprint, source.as_deref().unwrap_or_default());
                Err(error.with("formerly", &old).help(format!(
                    "start with `--accept-change {new}` if its positions still mean the same, or leave out `formerly` to begin anew"
                )))
            }
            _ => Ok(Facts { moved_to: Some(new.to_string()), ..stored.facts.clone() }),
        }
    }
}

/// Whether the positions, if there are any, belong to this source.
fn is_of(stored: &Stored, source: Option<&str>) -> bool {
    let before = &stored.facts.fingerprint;
    before.is_empty() || stored.checkpoint.is_empty() || source.is_none_or(|source| source == before)
}

/// The state of `old` is not to be used under this name.
pub(crate) fn moved(old: &PipelineName, to: &str) -> Error {
    Error::misconfigured("going on under an old name is not allowed, the pipeline was renamed")
        .code("U0405")
        .with("pipeline", old)
        .with("now", to)
        .help(format!(
            "run `{to}` and remove the file of `{old}`; to load everything again under the old name, \
             `unbatch offsets reset {old} --yes`"
        ))
}
