//! `unbatch status`: what the running worker is doing, asked over its HTTP API.

use super::Context;
use crate::answer::Answer;
use crate::arguments::Status;
use crate::failure::Outcome;
use crate::http::question;
use crate::tables::{Align, table};
use crate::terminal::Terminal;
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};
use unbatch_api::Error;
use unbatch_api::figures::grouped;

pub(crate) fn status(args: &Status, cx: &Context) -> Outcome<Answer> {
    let address = match &args.http {
        Some(address) => address.clone(),
        None => cx.setup()?.config.listen().0.to_owned(),
    };
    let asked = super::async_runtime()?.block_on(question::get(&address, "/api/v1/status"));
    let unreachable = || {
        Error::transient("asking the worker failed")
            .code("U0741")
            .with("address", &address)
            .help("is `unbatch run` running on this machine? --http HOST:PORT names its address, if it has another one")
    };
    let body = match asked {
        Ok((200, body)) => body,
        Ok((code, _)) => return Err(unreachable().with("answer", code).into()),
        Err(cause) => return Err(unreachable().caused_by(cause).into()),
    };
    let json: Value = serde_json::from_str(&body).map_err(|cause| unreachable().caused_by(cause))?;
    let mut pipelines: Vec<Value> = json["pipelines"].as_array().cloned().unwrap_or_default();
    if let Some(name) = &args.name {
        pipelines.retain(|p| p["pipeline"] == name.as_str());
        if pipelines.is_empty() {
            return Err(Error::misconfigured("finding the pipeline in the worker's status failed")
                .code("U0742")
                .with("pipeline", name)
                .with("address", &address)
                .help("`unbatch status` lists those that it runs")
                .into());
        }
    }
    let text = render(&pipelines, args.name.is_some(), &cx.terminal);
    Ok(Answer::new(text, serde_json::json!({"pipelines": pipelines})))
}

const COLUMNS: [(&str, Align); 7] = [
    ("pipeline", Align::Left),
    ("state", Align::Left),
    ("written", Align::Right),
    ("quarantined", Align::Right),
    ("freshness", Align::Right),
    ("last commit", Align::Right),
    ("notes", Align::Left),
];

fn render(pipelines: &[Value], in_detail: bool, terminal: &Terminal) -> String {
    if pipelines.is_empty() {
        return "the worker runs no pipeline\n".to_owned();
    }
    let rows = pipelines.iter().map(|pipeline| {
        let splits = splits(pipeline);
        let sum = |field: &str| splits.iter().filter_map(|s| s[field].as_u64()).sum::<u64>();
        let oldest = splits.iter().filter_map(|s| s["freshness_ms"].as_u64()).max();
        let last = splits.iter().filter_map(|s| s["last_commit_ms"].as_u64()).max();
        let trouble = splits.iter().find_map(|s| s["trouble"]["message"].as_str());
        let parked = sum("parked");
        let note = match (trouble, parked) {
            (Some(trouble), _) => trouble.to_owned(),
            (None, 0) => String::new(),
            (None, n) => format!("{n} parked"),
        };
        vec![
            text_of(&pipeline["pipeline"]),
            text_of(&pipeline["state"]),
            grouped(sum("written_ever")),
            grouped(sum("quarantined_ever")),
            oldest.map_or_else(String::new, duration),
            last.map_or_else(|| "never".to_owned(), ago),
            note,
        ]
    });
    let mut text = table(&COLUMNS, rows, terminal);
    if in_detail {
        for split in pipelines.iter().flat_map(splits) {
            text.push_str(&detail(split));
        }
    }
    text
}

/// Positions, numbers and notices of one split.
fn detail(split: &Value) -> String {
    let mut text = format!("\n{} (epoch {}, owner {})\n", text_of(&split["split"]), split["epoch"], split["owner"]);
    for part in split["position"].as_array().into_iter().flatten() {
        text.push_str(&format!(
            "  {} at {}: {}\n",
            text_of(&part["part"]),
            text_of(&part["position"]),
            text_of(&part["meaning"])
        ));
    }
    for (name, value) in split["numbers"].as_object().into_iter().flatten() {
        text.push_str(&format!("  {name} {value}\n"));
    }
    for notice in split["notices"].as_array().into_iter().flatten() {
        let (code, subject, message) = (&notice["code"], &notice["subject"], &notice["message"]);
        text.push_str(&format!("  {}: {}: {}\n", text_of(code), text_of(subject), text_of(message)));
    }
    text
}

fn splits(pipeline: &Value) -> Vec<&Value> {
    pipeline["splits"].as_array().into_iter().flatten().collect()
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn ago(ms_since_1970: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    format!("{} ago", duration(now.saturating_sub(ms_since_1970)))
}

fn duration(ms: u64) -> String {
    match ms {
        0..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        60_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_sums_up_the_splits_and_shows_the_first_trouble() {
        let pipelines = [json!({"pipeline": "stock", "state": "retrying", "splits": [
            {"split": "stock/0", "written_ever": 1200, "quarantined_ever": 2, "freshness_ms": 1500, "parked": 0, "trouble": null},
            {"split": "stock/1", "written_ever": 34, "quarantined_ever": 0, "freshness_ms": 300, "parked": 1,
             "trouble": {"message": "connecting failed"}},
        ]})];
        let text = render(&pipelines, false, &Terminal::detect(true));
        let line = text.lines().find(|l| l.contains("stock")).unwrap();
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(cells, ["stock", "retrying", "1,234", "2", "1.5", "s", "never", "connecting", "failed"]);
    }

    #[test]
    fn times_are_rounded_as_people_say_them() {
        assert_eq!([900, 61_000, 7_200_000].map(duration), ["0.9 s", "1 min", "2 h"]);
    }
}
