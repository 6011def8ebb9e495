//! Whether a configuration may go on from what is stored, and which facts are written in place of the stored ones (contract §7).

use crate::adoption::moved;
use unbatch_api::facts::REVISIONS_MAX;
use unbatch_api::{Error, Facts, PipelineName, Result, Stored};

/// What this process wants to run.
#[derive(Clone, Debug)]
pub struct Intent {
    pub config_hash: String,
    pub fingerprint: String,
    pub splits: u32,
    /// `run --accept-change`: go on although the source is not the same.
    pub accept_change: bool,
    pub rollback: Rollback,
}

/// What an older configuration means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollback {
    /// Somebody wants it back: it gets a new number. A standalone run, or a deployment without a newer live worker.
    Intended,
    /// A worker of the middle of a rolling update: it must not take over from the newer one.
    Outdated,
}

/// Judges what is stored; the result is what the new owner writes (the sink adds owner, seq and counters).
pub fn judge(pipeline: &PipelineName, stored: Option<&Stored>, intent: &Intent) -> Result<Facts> {
    let Some(Stored { facts: stored, checkpoint, .. }) = stored else {
        return Ok(Facts {
            generation: 1,
            revision: 1,
            config_hash: intent.config_hash.clone(),
            fingerprint: intent.fingerprint.clone(),
            splits: intent.splits,
            revisions: vec![(intent.config_hash.clone(), 1)],
            ..Facts::default()
        });
    };
    if let Some(to) = &stored.moved_to {
        return Err(moved(pipeline, to));
    }
    let first_start = stored.fingerprint.is_empty();
    // Judged by the checkpoint, not by the number of epochs: positions that were adopted or set by hand are there before the
    // first. Of several splits one may be empty while another stands somewhere, and one must not go on without the other.
    let stands_nowhere = checkpoint.is_empty() && intent.splits == 1;
    if !first_start && stored.fingerprint != intent.fingerprint && !stands_nowhere && !intent.accept_change {
        return Err(another_source(&stored.fingerprint, &intent.fingerprint).help(format!(
            "start with `--accept-change {pipeline}` if its positions still mean the same, or stop it and begin anew with `unbatch offsets reset {pipeline} --yes`"
        )));
    }
    if !first_start && stored.splits != intent.splits {
        return Err(Error::misconfigured("changing the number of splits at a start is not allowed")
            .code("U0402")
            .with("before", stored.splits)
            .with("now", intent.splits)
            .help(format!("set it back, or stop it and begin anew with `unbatch offsets reset {pipeline} --yes`")));
    }
    let mut facts = stored.clone();
    facts.fingerprint = intent.fingerprint.clone();
    facts.splits = intent.splits;
    if stored.config_hash != intent.config_hash {
        facts.revision = revision_of_change(stored, intent)?;
        facts.config_hash = intent.config_hash.clone();
        facts.revisions.retain(|(hash, _)| *hash != intent.config_hash);
        facts.revisions.push((intent.config_hash.clone(), facts.revision));
        let excess = facts.revisions.len().saturating_sub(REVISIONS_MAX);
        facts.revisions.drain(..excess);
    }
    Ok(facts)
}

/// Positions would mean something else.
pub(crate) fn another_source(before: &str, now: &str) -> Error {
    Error::misconfigured("going on with another source than before is not allowed")
        .code("U0401")
        .with("before", before)
        .with("now", now)
}

