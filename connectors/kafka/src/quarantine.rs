//! Rejected rows: a compacted topic keyed by entry, written in the same transaction as everything else.

use crate::destination::record_bytes_max;
use crate::fence::blocking;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use unbatch_api::quarantine::{QuarantineFilter, QuarantinePage, QuarantineReader, UnreadableEntry};
use unbatch_api::{CheckContext, Error, PipelineName, QuarantineEntry, RawRow, Result, async_trait};
use unbatch_kafka_client::durability;
use unbatch_kafka_client::{Admin, Cluster, NewTopic};

/// Reading a page, or all ids.
const READ: Duration = Duration::from_secs(120);
/// Room for the parts of an entry that are not its raw bytes, and for what Kafka adds.
const ENTRY_OVERHEAD: usize = 512;
/// A topic that takes less cannot even hold why a row was refused and where it stands.
const RECORD_BYTES_MIN: usize = 4 * 1024;
/// Entries whose ids are kept in memory while listing.
const ENTRIES_MAX: usize = 2_000_000;
/// Records of a page that are no entries and are named; the topic is no quarantine at all when there are more.
const UNREADABLE_MAX: usize = 1_000;

/// The pipeline's quarantine topic.
pub(crate) fn topic_name(place: &CheckContext) -> String {
    match &place.quarantine_name {
        Some(name) => name.clone(),
        None => format!("{}.{}.quarantine", place.deployment, place.split.pipeline),
    }
}

/// How it is made: kept without end, an entry that is written again replaces the old one, a tombstone takes it away.
pub(crate) fn new_topic(name: &str, brokers: usize) -> NewTopic {
    let mut config = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    if brokers > 1 {
        config.insert("min.insync.replicas".into(), "2".into());
    }
    NewTopic { name: name.to_owned(), partitions: 1, replication: brokers.clamp(1, 3) as u32, config }
}

/// Makes it when it is missing; returns the most bytes of an entry. Blocks.
pub(crate) fn prepare(admin: &Admin, name: &str) -> Result<usize> {
    let brokers = admin.brokers()?.ids.len();
    if admin.topic(name)?.is_none() {
        admin.create(&new_topic(name, brokers))?;
    }
    durability::check(admin, brokers, &[name])?;
    check(admin, name)?;
    record_bytes_max(admin, name)
}

/// Whether an existing topic keeps what is put into it, and takes it at all. Blocks.
pub(crate) fn check(admin: &Admin, name: &str) -> Result<()> {
    let configs = admin.present_topic_configs(&[name])?;
    let value = |key: &str| configs.get(name).and_then(|config| config.get(key)).map_or("", String::as_str);
    let settings = admin.cluster().settings();
    let unfit = |key: &'static str, mend: String| {
        Error::misconfigured("checking the quarantine topic failed")
            .code("U0300")
            .with("topic", name)
            .with(key, value(key))
            .help(format!(
                "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {name} --add-config {mend}",
                admin.cluster().brokers()
            ))
    };
    let policy = value("cleanup.policy");
    if policy.split(',').any(|word| word.trim() == "delete")
        && !settings.allow_unsafe_topics.iter().any(|topic| topic == name)
    {
        let error = unfit("cleanup.policy", "cleanup.policy=compact".into());
        let help =
            format!("{}, or allow it by name in `kafka.allow_unsafe_topics`", error.remedy().unwrap_or_default());
        return Err(error.help(help));
    }
    match record_bytes_max(admin, name)? {
        bytes if bytes < RECORD_BYTES_MIN => Err(unfit("max.message.bytes", "max.message.bytes=1048588".into())),
        _ => Ok(()),
    }
}

/// The entry as it is stored, its raw bytes cut until it fits: escaping can make them six times as long. Then its message.
pub(crate) fn entry_value(mut entry: QuarantineEntry, bytes_max: usize) -> Result<Vec<u8>> {
    loop {
        let value = entry.to_json().to_string().into_bytes();
        if value.len() + entry.id.len() + ENTRY_OVERHEAD <= bytes_max {
            return Ok(value);
        }
        if !is_used_up(&entry.raw) {
            entry.raw = shorter(entry.raw);
        } else if !entry.message.is_empty() {
            entry.message = entry.message.chars().take(entry.message.chars().count() / 2).collect();
        } else {
            return Err(Error::misconfigured("fitting an entry into the quarantine topic failed")
                .code("U0300")
                .with("bytes", value.len())
                .with("max.message.bytes", bytes_max)
                .help("raise max.message.bytes of the quarantine topic; 1048588 is Kafka's own default"));
        }
    }
}

