//! The separate reader: a plain consumer of committed records in this process, which knows nothing of the pipeline but the
//! names of its topics. Once it watches rows come in, at the end it counts everything anew.

use super::ledger::{Counted, Ledger};
use crate::topic_scan::{From, Scan};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use unbatch_api::{QuarantineEntry, Result};
use unbatch_kafka_client::{Admin, Record};

/// How long the watching reader waits for the next record before it looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(20);
/// The final count waits this long for records that the broker says are there.
const COUNT_WAIT: Duration = Duration::from_secs(1);

/// Watches a topic from its start on a thread of its own.
pub(super) struct Watcher {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// What has come by so far.
#[derive(Clone, Default)]
pub(super) struct Seen {
    /// Rows by distribution centre.
    pub(super) rows: BTreeMap<String, u64>,
    /// The first record of all.
    pub(super) sample: Option<(String, String)>,
}

impl Watcher {
    pub(super) fn start(admin: &Admin, topic: &str) -> Result<Watcher> {
        let mut scan = Scan::open(admin, topic, From::Start, true)?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (book, wanted) = (seen.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !wanted.load(Ordering::Relaxed) {
                if let Some(record) = scan.next(LOOK)? {
                    book.lock().unwrap_or_else(PoisonError::into_inner).add(&record);
                }
            }
            Ok(())
        });
        Ok(Watcher { seen, stop, thread: Some(thread) })
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Rows of one distribution centre so far.
    pub(super) fn rows_of(&self, centre: &str) -> u64 {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).rows.get(centre).copied().unwrap_or(0)
    }

    /// Whether it still reads.
    pub(super) fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // what it failed of shows in the final count
            let _ = thread.join();
        }
    }
}

impl Seen {
    pub(super) fn total(&self) -> u64 {
        self.rows.values().sum()
    }
    fn add(&mut self, record: &Record) {
        let key = text(record.key.as_deref());
        if let Some(id) = serde_json::from_str::<Key>(&key).ok().map(|k| k.count_id) {
            let centre = id.split('-').next().unwrap_or_default().to_owned();
            *self.rows.entry(centre).or_default() += 1;
        }
        if self.sample.is_none() {
            self.sample = Some((key, text(record.value.as_deref())));
        }
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default()
}

#[derive(Deserialize)]
struct Key {
    count_id: String,
}

/// The fields that are held against the ledger.
#[derive(Deserialize)]
struct Row {
    count_id: String,
    counted: i32,
    unit_cost: String,
}

/// The final count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Records in the topic.
    pub(super) in_topic: u64,
    /// Entries in quarantine.
    pub(super) quarantined: u64,
    /// Records of a row that was there already.
    pub(super) duplicates: u64,
    /// Rows of the ledger that are in neither.
    pub(super) missing: u64,
    /// Records that say something else than the ledger, or of a row that it does not know.
    pub(super) altered: u64,
}

/// Reads topic and quarantine from their start to their end and holds them against the ledger.
pub(super) fn count(
    admin: &Admin,
    topic: &str,
    quarantine: &str,
    ledger: &Ledger,
) -> Result<(Count, Vec<QuarantineEntry>)> {
    let mut tally = Tally::of(ledger);
    each(admin, topic, |record| tally.record(ledger, record))?;
    let mut entries = Vec::new();
    each(admin, quarantine, |record| match record.value.as_deref().map(QuarantineEntry::from_json) {
        Some(Ok(entry)) => entries.push(entry),
        _ => tally.count.altered += 1,
    })?;
    tally.count.quarantined = entries.len() as u64;
    Ok((tally.end(ledger), entries))
}

fn each(admin: &Admin, topic: &str, mut take: impl FnMut(&Record)) -> Result<()> {
    let mut scan = Scan::open(admin, topic, From::Start, true)?;
    while !scan.is_done() {
        if let Some(record) = scan.next(COUNT_WAIT)? {
            take(&record);
        }
    }
    Ok(())
}

/// How often each row of the ledger was seen.
struct Tally {
    times: BTreeMap<&'static str, Vec<u32>>,
    count: Count,
}

impl Tally {
    fn of(ledger: &Ledger) -> Self {
        let times = ledger.books().map(|(centre, book)| (centre, vec![0; book.len()])).collect();
        Tally { times, count: Count::default() }
    }

