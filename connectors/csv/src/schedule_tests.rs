use super::*;
use crate::ledger::Ledger;
use serde_json::json;
use std::collections::BTreeMap;
use unbatch_api::Checkpoint;

fn schedule(config: serde_json::Value) -> Schedule {
    Schedule::new(&serde_json::from_value(config).unwrap()).unwrap()
}

fn berlin(by: &str) -> Schedule {
    schedule(json!({"by": by, "zone": "Europe/Berlin", "grace": "30m"}))
}

/// A moment in UTC.
fn at(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(&format!("{text}:00Z")).unwrap().timestamp_millis()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The deadline of a date, in UTC.
fn due(schedule: &Schedule, on: &str) -> String {
    let due = schedule.due(date(on)).unwrap();
    DateTime::from_timestamp_millis(due).unwrap().format("%Y-%m-%dT%H:%M").to_string()
}

/// What is said at `now` of these deliveries: day and state.
fn said(schedule: &Schedule, now: &str, came: &[(&str, What)]) -> (String, State) {
    let now = at(now);
    // what is still to come is not known
    let deliveries = came.iter().map(|(came, what)| Delivery { came: at(came), what: *what });
    let judgement = schedule.judge(now, deliveries.filter(|d| d.came <= now)).unwrap();
    (judgement.day.date.to_string(), judgement.state)
}

fn files(came: &[&'static str]) -> Vec<(&'static str, What)> {
    came.iter().map(|came| (*came, What::File)).collect()
}

#[test]
fn deadlines_follow_the_clocks_of_the_zone() {
    let six = berlin("06:00");
    assert_eq!(due(&six, "2026-01-15"), "2026-01-15T05:00");
    assert_eq!(due(&six, "2026-03-28"), "2026-03-28T05:00");
    assert_eq!(due(&six, "2026-03-29"), "2026-03-29T04:00");
    assert_eq!(due(&six, "2026-10-25"), "2026-10-25T05:00");
    let new_york = schedule(json!({"by": "06:00", "zone": "America/New_York"}));
    assert_eq!(due(&new_york, "2026-03-07"), "2026-03-07T11:00");
    assert_eq!(due(&new_york, "2026-03-08"), "2026-03-08T10:00");
    assert_eq!(due(&new_york, "2026-11-01"), "2026-11-01T11:00");
    let fixed = schedule(json!({"by": "06:00", "zone": "+05:30"}));
    assert_eq!(due(&fixed, "2026-03-29"), "2026-03-29T00:30");
}

#[test]
fn a_time_that_was_left_out_is_when_the_clocks_were_set_and_one_that_came_twice_is_the_second() {
    assert_eq!(due(&berlin("02:30"), "2026-03-29"), "2026-03-29T01:00");
    assert_eq!(due(&berlin("02:30"), "2026-10-25"), "2026-10-25T01:30");
    let new_york = |by| schedule(json!({"by": by, "zone": "America/New_York"}));
    assert_eq!(due(&new_york("02:30"), "2026-03-08"), "2026-03-08T07:00");
    assert_eq!(due(&new_york("01:30"), "2026-11-01"), "2026-11-01T06:30");
    // the clocks of Samoa left out the 30th of December
    assert_eq!(due(&schedule(json!({"by": "06:00", "zone": "Pacific/Apia"})), "2011-12-30"), "2011-12-30T10:00");
}

#[test]
fn every_moment_of_two_years_belongs_to_one_day() {
    for zone in ["Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Australia/Lord_Howe", "UTC"] {
        for by in ["00:00", "01:30", "02:30", "06:00", "23:59"] {
            let schedule = schedule(json!({"by": by, "zone": zone, "grace": "12h"}));
            let mut on = date("2026-01-01");
            let mut before = schedule.day(schedule.due(on).unwrap()).unwrap();
            while on < date("2028-01-01") {
                on = on.succ_opt().unwrap();
                let due = schedule.due(on).unwrap();
                let day = schedule.day(due).unwrap();
                assert_eq!((day.date, day.due), (on, due), "{zone} {by}");
                assert_eq!(schedule.day(due - 1), Some(before), "{zone} {by} {on}");
                assert_eq!((before.ends, before.next), (day.begins, day.due), "{zone} {by} {on}");
                assert!(before.ends < day.due, "{zone} {by} {on}: the grace reaches the next deadline");
                before = day;
            }
        }
    }
}

#[test]
fn a_day_goes_from_awaited_to_missing_and_what_comes_ends_it() {
    let six = berlin("06:00");
    let day = |state| ("2026-07-02".to_owned(), state);
    // 06:00 in Berlin is 04:00
    let said = |now, came: &[&'static str]| said(&six, now, &files(came));
    assert_eq!(said("2026-07-02T03:59", &["2026-07-01T03:00"]), ("2026-07-01".to_owned(), State::OnTime));
    assert_eq!(said("2026-07-02T04:00", &["2026-07-02T04:00"]), day(State::OnTime));
    assert_eq!(said("2026-07-02T04:00", &["2026-07-01T04:30"]), day(State::Awaited));
    assert_eq!(said("2026-07-02T04:30", &["2026-07-02T04:31"]), day(State::Awaited));
    assert_eq!(said("2026-07-02T04:30", &["2026-07-02T04:30"]), day(State::CameLate));
    assert_eq!(said("2026-07-02T04:31", &[]), day(State::Missing));
    assert_eq!(said("2026-07-02T09:00", &["2026-07-02T08:00"]), day(State::CameLate));
    // what came behind the grace counts for the next day, and only for that
    let tomorrow = |state| ("2026-07-03".to_owned(), state);
    assert_eq!(said("2026-07-03T04:00", &["2026-07-02T08:00"]), tomorrow(State::OnTime));
    assert_eq!(said("2026-07-03T04:00", &["2026-07-02T04:30"]), tomorrow(State::Awaited));
}

#[test]
fn the_grace_is_as_long_as_it_says_when_the_clocks_change() {
    // 01:30 in Berlin on the 29th of March is 00:30; an hour of grace ends at 03:30 by the clocks
    let schedule = schedule(json!({"by": "01:30", "zone": "Europe/Berlin", "grace": "1h"}));
    let state = |now| said(&schedule, now, &[]).1;
    assert_eq!(state("2026-03-29T00:30"), State::Awaited);
    assert_eq!(state("2026-03-29T01:30"), State::Awaited);
    assert_eq!(state("2026-03-29T01:31"), State::Missing);
}

#[test]
fn what_comes_on_days_between_counts_for_the_next_one() {
    let days = json!(["mon", "tue", "wed", "thu", "fri"]);
    let schedule = schedule(json!({"by": "06:00", "zone": "Europe/Berlin", "grace": "30m", "days": days}));
    // the 3rd of July 2026 is a Friday
    let friday = ("2026-07-03".to_owned(), State::Missing);
    assert_eq!(said(&schedule, "2026-07-05T12:00", &[]), friday);
    assert_eq!(said(&schedule, "2026-07-06T03:59", &[]), friday);
    let monday = |came: &[&'static str]| said(&schedule, "2026-07-06T04:00", &files(came));
    assert_eq!(monday(&["2026-07-04T20:00"]), ("2026-07-06".to_owned(), State::OnTime));
    assert_eq!(monday(&["2026-07-03T03:00"]), ("2026-07-06".to_owned(), State::Awaited));
}

#[test]
fn a_day_with_too_few_good_files_says_what_came_instead() {
    let schedule = schedule(json!({"by": "06:00", "zone": "UTC", "grace": "30m", "files": 2}));
    let said = |now, came: &[(&'static str, What)]| said(&schedule, now, came).1;
    let (file, empty) = (("2026-07-02T05:00", What::File), ("2026-07-02T05:10", What::Empty));
    let again = ("2026-07-02T05:20", What::Again);
    assert_eq!(said("2026-07-02T06:00", &[file]), State::Awaited);
    assert_eq!(said("2026-07-02T06:00", &[file, empty]), State::Empty);
    assert_eq!(said("2026-07-02T06:00", &[file, again]), State::Duplicate);
    assert_eq!(said("2026-07-02T06:00", &[empty, again]), State::Duplicate);
    assert_eq!(said("2026-07-02T06:31", &[again]), State::Missing);
    let later = [file, empty, ("2026-07-02T06:10", What::File)];
    assert_eq!(said("2026-07-02T06:09", &later), State::Empty);
    assert_eq!(said("2026-07-02T06:10", &later), State::CameLate);
    // empty ones behind the grace end nothing
    assert_eq!(said("2026-07-02T09:00", &[file, ("2026-07-02T07:00", What::Empty)]), State::Missing);
    assert_eq!(said("2026-07-02T09:00", &[file, ("2026-07-02T07:00", What::File)]), State::CameLate);
}

/// A file as the ledger has it; times in milliseconds.
fn entry(path: &str, outcome: Outcome, rows: u64, (changed, came): (i64, Option<i64>)) -> Entry {
    // a modification time of another day, as a copy keeps it
    let stat = ObjectStat { size: 9, mtime: 1, ctime: changed * 1_000_000, ..ObjectStat::default() };
    let (digest, id) = ("d".into(), path.into());
    let (text_bytes, code, archive, came_again, read_to) = (None, None, None, None, None);
    let (seq, rejected, line, path) = (1, 0, 0, path.into());
    Entry {
        path,
        id,
        seq,
        stat,
        digest,
        text_bytes,
        way: None,
        outcome,
        code,
        rows,
        rejected,
        line,
        archive,
        came,
        came_again,
        read_to,
    }
}

#[test]
fn a_restart_knows_what_came_before_it() {
    let six = berlin("06:00");
    let came = at("2026-07-02T03:30");
    let told = |entries: Vec<Entry>| {
        let notes = Ledger::notes_of(entries).unwrap();
        let checkpoint = Checkpoint { notes: notes.into_iter().collect::<BTreeMap<_, _>>(), ..Checkpoint::default() };
        let ledger = Ledger::read(&checkpoint).unwrap();
        six.judge(at("2026-07-02T04:00"), ledger.files().flat_map(deliveries)).unwrap().state
    };
    let later = at("2026-07-02T12:00");
    assert_eq!(told(vec![entry("a", Outcome::Loaded, 3, (came, None))]), State::OnTime);
    // touched since
    assert_eq!(told(vec![entry("a", Outcome::Loaded, 3, (later, Some(came)))]), State::OnTime);
    assert_eq!(told(vec![entry("a", Outcome::Failed, 0, (came, None))]), State::OnTime);
    assert_eq!(told(vec![entry("a", Outcome::Loaded, 0, (came, None))]), State::Empty);
    for outcome in [Outcome::Grown, Outcome::Marked] {
        assert_eq!(told(vec![entry("a", outcome, 3, (came, None))]), State::Awaited, "{outcome:?}");
    }
    let yesterday = at("2026-07-01T03:30");
    let again = Entry { came_again: Some(came), ..entry("a", Outcome::Loaded, 3, (came, Some(yesterday))) };
    assert_eq!(told(vec![again]), State::Duplicate);
    assert_eq!(told(vec![entry("a", Outcome::Loaded, 3, (yesterday, None))]), State::Awaited);
}

#[test]
fn times_of_day_are_written_with_four_digits() {
    for text in ["06:00", "00:00", "23:59"] {
        assert!(time_of_day(text).is_some(), "{text}");
    }
    for text in ["", "6:00", "24:00", "06:60", "0600", "06:00:00", " 6:00", "+6:00", "06.00", "ö:00"] {
        assert!(time_of_day(text).is_none(), "{text}");
    }
}
