//! Whether a row that is to be replayed would come on top of a newer one with the same key.

use crate::config::TopicConfig;
use crate::naming::NameTemplate;
use crate::record::RowEncoder;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::time::Duration;
use unbatch_api::{Batch, CheckContext, Error, Result};
use unbatch_kafka_client::Cluster;

/// Reading one partition from the oldest refusal to its end.
const READ: Duration = Duration::from_secs(120);

/// What is asked about one topic.
#[derive(Default)]
struct Asked {
    /// When the oldest of the rows was refused, milliseconds since 1970.
    since: Option<i64>,
    /// When each key was written last.
    newest: HashMap<Vec<u8>, Option<i64>>,
}

/// `None` when none of the rows has a key. Blocks.
pub(crate) fn overtaken(config: &TopicConfig, cx: &CheckContext, rows: &[(Batch, i64)]) -> Result<Option<Vec<bool>>> {
    let template = config.template().map_err(|e| Error::misconfigured(e).code("U0272"))?;
    let mut topics: BTreeMap<String, Asked> = BTreeMap::new();
    let mut keys = Vec::with_capacity(rows.len());
    for (batch, refused_at) in rows {
        let key = key_of(config, &template, batch)?;
        if let Some((topic, key)) = &key {
            let asked = topics.entry(topic.clone()).or_default();
            asked.since = Some(asked.since.map_or(*refused_at, |since| since.min(*refused_at)));
            asked.newest.insert(key.clone(), None);
        }
        keys.push(key);
    }
    if topics.is_empty() {
        return Ok(None);
    }
    let admin = Cluster::of(cx)?.admin()?;
    for (topic, asked) in &mut topics {
        let (Some(facts), Some(since)) = (admin.topic(topic)?, asked.since) else { continue };
        for partition in 0..facts.partitions as i32 {
            let Some(from) = admin.offset_since(topic, partition, since)? else { continue };
            admin.read_visible(topic, partition, from, READ, |record| {
                if let Some(newest) = record.key.as_deref().and_then(|key| asked.newest.get_mut(key)) {
                    *newest = (*newest).max(record.timestamp_ms);
                }
                ControlFlow::Continue(())
            })?;
        }
    }
    let newest_of = |(topic, key): (String, Vec<u8>)| *topics.get(&topic)?.newest.get(&key)?;
    let newest = keys.into_iter().map(|key| key.and_then(newest_of));
    let refused_at = rows.iter().map(|(_, refused_at)| *refused_at);
    Ok(Some(newest.zip(refused_at).map(|(newest, refused_at)| newest > Some(refused_at)).collect()))
}

/// Topic and key of a row; `None` where records have no key.
fn key_of(config: &TopicConfig, template: &NameTemplate, batch: &Batch) -> Result<Option<(String, Vec<u8>)>> {
    let named = |message| Error::misconfigured("naming the topic of a stream failed").code("U0272").help(message);
    let topic = template.fill(&batch.stream).map_err(named)?;
    let key = config.key_of(&batch.stream, &batch.schema);
    let encoder = RowEncoder::compile(&batch.stream, &batch.schema, key, &config.partition_by)?;
    if !encoder.has_key() || batch.rows.num_rows() == 0 {
        return Ok(None);
    }
    let columns = RowEncoder::columns(&batch.rows)?;
    let mut bytes = Vec::new();
    // a key that was not sent is refused when it is written
    let sent = encoder.open(&batch.schema, &columns, batch.marks.as_ref())?.key(0, &mut bytes).is_ok();
    Ok(sent.then_some((topic, bytes)))
}