    fn record(&mut self, ledger: &Ledger, record: &Record) {
        self.count.in_topic += 1;
        let row: Option<Row> = record.value.as_deref().and_then(|v| serde_json::from_slice(v).ok());
        let found = row.as_ref().and_then(|row| ledger.find(&row.count_id));
        let (Some(row), Some((centre, index, counted))) = (row, found) else {
            self.count.altered += 1;
            return;
        };
        if !counted.is_some_and(|c| agrees(&c, &row)) {
            self.count.altered += 1;
        }
        if let Some(times) = self.times.get_mut(centre).and_then(|book| book.get_mut(index)) {
            self.count.duplicates += u64::from(*times > 0);
            *times += 1;
        }
    }

    /// What is in neither topic nor quarantine. A row that cannot be read must be in quarantine, each once.
    fn end(mut self, ledger: &Ledger) -> Count {
        for (centre, book) in ledger.books() {
            let times = self.times.get(centre).map(Vec::as_slice).unwrap_or_default();
            let unseen = book.iter().zip(times).filter(|(row, times)| row.is_some() && **times == 0);
            self.count.missing += unseen.count() as u64;
        }
        let bad = ledger.bad();
        self.count.missing += bad.saturating_sub(self.count.quarantined);
        self.count.duplicates += self.count.quarantined.saturating_sub(bad);
        self.count
    }
}

fn agrees(counted: &Counted, row: &Row) -> bool {
    row.counted == counted.pieces && row.unit_cost == counted.cost_text()
}

impl Count {
    /// Every row exactly once, as it was, and the bad ones aside.
    pub(super) fn agrees_with(&self, ledger: &Ledger) -> bool {
        let expected = Count { in_topic: ledger.good(), quarantined: ledger.bad(), ..Count::default() };
        *self == expected
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::export;
    use super::*;

    fn record(ledger: &Ledger, id: &str, by: i32) -> Record {
        let counted = ledger.find(id).unwrap().2.unwrap_or(Counted { pieces: 0, cost_cents: 0 });
        let value =
            serde_json::json!({"count_id": id, "counted": counted.pieces + by, "unit_cost": counted.cost_text()});
        Record {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            key: None,
            value: Some(value.to_string().into()),
            headers: Vec::new(),
            timestamp_ms: None,
        }
    }

    /// Ids, and by how much each differs from the ledger.
    type Records<'a> = &'a [(&'a str, i32)];

    fn counted(records: Records<'_>, quarantined: u64) -> (Count, bool) {
        let mut ledger = Ledger::default();
        export(&mut ledger, "HAM", 3, Some(2), 1);
        let mut tally = Tally::of(&ledger);
        for (id, by) in records {
            tally.record(&ledger, &record(&ledger, id, *by));
        }
        tally.count.quarantined = quarantined;
        let count = tally.end(&ledger);
        (count, count.agrees_with(&ledger))
    }

    #[test]
    fn every_row_once_agrees() {
        let (count, agrees) = counted(&[("HAM-000001", 0), ("HAM-000003", 0)], 1);
        assert_eq!(count, Count { in_topic: 2, quarantined: 1, ..Count::default() });
        assert!(agrees);
    }

    #[test]
    fn a_lost_a_doubled_and_an_altered_row_are_found() {
        let cases: [(Records<'_>, u64, Count); 4] = [
            (&[("HAM-000001", 0)], 1, Count { in_topic: 1, quarantined: 1, missing: 1, ..Count::default() }),
            (
                &[("HAM-000001", 0), ("HAM-000001", 0), ("HAM-000003", 0)],
                1,
                Count { in_topic: 3, quarantined: 1, duplicates: 1, ..Count::default() },
            ),
            (
                &[("HAM-000001", 0), ("HAM-000003", 1)],
                1,
                Count { in_topic: 2, quarantined: 1, altered: 1, ..Count::default() },
            ),
            (&[("HAM-000001", 0), ("HAM-000003", 0)], 0, Count { in_topic: 2, missing: 1, ..Count::default() }),
        ];
        for (records, quarantined, expected) in cases {
            assert_eq!(counted(records, quarantined), (expected, false), "{records:?}");
        }
    }
}