/// K7: a lower revision than the one in the state does not open, unless it is a rollback, which gets a new number.
fn revision_of_change(stored: &Facts, intent: &Intent) -> Result<u64> {
    let highest = stored.revisions.iter().map(|(_, n)| *n).max().unwrap_or(0).max(stored.revision);
    let known = stored.revisions.iter().find(|(hash, _)| *hash == intent.config_hash).map(|(_, n)| *n);
    let sabotaged = unbatch_api::failpoint::sabotaged("K7");
    match known {
        Some(older) if older < stored.revision && intent.rollback == Rollback::Outdated && !sabotaged => {
            Err(Error::transient("opening with an older configuration than the running one is not allowed")
                .code("U0403")
                .with("revision", older)
                .with("running", stored.revision)
                .help("let the rolling update finish; this worker takes over once it has the newer file"))
        }
        _ => Ok(highest + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::{Advance, Checkpoint, Kind};

    /// Of a split that has read something.
    fn judged(stored: Option<&Facts>, intent: &Intent) -> Result<Facts> {
        judged_at(stored.map(|facts| (facts, Advance::of("a".into(), None, "1".into()))), intent)
    }

    fn judged_at(stored: Option<(&Facts, Advance)>, intent: &Intent) -> Result<Facts> {
        let stored = stored.map(|(facts, advance)| {
            let mut checkpoint = Checkpoint::default();
            checkpoint.apply(&advance).unwrap();
            Stored { facts: facts.clone(), checkpoint, forgotten: false }
        });
        judge(&PipelineName::parse("stock").unwrap(), stored.as_ref(), intent)
    }

    fn intent(hash: &str) -> Intent {
        Intent {
            config_hash: hash.into(),
            fingerprint: "drops".into(),
            splits: 1,
            accept_change: false,
            rollback: Rollback::Intended,
        }
    }

    #[test]
    fn a_first_start_is_generation_and_revision_one() {
        let facts = judged(None, &intent("a")).unwrap();
        assert_eq!((facts.generation, facts.revision, facts.splits), (1, 1, 1));
    }

    #[test]
    fn the_same_configuration_keeps_its_number_and_a_new_one_gets_the_next() {
        let a = judged(None, &intent("a")).unwrap();
        assert_eq!(judged(Some(&a), &intent("a")).unwrap().revision, 1);
        let b = judged(Some(&a), &intent("b")).unwrap();
        assert_eq!(b.revision, 2);
        let rolled_back = judged(Some(&b), &intent("a")).unwrap();
        assert_eq!(rolled_back.revision, 3);
        assert_eq!(rolled_back.revisions, vec![("b".to_owned(), 2), ("a".to_owned(), 3)]);
    }

    #[test]
    fn k7_a_lower_revision_does_not_open_in_the_middle_of_a_rolling_update() {
        let a = judged(None, &intent("a")).unwrap();
        let b = judged(Some(&a), &intent("b")).unwrap();
        let outdated = Intent { rollback: Rollback::Outdated, ..intent("a") };
        let error = judged(Some(&b), &outdated).unwrap_err();
        assert_eq!(error.kind(), Kind::Transient);
        assert_eq!(error.code_text(), Some("U0403"));
        let unknown = Intent { rollback: Rollback::Outdated, ..intent("c") };
        assert_eq!(judged(Some(&b), &unknown).unwrap().revision, 3);
    }

    #[test]
    fn another_source_needs_consent() {
        let a = judged(None, &intent("a")).unwrap();
        let mut other = Intent { fingerprint: "elsewhere".into(), ..intent("b") };
        assert_eq!(judged(Some(&a), &other).unwrap_err().kind(), Kind::Misconfigured);
        other.accept_change = true;
        assert_eq!(judged(Some(&a), &other).unwrap().fingerprint, "elsewhere");
    }

    /// A typo in `url` that is mended before anything was read. Positions may also have come by hand or from an old name, so it
    /// is the checkpoint that counts.
    #[test]
    fn a_source_of_which_nothing_was_read_is_exchanged_without_consent() {
        let (a, nothing) = (judged(None, &intent("a")).unwrap(), Advance::default);
        let elsewhere = Intent { fingerprint: "elsewhere".into(), ..intent("b") };
        assert_eq!(judged_at(Some((&a, nothing())), &elsewhere).unwrap().fingerprint, "elsewhere");
        let later = Facts { seq: 7, ..a.clone() };
        assert_eq!(judged_at(Some((&later, nothing())), &elsewhere).unwrap().fingerprint, "elsewhere");

        let only_a_note = nothing().note("seen".into(), Some("1".into()));
        for stands in [Advance::of("a".into(), None, "1".into()), only_a_note] {
            let refused = judged_at(Some((&a, stands)), &elsewhere).unwrap_err();
            assert_eq!(refused.code_text(), Some("U0401"));
        }
        // the other split may stand somewhere
        let two = Facts { splits: 2, ..a };
        let refused = judged_at(Some((&two, nothing())), &Intent { splits: 2, ..elsewhere }).unwrap_err();
        assert_eq!(refused.code_text(), Some("U0401"));
    }

    #[test]
    fn only_the_last_configurations_are_remembered() {
        let mut facts = judged(None, &intent("0")).unwrap();
        for n in 1..40 {
            facts = judged(Some(&facts), &intent(&n.to_string())).unwrap();
        }
        assert_eq!(facts.revisions.len(), REVISIONS_MAX);
        assert_eq!(facts.revision, 40);
    }

    #[test]
    fn a_state_that_went_to_a_new_name_does_not_open_under_the_old_one() {
        let moved = Facts { moved_to: Some("stock-counts".into()), ..judged(None, &intent("a")).unwrap() };
        let error = judged(Some(&moved), &intent("a")).unwrap_err();
        assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0405")));
        assert!(error.one_line().contains("stock-counts"), "{error:?}");
    }
}