/// Nothing of the row is left but its length and digest.
fn is_used_up(raw: &RawRow) -> bool {
    matches!(raw, RawRow::Cut { head, .. } if head.is_empty())
}

fn shorter(raw: RawRow) -> RawRow {
    let (head, length, sha256) = match raw {
        RawRow::Bytes(bytes) => {
            let length = bytes.len() as u64;
            let sha256 = digest(&bytes);
            (bytes, length, sha256)
        }
        RawRow::Cut { head, length, sha256 } => (head, length, sha256),
        RawRow::Row(row) => return shorter(RawRow::Bytes(Bytes::from(row.to_string()))),
    };
    let half = head.slice(..head.len() / 2);
    RawRow::Cut { head: half, length, sha256 }
}

fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Reads the entries page by page; a cursor is the offset of the page's last entry.
pub(crate) struct TopicQuarantine {
    admin: Arc<Admin>,
    topic: String,
    /// Pipelines may share a topic; each sees its own entries.
    pipeline: PipelineName,
    current: Option<Arc<Current>>,
    /// What is listed is acted upon: then all of it must be known.
    must_be_whole: bool,
}

/// The last record of each entry.
#[derive(Default)]
struct Current {
    offsets: HashMap<String, i64>,
    /// There are more than are kept; of those that are, the last record is known all the same.
    is_cut: bool,
}

impl TopicQuarantine {
    /// Blocks.
    pub fn open(place: &CheckContext) -> Result<Self> {
        let admin = Arc::new(Cluster::of(place)?.admin()?);
        Ok(Self {
            admin,
            topic: topic_name(place),
            pipeline: place.split.pipeline.clone(),
            current: None,
            must_be_whole: false,
        })
    }
}

#[async_trait]
impl QuarantineReader for TopicQuarantine {
    async fn catch_up(&mut self) -> Result<()> {
        self.must_be_whole = true;
        let (admin, topic) = (self.admin.clone(), self.topic.clone());
        let settled = blocking(move || match admin.topic(&topic)? {
            Some(_) => admin.wait_settled(&topic, 0, READ).map(|_| ()),
            None => Ok(()),
        });
        settled.await.map_err(|e: Error| e.with("topic", &self.topic))
    }

    async fn list(&mut self, filter: &QuarantineFilter, after: Option<&str>, limit: usize) -> Result<QuarantinePage> {
        let from = match after.map(str::parse::<i64>) {
            None => 0,
            Some(Ok(offset)) => offset + 1,
            Some(Err(e)) => {
                return Err(Error::misconfigured("reading the cursor of a page failed").code("U0293").caused_by(e));
            }
        };
        let (admin, topic) = (self.admin.clone(), self.topic.clone());
        let (pipeline, filter) = (self.pipeline.clone(), filter.clone());
        let known = self.current.clone().filter(|_| after.is_some());
        let (current, page) = blocking(move || {
            let is_wanted = |entry: &QuarantineEntry| entry.is_of(&pipeline) && filter.matches(entry);
            let current = match known {
                Some(current) => current,
                None => Arc::new(current_entries(&admin, &topic)?),
            };
            let page = read_page(&admin, &topic, &current, &filter, is_wanted, from, limit)?;
            Ok((current, page))
        })
        .await?;
        if self.must_be_whole && current.is_cut {
            return Err(Error::misconfigured("reading all marks of the quarantine failed, it holds too many entries")
                .code("U0301")
                .with("topic", &self.topic)
                .with("most", ENTRIES_MAX)
                .help("give the pipeline a quarantine of its own (`on_error.quarantine.name`), or load its files again instead"));
        }
        self.current = Some(current);
        Ok(page)
    }
}

