//! `unbatch topics list` and `unbatch topics read`.

use super::{Context, follow};
use crate::answer::Answer;
use crate::arguments::{ReadTopic, Topics};
use crate::failure::{Failure, Outcome};
use crate::tables::{Align, table};
use crate::terminal::{Output, Style, Terminal};
use crate::topic_scan::{From, Scan};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;
use unbatch_api::figures::grouped;
use unbatch_kafka_client::{EndOf, Record};

/// How long one look for the next record lasts; between two, nothing is lost.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes of a text that is not UTF-8 which a line shows.
const HEX_BYTES_MAX: usize = 32;
/// Partitions whose end is named.
const ENDS_SHOWN_MAX: usize = 12;

pub(crate) fn topics(command: &Topics, cx: &Context) -> Outcome<Answer> {
    match command {
        Topics::List { dev, all } => list(dev.dev, *all, cx),
        Topics::Read(args) if args.follow => follow::follow(args, cx),
        Topics::Read(args) => read(args, cx),
    }
}

const COLUMNS: [(&str, Align); 4] =
    [("topic", Align::Left), ("partitions", Align::Right), ("copies", Align::Right), ("offsets", Align::Right)];

fn list(dev: bool, all: bool, cx: &Context) -> Outcome<Answer> {
    let looking = cx.look(dev)?;
    let admin = looking.cluster()?.admin()?;
    let mut names = admin.topic_names()?;
    names.sort();
    let internal = |name: &str| is_internal(name, looking.setup.deployment.as_str());
    names.retain(|name| all || !internal(name));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let facts = if names.is_empty() { Default::default() } else { admin.topics(&names)? };
    let partitions: Vec<(String, i32)> =
        facts.iter().flat_map(|(name, f)| (0..f.partitions as i32).map(|p| (name.clone(), p))).collect();
    let (firsts, ends) = match partitions.is_empty() {
        true => Default::default(),
        false => (admin.offsets(&partitions, EndOf::Start)?, admin.offsets(&partitions, EndOf::Uncommitted)?),
    };
    let offsets = |name: &str| -> i64 {
        let mine = ends.iter().filter(|((topic, _), _)| topic == name);
        mine.map(|(partition, end)| end - firsts.get(partition).copied().unwrap_or(0)).sum()
    };
    let rows = facts.iter().map(|(name, f)| {
        let count = grouped(offsets(name).max(0) as u64);
        vec![name.clone(), f.partitions.to_string(), f.replicas.to_string(), count]
    });
    let mut text = table(&COLUMNS, rows, &cx.terminal);
    match facts.is_empty() {
        true => text = "no topics\n".to_owned(),
        false => {
            let note = "OFFSETS counts also the marker that ends each transaction: there are fewer records\n";
            text.push_str(&cx.terminal.fit(Output::Result, note));
        }
    }
    let entries = facts.iter().map(|(name, f)| {
        json!({"topic": name, "id": f.id, "partitions": f.partitions, "copies": f.replicas, "offsets": offsets(name),
               "internal": internal(name)})
    });
    let result = json!({"brokers": admin.cluster().brokers(), "topics": entries.collect::<Vec<_>>()});
    Ok(Answer::new(text, result))
}

/// Kafka's own topics and those in which a deployment keeps its state.
pub(super) fn is_internal(name: &str, deployment: &str) -> bool {
    const OURS: [&str; 5] = ["lanes", "state", "schemas", "config", "status"];
    let ours = name.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('.'));
    name.starts_with("__") || ours.is_some_and(|rest| OURS.contains(&rest))
}

fn read(args: &ReadTopic, cx: &Context) -> Outcome<Answer> {
    let from = From::parse(&args.from)?;
    let looking = cx.look(args.dev.dev)?;
    let admin = looking.cluster()?.admin()?;
    let mut scan = Scan::open(&admin, &args.topic, from, !args.uncommitted)?;
    let mut writer = RecordWriter::new(args, &cx.terminal);
    writer.begin()?;
    // of nothing to read, before the loop takes the partitions that are read out
    let nowhere = if let (From::Offset(offset), true) = (from, scan.is_done()) { Some(offset) } else { None };
    let ended = copy(&mut scan, &mut writer);
    match ended {
        Err(Failure::Error(error)) if cx.terminal.json => {
            let failure = Failure::Error(error);
            writer.end(Some(&failure))?;
            Ok(Answer::told().failed(failure))
        }
        Err(failure) => Err(failure),
        Ok(()) => {
            writer.end(None)?;
            if let Some(offset) = nowhere.filter(|_| !cx.terminal.json) {
                cx.terminal.say_prose(&behind_the_ends(offset, scan.reached().next()));
            }
            Ok(Answer::told())
        }
    }
}

/// Why `--from N` found nothing: each partition counts from 0, so N is no number of the topic as a whole.
fn behind_the_ends(offset: i64, ends: &BTreeMap<i32, i64>) -> String {
    let shown: Vec<String> = ends.iter().take(ENDS_SHOWN_MAX).map(|(p, end)| format!("{p} at {end}")).collect();
    let more = if ends.len() > ENDS_SHOWN_MAX { ", …" } else { "" };
    format!(
        "note: each partition counts its own offsets, and none reaches {offset}; they end: {}{more}",
        shown.join(", ")
    )
}

fn copy(scan: &mut Scan, writer: &mut RecordWriter<'_>) -> Outcome<()> {
    while !writer.is_full() && !scan.is_done() {
        if let Some(record) = scan.next(LOOK)? {
            writer.write(&record)?;
        }
    }
    Ok(())
}

