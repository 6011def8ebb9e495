//! Tells whether the day's files came. It only looks at what the ledger has and what lies there; no file waits for it.

use super::feed::Feed;
use crate::folder::Listing;
use crate::schedule::{Judgement, Schedule, State, arrival, deliveries};
use chrono::NaiveDate;
use std::collections::HashSet;
use std::time::{Duration, SystemTime};
use unbatch_object_files::ObjectStat;

/// The day that was judged last.
pub struct Punctuality {
    schedule: Schedule,
    last: Option<Judged>,
    /// What was told of `told_of`.
    told: Vec<State>,
    told_of: NaiveDate,
}

struct Judged {
    judgement: Judgement,
    /// How many batches had been handed on: the ledger only changes with one.
    given: u64,
}

impl Punctuality {
    pub fn new(schedule: Schedule) -> Self {
        Self { schedule, last: None, told: Vec::new(), told_of: NaiveDate::default() }
    }

    /// Whether there may be something new to say.
    fn is_due(&self, now: i64, given: u64) -> bool {
        self.last.as_ref().is_none_or(|last| {
            let is_final = last.judgement.state == State::OnTime;
            now > last.judgement.holds_until() || (last.given != given && !is_final)
        })
    }
}

impl Feed {
    /// When a file came, for the ledger; `None` when nobody asks. With markers it came when its marker did.
    pub(super) fn came(&self, name: &str, stat: &ObjectStat) -> Option<i64> {
        self.punctuality.as_ref()?;
        let marker = self.shared.names.marker_of(name);
        // a marker that cannot be looked at any more says nothing
        let marked = marker.and_then(|marker| self.shared.folder.look(&marker).ok().flatten());
        Some(arrival(stat).max(marked.as_ref().map_or(i64::MIN, arrival)).min(now_ms()))
    }

    /// Judges the day at `now`, when the folder was listed. `waiting`: files that are not ready.
    pub(super) fn judge_day(&mut self, now: i64, listing: &Listing, waiting: &[(String, Duration)], is_last: bool) {
        let given = self.given;
        let Some(mut punctuality) = self.punctuality.take_if(|p| p.is_due(now, given)) else { return };
        let known = self.shared.ledger.files().flat_map(deliveries);
        if let Some(judgement) = punctuality.schedule.judge(now, known)
            && (is_last || !self.is_settling(&judgement, listing, waiting))
        {
            self.tell_day(&mut punctuality, &judgement);
            punctuality.last = Some(Judged { judgement, given });
        }
        self.punctuality = Some(punctuality);
    }

    /// Whether a file that came before the deadline only has to stand still for a moment more.
    fn is_settling(&self, judgement: &Judgement, listing: &Listing, waiting: &[(String, Duration)]) -> bool {
        if judgement.state == State::OnTime || self.settling.needs_marker() || waiting.is_empty() {
            return false;
        }
        let waiting: HashSet<&str> = waiting.iter().map(|(name, _)| name.as_str()).collect();
        let mut there = listing.files.iter().filter(|(name, _)| waiting.contains(name.as_str()));
        there.any(|(_, stat)| arrival(stat) <= judgement.deadline())
    }

    fn tell_day(&self, punctuality: &mut Punctuality, judgement: &Judgement) {
        let (state, day) = (judgement.state, judgement.day);
        let is = |states: &[State]| i64::from(states.contains(&state));
        self.reports.set("expected_on_time", is(&[State::OnTime]));
        self.reports.set("expected_late", is(&[State::Awaited, State::CameLate]));
        self.reports.set("expected_missing", is(&[State::Missing]));
        self.reports.set("expected_empty", is(&[State::Empty]));
        self.reports.set("expected_duplicate", is(&[State::Duplicate]));
        self.reports.set("expected_by_timestamp_seconds", day.next.div_euclid(1_000));
        if punctuality.told_of != day.date {
            (punctuality.told_of, punctuality.told) = (day.date, Vec::new());
        }
        if let Some(code) = state.code().filter(|_| !punctuality.told.contains(&state)) {
            self.reports.notice(code, &day.date.to_string(), &punctuality.schedule.message(judgement));
            punctuality.told.push(state);
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
