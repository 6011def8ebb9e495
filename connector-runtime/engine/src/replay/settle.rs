//! Entries that a person is done with: they are marked as a replay marks them, by the same split, and no row is written.

use super::source::{Found, LAST, lock};
use super::{Place, Purpose, run, today};
use crate::config::PipelineSpec;
use crate::run::Scene;
use crate::supervisor::SplitEnd;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use unbatch_api::quarantine::{QuarantineFilter, Settlement, UnreadableEntry};
use unbatch_api::{Checkpoint, Error, NoteKey};

/// What was settled.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Settled {
    /// Entries that wait no longer.
    pub settled: u64,
    /// The first of them.
    pub entries: Vec<Place>,
    /// What stands in the quarantine and is no entry.
    pub unreadable: Vec<UnreadableEntry>,
}

/// Takes the chosen entries that wait off the list, whatever they are, without their rows. What was committed before an error or a stop
/// is counted all the same. A second time there is nothing to settle.
pub async fn settle(
    spec: &PipelineSpec,
    scene: &Scene,
    filter: QuarantineFilter,
    how: Settlement,
    mut stop: watch::Receiver<bool>,
) -> (Settled, Option<Error>) {
    let today = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return (Settled::default(), None),
        today = today(spec, scene) => match today {
            Ok(today) => today,
            Err(error) => return (Settled::default(), Some(error)),
        },
    };
    let found = Arc::new(Mutex::new(Found::default()));
    let (ended, record) = run(spec, scene, Purpose::Settle { filter, how }, today, &found, stop).await;
    let found = std::mem::take(&mut *lock(&found));
    let count = record.map_or(0, |record| committed(&found.settled, &record.checkpoint()));
    let entries = found.settled_told.into_iter().take(count).collect();
    let settled = Settled { settled: count as u64, entries, unreadable: found.unreadable };
    match ended {
        Some(SplitEnd::Failed(error)) => (settled, Some(error)),
        _ => (settled, None),
    }
}

/// How many of the marks, in their order, are in the sink.
fn committed(marked: &HashMap<String, usize>, checkpoint: &Checkpoint) -> usize {
    let Some(last) = checkpoint.note(&NoteKey::from(LAST)) else { return 0 };
    std::str::from_utf8(last).ok().and_then(|id| marked.get(id)).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::Advance;

    #[test]
    fn only_marks_that_are_committed_count() {
        let marked = HashMap::from([("a".to_owned(), 0), ("b".to_owned(), 1), ("c".to_owned(), 2)]);
        let mut checkpoint = Checkpoint::default();
        assert_eq!(committed(&marked, &checkpoint), 0);
        for (last, count) in [("of an earlier replay", 0), ("b", 2), ("c", 3)] {
            let step = Advance::default().note(NoteKey::from(LAST), Some(last.as_bytes().into()));
            checkpoint.apply(&step).unwrap();
            assert_eq!(committed(&marked, &checkpoint), count, "{last}");
        }
    }
}
