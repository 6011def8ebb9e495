//! The contract's promises, checked on journals in a temporary folder.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use async_trait::async_trait;
use custom_connector::{TillRolls, TillRollsConfig};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use unbatch_api::context::{Committed, CommittedSender};
use unbatch_api::testkit::context::{place, source_context};
use unbatch_api::testkit::rows::row_texts;
use unbatch_api::testkit::suite::{Expected, SOURCE_CHECKS, SourceFixture, SourceUpstream, source_suite};
use unbatch_api::{Bound, CheckContext, Checkpoint, Kind, Result, RowOrigin, Source, SourceConnector};

fn item(receipt: u32, item: u32, price: &str, last: bool) -> String {
    let time = "2024-05-06T09:13:22Z";
    format!(
        r#"{{"receipt":{receipt},"item":{item},"sold_at":"{time}","sku":"A-{item}","quantity":2,"price":"{price}","last":{last}}}"#
    )
}

/// A closed journal with a receipt that is larger than the suite's limits and a bad line, a closed one with a wrong count,
/// and an empty one that only was closed.
fn journals() -> Vec<(&'static str, Vec<String>)> {
    let mut first: Vec<String> = (1..=9).map(|n| item(1, n, "1.50", n == 9)).collect();
    first.extend([item(2, 1, "0.99", true), item(3, 1, "0,99", true), item(4, 1, "7.00", true)]);
    first.push(r#"{"z_report":{"lines":12}}"#.into());
    let second = vec![item(1, 1, "3.00", false), item(1, 2, "4.00", true), r#"{"z_report":{"lines":3}}"#.into()];
    let empty = vec![r#"{"z_report":{"lines":0}}"#.into()];
    vec![("till-01_2024-05-06.jsonl", first), ("till-02_2024-05-06.jsonl", second), ("till-03_2024-05-06.jsonl", empty)]
}

fn row(journal: &str, receipt: u32, item: u32, price: &str) -> String {
    format!("{journal}|{receipt}|{item}|2024-05-06T09:13:22Z|A-{item}|2|{price}")
}

struct Tills;

struct Folder(TempDir);

impl Folder {
    fn write(&self, name: &str, text: &str) {
        use std::io::Write;
        let file = std::fs::OpenOptions::new().create(true).append(true).open(self.path().join(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }
    fn path(&self) -> &Path {
        self.0.path()
    }
    async fn open(&self, resume: Checkpoint, bound: Bound) -> Result<(Box<dyn Source>, CommittedSender)> {
        let (sender, committed) = Committed::channel(resume.clone());
        let source = TillRolls::open(self.config(), source_context(self.place(), resume, committed, bound)).await?;
        Ok((source, sender))
    }
}

#[async_trait]
impl SourceFixture for Tills {
    type Connector = TillRolls;
    type Upstream = Folder;

    async fn upstream(&self) -> Result<Folder> {
        let folder = Folder(tempfile::tempdir().unwrap());
        for (name, lines) in journals() {
            folder.write(name, &(lines.join("\n") + "\n"));
        }
        Ok(folder)
    }
    fn expected(&self) -> Expected {
        let one = "till-01_2024-05-06.jsonl";
        let two = "till-02_2024-05-06.jsonl";
        let mut rows: Vec<String> = (1..=9).map(|n| row(one, 1, n, "1.50")).collect();
        rows.extend([row(one, 2, 1, "0.99"), row(one, 4, 1, "7.00"), row(two, 1, 1, "3.00"), row(two, 1, 2, "4.00")]);
        Expected { rows, rejected: 2, releases_all: true }
    }
}

#[async_trait]
impl SourceUpstream<TillRolls> for Folder {
    fn config(&self) -> Arc<TillRollsConfig> {
        let poll = "10ms".parse().unwrap();
        Arc::new(TillRollsConfig { folder: ".".into(), poll })
    }
    fn place(&self) -> CheckContext {
        CheckContext { base: self.path().into(), ..place("tills") }
    }
    async fn released(&self, rows: &[RowOrigin]) -> Result<Vec<bool>> {
        let is_archived = |row: &RowOrigin| match row {
            RowOrigin::File { file, .. } => !self.path().join(&**file).exists(),
            _ => false,
        };
        Ok(rows.iter().map(is_archived).collect())
    }
    async fn snapshot(&self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for folder in [self.path().to_owned(), self.path().join("archive")].iter().filter(|f| f.is_dir()) {
            for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
                let text = std::fs::read_to_string(&entry).unwrap_or_default();
                lines.push(format!("{} {text}", entry.display()));
            }
        }
        Ok(lines)
    }
}

#[tokio::test]
async fn till_rolls_keep_the_contract() {
    let passed = source_suite(&Tills).await.unwrap();
    assert_eq!(passed.checks, SOURCE_CHECKS);
}

#[tokio::test]
async fn a_journal_is_read_while_it_grows_and_a_half_line_waits() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let name = "till-09_2024-05-07.jsonl";
    let (first, second) = (item(1, 1, "1.00", true), item(2, 1, "2.00", true));
    folder.write(name, &format!("{first}\n{}", &second[..20]));
    let (mut source, _committed) = folder.open(Checkpoint::default(), Bound::Continuous).await.unwrap();
    let batch = source.next().await.unwrap().unwrap();
    assert_eq!(row_texts(&batch.rows), [row(name, 1, 1, "1.00")]);
    let half = tokio::time::timeout(std::time::Duration::from_millis(50), source.next()).await;
    assert!(half.is_err(), "half a line was read");
    folder.write(name, &format!("{}\n", &second[20..]));
    let batch = source.next().await.unwrap().unwrap();
    assert_eq!(row_texts(&batch.rows), [row(name, 2, 1, "2.00")]);
}

#[tokio::test]
async fn a_till_that_pauses_inside_a_receipt_can_be_resumed_there() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let name = "till-09_2024-05-07.jsonl";
    folder.write(name, &(item(1, 1, "1.00", false) + "\n" + &item(1, 2, "2.00", false) + "\n"));
    let mut cx =
        source_context(folder.place(), Checkpoint::default(), Committed::channel(Checkpoint::default()).1, Bound::Once);
    cx.limits.batch_rows = 2;
    let mut source = TillRolls::open(folder.config(), cx).await.unwrap();
    assert_eq!(source.next().await.unwrap().unwrap().advance, None);
    let pause = source.next().await.unwrap().unwrap();
    assert_eq!(pause.rows_read(), 0);
    assert!(source.next().await.unwrap().is_none());
    let mut checkpoint = Checkpoint::default();
    checkpoint.apply(&pause.advance.unwrap()).unwrap();
    folder.write(name, &(item(1, 3, "3.00", true) + "\n"));
    let (mut source, _committed) = folder.open(checkpoint, Bound::Once).await.unwrap();
    assert_eq!(row_texts(&source.next().await.unwrap().unwrap().rows), [row(name, 1, 3, "3.00")]);
}

#[tokio::test]
async fn notes_of_archived_journals_go_and_the_name_is_not_read_again() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let close = "{\"z_report\":{\"lines\":0}}\n";
    folder.write("a.jsonl", close);
    let (mut source, committed) = folder.open(Checkpoint::default(), Bound::Continuous).await.unwrap();
    let mut checkpoint = Checkpoint::default();
    checkpoint.apply(&source.next().await.unwrap().unwrap().advance.unwrap()).unwrap();
    assert_eq!(checkpoint.notes.len(), 1);
    committed.publish(checkpoint.clone());
    folder.write("b.jsonl", close);
    checkpoint.apply(&source.next().await.unwrap().unwrap().advance.unwrap()).unwrap();
    let notes: Vec<&str> = checkpoint.notes.keys().map(|key| key.as_str()).collect();
    assert_eq!(notes, ["done/b.jsonl"]);
    assert!(folder.path().join("archive/a.jsonl").exists());
    folder.write("a.jsonl", close);
    let (mut source, _committed) = folder.open(checkpoint, Bound::Once).await.unwrap();
    assert!(source.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_journal_that_was_changed_behind_us_is_lost_not_read_on() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let name = "till-09_2024-05-07.jsonl";
    folder.write(name, &format!("{}\n", item(1, 1, "1.00", true)));
    let (mut source, _committed) = folder.open(Checkpoint::default(), Bound::Once).await.unwrap();
    let advance = source.next().await.unwrap().unwrap().advance.unwrap();
    let mut checkpoint = Checkpoint::default();
    checkpoint.apply(&advance).unwrap();
    assert!(folder.open(checkpoint.clone(), Bound::Once).await.is_ok());

    std::fs::write(folder.path().join(name), "").unwrap();
    assert_eq!(source.vouch(&advance).await.unwrap_err().kind(), Kind::Lost);
    folder.write(name, &format!("{}\n", item(1, 1, "9.00", true)));
    let reopened = folder.open(checkpoint, Bound::Once).await;
    assert_eq!(reopened.err().map(|e| e.kind()), Some(Kind::Lost));
}
