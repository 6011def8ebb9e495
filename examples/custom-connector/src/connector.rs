//! The doors to the tills' journals.

use crate::config::TillRollsConfig;
use crate::journal::{Line, Rows, parse, schema};
use crate::source::{TillRollsSource, parse_position, stream};
use async_trait::async_trait;
use std::sync::Arc;
use unbatch_api::origin::OriginColumns;
use unbatch_api::quarantine::{Edit, RawCell};
use unbatch_api::{
    Batch, CheckContext, Checkpoint, Error, Finding, Jump, Ops, Origin, PartView, Problem, QuarantineEntry, RawRow,
    RejectedRow, Result, RowOrigin, Severity, Source, SourceConnector, SourceContext, StreamName, StreamSchema,
};

/// The source `till_rolls`.
pub struct TillRolls;

#[async_trait]
impl SourceConnector for TillRolls {
    const NAME: &'static str = "till_rolls";
    type Config = TillRollsConfig;
    const COUNTS_REJECTED: bool = false;

    fn validate(config: &Self::Config) -> Vec<Problem> {
        let too_often = Problem {
            path: "poll".into(),
            severity: Severity::Error,
            code: "U0800",
            message: "the folder would be looked at without a pause".into(),
            help: "use 100ms or more".into(),
        };
        if config.poll.0.as_millis() < 10 { vec![too_often] } else { vec![] }
    }

    fn streams(_: &Self::Config) -> Vec<(StreamName, Arc<StreamSchema>)> {
        vec![(stream(), schema())]
    }

    fn fingerprint(config: &Self::Config, base: &std::path::Path) -> String {
        format!("till rolls in {}", config.folder(base).display())
    }

    async fn check(config: Arc<Self::Config>, cx: CheckContext) -> Result<Vec<Finding>> {
        let folder = config.folder(&cx.base);
        if tokio::fs::metadata(&folder).await.is_ok_and(|m| m.is_dir()) {
            return Ok(vec![]);
        }
        Ok(vec![Finding {
            severity: Severity::Error,
            code: "U0801",
            message: format!("there is no folder {}", folder.display()),
            remedy: format!("mkdir -p {}", folder.display()),
        }])
    }

    async fn splits(_: Arc<Self::Config>, _: CheckContext) -> Result<u32> {
        Ok(1)
    }

    async fn open(config: Arc<Self::Config>, cx: SourceContext) -> Result<Box<dyn Source>> {
        let folder = config.folder(&cx.place.base);
        Ok(Box::new(TillRollsSource::open(folder, config.poll.0, cx).await?))
    }

    fn raw_cells(_: &Self::Config, _: &QuarantineEntry) -> Result<Vec<RawCell>> {
        Err(Error::misconfigured("patching a journal line failed, its lines have no columns by name")
            .code("U0802")
            .help("mend the till's journal format, then replay without --patch"))
    }

    fn parse_raw(_: &Self::Config, entry: &QuarantineEntry, edits: &[Edit]) -> Result<Batch> {
        if !edits.is_empty() {
            return Err(Error::misconfigured(
                "changing a cell of a journal line failed, its lines have no columns by name",
            )
            .code("U0802")
            .help("mend the till's journal format, then replay without --set"));
        }
        let (RawRow::Bytes(line), RowOrigin::File { file, line: number, byte, .. }) = (&entry.raw, &entry.origin)
        else {
            return Err(Error::misconfigured("reading a line again failed, not all of it was kept"));
        };
        let mut rows = Rows::new();
        let mut rejected = Vec::new();
        let mut origin = (vec![], vec![]);
        match parse(line) {
            Ok(Line::Sold(sold)) => {
                rows.push(file, &sold);
                origin = (vec![*number], vec![*byte]);
            }
            Ok(Line::Closed { .. }) => {}
            Err(reason) => rejected.push(RejectedRow {
                code: reason.code.into(),
                message: reason.message.into(),
                stage: entry.stage,
                stream: stream(),
                origin: entry.origin.clone(),
                raw: entry.raw.clone(),
            }),
        }
        let (rows, sold_at) =
            rows.finish().map_err(|e| Error::bug("building rows of a journal failed").caused_by(e))?;
        let (lines, bytes) = origin;
        let rows_origin = OriginColumns::File { file: file.clone(), delivery: "".into(), lines, bytes };
        Ok(Batch {
            stream: stream(),
            schema: schema(),
            marks: None,
            before: None,
            rows,
            before_marks: None,
            ops: Ops::Append,
            origin: Origin { rows: rows_origin, revision: entry.revision },
            source_time: Some(sold_at),
            rejected,
            replayed: vec![],
            advance: None,
        })
    }

    fn describe(_: &Self::Config, checkpoint: &Checkpoint) -> Vec<PartView> {
        let views = checkpoint.parts.iter().map(|(part, position)| PartView {
            part: part.to_string(),
            position: position.to_string(),
            meaning: match parse_position(position) {
                Ok((lines, bytes)) => format!("{lines} lines read, {bytes} bytes"),
                Err(_) => "not a position of a journal".into(),
            },
        });
        views.collect()
    }

    /// `journal/<name>=LINES.BYTES`, or `=beginning` to read a journal again.
    fn jump(_: &Self::Config, checkpoint: &Checkpoint, jumps: &[Jump]) -> Result<Checkpoint> {
        let mut after = checkpoint.clone();
        for jump in jumps {
            // what proves continuity belongs to the old position
            let name = jump.part.as_str().strip_prefix("journal/").unwrap_or_default();
            after.notes.remove(&format!("last/{name}").as_str().into());
            if jump.position.as_str() == "beginning" {
                after.parts.remove(&jump.part);
                continue;
            }
            parse_position(&jump.position)?;
            after.parts.insert(jump.part.clone(), jump.position.clone());
        }
        Ok(after)
    }
}
