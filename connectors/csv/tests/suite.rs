//! The conformance suite of the contract, over a folder whose files are moved away.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::Drops;
use std::path::PathBuf;
use std::sync::Arc;
use unbatch_api::testkit::context::place;
use unbatch_api::testkit::suite::{Expected, SOURCE_CHECKS};
use unbatch_api::testkit::{SourceFixture, SourceUpstream, source_suite};
use unbatch_api::{CheckContext, Error, Result, RowOrigin, async_trait};
use unbatch_csv::{CsvDrops, CsvDropsConfig};

struct Fixture {
    after: serde_json::Value,
    releases_all: bool,
}

struct Upstream(Drops);

#[async_trait]
impl SourceFixture for Fixture {
    type Connector = CsvDrops;
    type Upstream = Upstream;

    async fn upstream(&self) -> Result<Upstream> {
        let mut drops = Drops::new().with("after", self.after.clone());
        drops.config["ready_when"]["stable_for"] = "1ms".into();
        drops.deliver("a.csv", "id,text\n1,one\n2,\"two\nlines\"\nx,bad\n4,four\n5,\n");
        drops.deliver("b.csv", "text,id\n");
        drops.deliver("c.csv", "text,id,more\r\nsix,6,m\r\n\"\",7,\r\nfew\r\neight,8,m\r\n");
        drops.deliver("d.csv", (9..20).map(|n| format!("{n}")).fold("id,text".into(), |t, n| format!("{t}\n{n},row")));
        Ok(Upstream(drops))
    }

    fn expected(&self) -> Expected {
        let mut rows = vec![
            "1|one".to_owned(),
            "2|two\nlines".into(),
            "4|four".into(),
            "5|∅".into(),
            "6|six|m".into(),
            "7||∅".into(),
            "8|eight|m".into(),
        ];
        rows.extend((9..20).map(|n| format!("{n}|row")));
        Expected { rows, rejected: 2, releases_all: self.releases_all }
    }
}

#[async_trait]
impl SourceUpstream<CsvDrops> for Upstream {
    fn config(&self) -> Arc<CsvDropsConfig> {
        self.0.config()
    }
    fn place(&self) -> CheckContext {
        let mut place = place("stock-counts");
        place.base = PathBuf::from(self.0.base.path());
        place
    }
    async fn released(&self, rows: &[RowOrigin]) -> Result<Vec<bool>> {
        rows.iter().map(|origin| self.is_gone(origin)).collect()
    }
    async fn snapshot(&self) -> Result<Vec<String>> {
        Ok(harness::everything_in(self.0.base.path()))
    }
}

impl Upstream {
    fn is_gone(&self, origin: &RowOrigin) -> Result<bool> {
        match origin {
            RowOrigin::File { file, .. } => Ok(!self.0.path(file).exists()),
            other => Err(Error::bug(format!("a row of a file has the origin {other}"))),
        }
    }
}

#[tokio::test]
async fn files_that_are_moved_keep_the_contract() {
    let fixture = Fixture { after: serde_json::json!({"move_to": "file:archive/"}), releases_all: true };
    let passed = source_suite(&fixture).await.unwrap();
    assert_eq!(passed.checks, SOURCE_CHECKS);
}

/// Each file is the whole table, and what changed is handed on.
struct Dumps;

#[async_trait]
impl SourceFixture for Dumps {
    type Connector = CsvDrops;
    type Upstream = Upstream;

    async fn upstream(&self) -> Result<Upstream> {
        let mut drops = Drops::new()
            .with("after", "delete".into())
            .with("mode", serde_json::json!({"full_dump": {"key": ["id"], "baseline": "baselines"}}));
        drops.config["ready_when"]["stable_for"] = "1ms".into();
        drops.deliver(
            "a.csv",
            (1..21).rev().map(|n| format!("{n}")).fold("id,text".into(), |t, n| format!("{t}\n{n},row")),
        );
        drops.deliver("b.csv", (2..22).map(|n| format!("{n}")).fold("id,text".into(), |t, n| format!("{t}\n{n},row")));
        drops.deliver(
            "c.csv",
            (3..22).map(|n| format!("{n}")).fold("id,text\nx,bad".into(), |t, n| format!("{t}\n{n},new")),
        );
        Ok(Upstream(drops))
    }

    fn expected(&self) -> Expected {
        let mut rows: Vec<String> = (1..21).map(|n| format!("{n}|row")).collect();
        rows.extend(["1|∅".to_owned(), "21|row".into()]);
        // one row of the last file has no key, so that `2` may still be in it
        rows.extend((3..22).map(|n| format!("{n}|new")));
        Expected { rows, rejected: 1, releases_all: true }
    }
}

#[tokio::test]
async fn full_dumps_keep_the_contract() {
    let passed = source_suite(&Dumps).await.unwrap();
    assert_eq!(passed.checks, SOURCE_CHECKS);
}

#[tokio::test]
async fn files_that_are_deleted_keep_the_contract() {
    let fixture = Fixture { after: serde_json::json!("delete"), releases_all: true };
    let passed = source_suite(&fixture).await.unwrap();
    assert_eq!(passed.checks, SOURCE_CHECKS);
}

#[tokio::test]
async fn files_that_are_kept_keep_the_contract() {
    let fixture = Fixture { after: serde_json::json!("keep"), releases_all: false };
    let passed = source_suite(&fixture).await.unwrap();
    assert_eq!(passed.checks, SOURCE_CHECKS);
}
