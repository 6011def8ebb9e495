//! The pipelines of a process under way, and the edited ones that wait for their predecessors to end.

use std::collections::BTreeMap;
use unbatch_api::PipelineName;
use unbatch_engine::config::PipelineSpec;
use unbatch_engine::{Ended, Running, SplitState};

pub(crate) struct Crew {
    running: Running,
    /// Started once the last split of the same name has ended.
    successors: BTreeMap<PipelineName, PipelineSpec>,
    /// Something may still end.
    is_active: bool,
}

impl Crew {
    pub(crate) fn new(running: Running) -> Self {
        Crew { running, successors: BTreeMap::new(), is_active: true }
    }

    /// Whether [`Crew::next`] has anything to wait for.
    pub(crate) fn is_active(&self) -> bool {
        self.is_active
    }

    /// Stops the pipeline and starts it anew from `spec`; starts it at once when it is not under way.
    pub(crate) async fn replace(&mut self, spec: PipelineSpec) {
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
        self.running.stop_pipeline(name);
    }

    /// Asks everything to commit what it has and end.
    pub(crate) fn stop(&mut self) {
        self.successors.clear();
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

    async fn add(&mut self, spec: PipelineSpec) {
        // a pipeline that failed is still in the list of those that could be stopped
        self.running.stop_pipeline(&spec.name);
        self.running.add(vec![spec]).await;
        self.is_active = true;
    }

    /// Whether a split of the pipeline has not ended yet.
    pub(crate) fn is_under_way(&self, name: &PipelineName) -> bool {
        let statuses = self.running.status().snapshot();
        let splits = statuses.iter().filter(|p| p.pipeline == name.as_str()).flat_map(|p| &p.splits);
        splits.into_iter().any(|s| matches!(s.state, SplitState::Starting | SplitState::Running | SplitState::Retrying))
    }
}
