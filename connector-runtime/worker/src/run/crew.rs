//! The pipelines of a process under way, and the edited ones that wait for their predecessors to end.

use std::collections::BTreeMap;
use unbatch_api::{Kind, PipelineName};
use unbatch_engine::config::PipelineSpec;
use unbatch_engine::{Ended, Running, SplitState};

pub(crate) struct Crew {
    running: Running,
    /// Started once the last split of the same name has ended.
    successors: BTreeMap<PipelineName, PipelineSpec>,
    /// What each pipeline was started from last.
    current: BTreeMap<PipelineName, PipelineSpec>,
    /// What ran well until an edit replaced it, for the case that the edit cannot even be opened.
    proven: BTreeMap<PipelineName, PipelineSpec>,
    /// Something may still end.
    is_active: bool,
}

impl Crew {
    pub(crate) fn new(running: Running, specs: Vec<PipelineSpec>) -> Self {
        let current = specs.into_iter().map(|spec| (spec.name.clone(), spec)).collect();
        Crew { running, successors: BTreeMap::new(), current, proven: BTreeMap::new(), is_active: true }
    }

    /// Whether [`Crew::next`] has anything to wait for.
    pub(crate) fn is_active(&self) -> bool {
        self.is_active
    }

    /// Stops the pipeline and starts it anew from `spec`; starts it at once when it is not under way.
    pub(crate) async fn replace(&mut self, spec: PipelineSpec) {
        if self.has_state(&spec.name, |state| state == SplitState::Running)
            && let Some(before) = self.current.get(&spec.name)
        {
            self.proven.insert(spec.name.clone(), before.clone());
        }
        if self.is_under_way(&spec.name) {
            self.running.stop_pipeline(&spec.name);
            self.successors.insert(spec.name.clone(), spec);
        } else {
            self.add(spec).await;
        }
    }

    /// Stops a pipeline for good.
    pub(crate) fn stop_pipeline(&mut self, name: &PipelineName) {
        self.successors.remove(name);
        self.proven.remove(name);
        self.running.stop_pipeline(name);
    }

    /// Asks everything to commit what it has and end.
    pub(crate) fn stop(&mut self) {
        self.successors.clear();
        self.proven.clear();
        self.running.stop();
    }

    /// Waits for the next split to end, and starts the successor of a pipeline whose last one that was. `None`: nothing is
    /// under way any more.
    pub(crate) async fn next(&mut self) -> Option<Ended> {
        let ended = self.running.next_end().await;
        self.is_active = ended.is_some();
        ended
    }

    /// Starts the successor of a pipeline that has ended; whether there was one.
    pub(crate) async fn succeed(&mut self, name: &PipelineName) -> bool {
        if self.is_under_way(name) {
            return false;
        }
        match self.successors.remove(name) {
            Some(spec) => {
                self.add(spec).await;
                true
            }
            None => false,
        }
    }

    /// Goes on with what ran before an edit, when what the edit made of it is refused before it was ever open: a system says
    /// only then that it does not fit. Whether it does so.
    pub(crate) async fn fall_back(&mut self, ended: &Ended) -> bool {
        let name = &ended.pipeline;
        let is_refused = ended.errors.iter().any(|error| error.kind() == Kind::Misconfigured);
        if !is_refused || self.successors.contains_key(name) || self.is_under_way(name) {
            return false;
        }
        let statuses = self.running.status().snapshot();
        let was_open =
            statuses.iter().filter(|p| p.pipeline == name.as_str()).flat_map(|p| &p.splits).any(|s| s.owner > 0);
        let tried = self.current.get(name).map(|spec| spec.hash.clone());
        // kept, since the next edit may come before this one is open again; but never tried twice in a row
        let proven = self.proven.get(name).filter(|spec| !was_open && tried.as_ref() != Some(&spec.hash));
        match proven.cloned() {
            Some(spec) => {
                self.add(spec).await;
                true
            }
            None => false,
        }
    }

    async fn add(&mut self, spec: PipelineSpec) {
        self.current.insert(spec.name.clone(), spec.clone());
        // a pipeline that failed is still in the list of those that could be stopped
        self.running.stop_pipeline(&spec.name);
        self.running.add(vec![spec]).await;
        self.is_active = true;
    }

    /// Whether a split of the pipeline has not ended yet.
    pub(crate) fn is_under_way(&self, name: &PipelineName) -> bool {
        let active = [SplitState::Starting, SplitState::Running, SplitState::Retrying];
        self.has_state(name, |state| active.contains(&state))
    }

    /// Whether a split of the pipeline is in such a state.
    fn has_state(&self, name: &PipelineName, is_meant: impl Fn(SplitState) -> bool) -> bool {
        let statuses = self.running.status().snapshot();
        let mut splits = statuses.iter().filter(|p| p.pipeline == name.as_str()).flat_map(|p| &p.splits);
        splits.any(|s| is_meant(s.state))
    }
}