/// The topic is compacted late and not at all while it is small: older records of an entry are still there.
fn current_entries(admin: &Admin, topic: &str) -> Result<Current> {
    let mut current = Current::default();
    if admin.topic(topic)?.is_none() {
        return Ok(current);
    }
    admin.read_visible(topic, 0, 0, READ, |record| {
        if let Some(id) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) {
            let offsets = &mut current.offsets;
            match record.value {
                Some(_) if offsets.len() < ENTRIES_MAX || offsets.contains_key(id) => {
                    offsets.insert(id.to_owned(), record.offset);
                }
                Some(_) => current.is_cut = true,
                None => drop(offsets.remove(id)),
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(current)
}

fn read_page(
    admin: &Admin,
    topic: &str,
    current: &Current,
    filter: &QuarantineFilter,
    is_wanted: impl Fn(&QuarantineEntry) -> bool,
    from: i64,
    limit: usize,
) -> Result<QuarantinePage> {
    let mut page = QuarantinePage::default();
    if current.offsets.is_empty() || limit == 0 {
        return Ok(page);
    }
    // how many there were of what cannot be read when the last entry was found
    let (mut last, mut unreadable) = (None, 0);
    admin.read_visible(topic, 0, from, READ, |record| {
        let id = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        let (Some(id), Some(value)) = (id, record.value.as_deref()) else { return ControlFlow::Continue(()) };
        if current.offsets.get(id) != Some(&record.offset) {
            return ControlFlow::Continue(());
        }
        match QuarantineEntry::from_json(value) {
            Ok(mut entry) if is_wanted(&entry) => {
                entry.refused_at = entry.refused_at.or(record.timestamp_ms);
                // One more than asked for shows that there is a next page.
                if page.entries.len() == limit {
                    page.next = last.map(|offset: i64| offset.to_string());
                    // those behind the last entry are the next page's
                    page.unreadable.truncate(unreadable);
                    return ControlFlow::Break(());
                }
                page.entries.push(entry);
                (last, unreadable) = (Some(record.offset), page.unreadable.len());
            }
            Err(reason) if filter.has_id(id) && page.unreadable.len() < UNREADABLE_MAX => {
                let place = format!("{topic}-0@{}", record.offset);
                page.unreadable.push(UnreadableEntry { id: id.to_owned(), place, code: "U0294", reason });
            }
            Ok(_) | Err(_) => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::{Kind, RejectedRow, RowOrigin, SplitId, Stage, StreamName};

    #[test]
    fn an_entry_that_grows_by_escaping_is_cut_until_it_fits() {
        let rejected = |raw| RejectedRow {
            code: "c".into(),
            message: "m".into(),
            stage: Stage::Source,
            stream: StreamName::new("s"),
            origin: RowOrigin::Sequence { name: "s".into(), number: 1 },
            raw,
        };
        let split = SplitId::new(PipelineName::parse("rows").unwrap(), 0);
        let raw = vec![1_u8; 200_000];
        let value = entry_value(rejected(RawRow::of(raw)).into_entry(&split, 1), 300_000).unwrap();
        assert!(value.len() <= 300_000, "{}", value.len());
        let RawRow::Cut { head, length, sha256 } = QuarantineEntry::from_json(&value).unwrap().raw else {
            panic!("not cut");
        };
        assert!(!head.is_empty() && head.len() < 200_000);
        assert_eq!((length, sha256.len()), (200_000, 64));
        let small = rejected(RawRow::of("x")).into_entry(&split, 1);
        assert_eq!(QuarantineEntry::from_json(&entry_value(small.clone(), 300_000).unwrap()).unwrap(), small);
    }

    /// A topic with `max.message.bytes: 700` made this loop without end.
    #[test]
    fn an_entry_that_fits_nowhere_loses_row_and_message_and_is_refused_then() {
        let split = SplitId::new(PipelineName::parse("rows").unwrap(), 0);
        let entry = RejectedRow {
            code: "bad_decimal".into(),
            message: "é".repeat(4_000),
            stage: Stage::Source,
            stream: StreamName::new("s"),
            origin: RowOrigin::File { file: "a.csv".into(), delivery: "4f1c".into(), line: 7, byte: 311 },
            raw: RawRow::of("1;2;3"),
        }
        .into_entry(&split, 1);
        let value = entry_value(entry.clone(), 2_000).unwrap();
        let kept = QuarantineEntry::from_json(&value).unwrap();
        assert!(is_used_up(&kept.raw) && !kept.message.is_empty() && value.len() <= 2_000, "{kept:?}");
        let error = entry_value(entry, 700).unwrap_err();
        assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0300")), "{error:?}");
        assert!(error.remedy().unwrap().contains("max.message.bytes"), "{error:?}");
    }
}