/// Records as they come, so that no topic is too large: a line each, or the elements of one JSON envelope. With `--follow`
/// there is no end to close an envelope at, so each record has its own.
pub(super) struct RecordWriter<'a> {
    args: &'a ReadTopic,
    terminal: &'a Terminal,
    count: u64,
}

impl<'a> RecordWriter<'a> {
    pub(super) fn new(args: &'a ReadTopic, terminal: &'a Terminal) -> Self {
        Self { args, terminal, count: 0 }
    }

    /// As many records as were asked for.
    pub(super) fn is_full(&self) -> bool {
        self.args.limit.is_some_and(|limit| self.count >= limit)
    }

    fn begin(&self) -> Outcome<()> {
        if self.terminal.json && !self.args.follow {
            let topic = json!(self.args.topic);
            self.terminal
                .result(&format!("{{\"command\":\"topics read\",\"result\":{{\"topic\":{topic},\"records\":["))?;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, record: &Record) -> Outcome<()> {
        let text = match (self.terminal.json, self.args.follow) {
            (true, true) => {
                json!({"command": "topics read", "ok": true, "result": record_json(record), "error": null}).to_string()
            }
            (true, false) if self.count == 0 => record_json(record).to_string(),
            (true, false) => format!(",{}", record_json(record)),
            (false, _) => self.line(record),
        };
        self.count += 1;
        Ok(self.terminal.result(&text)?)
    }

    fn end(&self, failure: Option<&Failure>) -> Outcome<()> {
        if self.terminal.json && !self.args.follow {
            let error = failure.map_or(Value::Null, Failure::to_json);
            let ok = failure.is_none();
            self.terminal.result(&format!("],\"count\":{}}},\"ok\":{ok},\"error\":{error}}}", self.count))?;
        } else if !self.terminal.json && !self.args.follow {
            let word = if self.count == 1 { "record" } else { "records" };
            self.terminal.say(&format!("{} {word}", grouped(self.count)));
        }
        Ok(())
    }

    fn line(&self, record: &Record) -> String {
        let dim = |text: &str| self.terminal.paint(Output::Result, Style::Dim, text);
        let place = format!("{}@{}", record.partition, record.offset);
        let mut line = format!("{}  {}  {}", dim(&place), shown(record.key.as_deref()), shown(record.value.as_deref()));
        if self.args.headers {
            for (name, value) in &record.headers {
                let _ = write!(line, "  {}", dim(&format!("{name}={}", shown(value.as_deref()))));
            }
        }
        line
    }
}

/// One line of text: what is not UTF-8 as its first bytes, what would break the line or the terminal escaped.
fn shown(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "null".to_owned() };
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().any(char::is_control) => text.chars().flat_map(escaped).collect(),
        Ok(text) => text.to_owned(),
        Err(_) => {
            let head: String = bytes.iter().take(HEX_BYTES_MAX).map(|b| format!("{b:02x}")).collect();
            let more = if bytes.len() > HEX_BYTES_MAX { "..." } else { "" };
            format!("<{} bytes: {head}{more}>", bytes.len())
        }
    }
}

fn escaped(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

fn record_json(record: &Record) -> Value {
    let headers: Vec<Value> =
        record.headers.iter().map(|(name, value)| json!({"name": name, "value": content(value.as_deref())})).collect();
    json!({
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": content(record.key.as_deref()),
        "value": content(record.value.as_deref()),
        "headers": headers,
    })
}

/// JSON objects as they are, other text as text, other bytes as `{hex}`.
fn content(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else { return Value::Null };
    if bytes.first() == Some(&b'{')
        && let Ok(object) = serde_json::from_slice(bytes)
    {
        return object;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({"hex": bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_never_breaks_the_line_or_the_terminal() {
        assert_eq!(shown(None), "null");
        assert_eq!(shown(Some(b"{\"sku\":\"NL-1\"}")), "{\"sku\":\"NL-1\"}");
        assert_eq!(shown(Some("Größe\n\u{1b}[2J".as_bytes())), "Größe\\n\\u{1b}[2J");
        assert_eq!(shown(Some(&[0xff, 0])), "<2 bytes: ff00>");
        assert_eq!(shown(Some(&[0xff; 40])).len(), "<40 bytes: ".len() + 64 + "...>".len());
    }

    #[test]
    fn in_json_objects_stay_objects_and_nothing_is_lost() {
        assert_eq!(content(Some(b"{\"n\":9007199254740993}"))["n"], json!(9_007_199_254_740_993_i64));
        assert_eq!(content(Some(b"{broken")), json!("{broken"));
        assert_eq!(content(Some(&[0xff, 1])), json!({"hex": "ff01"}));
        assert_eq!(content(None), Value::Null);
    }

    #[test]
    fn an_offset_behind_all_ends_is_explained() {
        let ends: BTreeMap<i32, i64> = [(0, 2), (1, 0)].into();
        assert_eq!(
            behind_the_ends(3, &ends),
            "note: each partition counts its own offsets, and none reaches 3; they end: 0 at 2, 1 at 0"
        );
        let many: BTreeMap<i32, i64> = (0..20).map(|p| (p, 1)).collect();
        assert!(behind_the_ends(3, &many).ends_with("11 at 1, …"));
    }

    #[test]
    fn topics_of_the_deployment_itself_are_internal() {
        for name in ["__consumer_offsets", "shop.state", "shop.lanes"] {
            assert!(is_internal(name, "shop"), "{name}");
        }
        for name in ["shop.stock-counts.quarantine", "stock.state", "shop", "other.state"] {
            assert!(!is_internal(name, "shop"), "{name}");
        }
    }
}
