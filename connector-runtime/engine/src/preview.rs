//! The first rows of a pipeline as its sink would get them. Nothing is written, committed or released: the sink is not even
//! opened, and the source is told that somebody only looks.

use crate::cells::cells_of;
use crate::config::PipelineSpec;
use crate::run::{Scene, check_context, limits};
use crate::steps::Steps;
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use unbatch_api::context::Notice;
use unbatch_api::schema::type_name;
use unbatch_api::{
    Batch, Bound, Checkpoint, Committed, Limits, Ops, QuarantineEntry, Reports, Result, Source, SourceContext, SplitId,
    StreamName,
};

/// Most rows in a batch that is asked for; few rows need no large ones.
const BATCH_ROWS_MAX: usize = 1_024;

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// Most rows that are shown, and most refused ones.
    pub rows: usize,
    /// Longest time for all of it: a source may have to wait until files stand still.
    pub time: Duration,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Preview {
    /// Of each stream that showed rows, in the order in which they came.
    pub streams: Vec<PreviewStream>,
    pub rows: Vec<PreviewRow>,
    /// With their content: who previews asks for values.
    pub rejected: Vec<QuarantineEntry>,
    /// Rows that were read for this, and what became of those that are not shown.
    pub read: u64,
    pub filtered: u64,
    pub rejected_in_all: u64,
    pub ended: Ended,
    /// What the source told meanwhile, such as files that are not ready.
    pub notices: Vec<Notice>,
}

/// Why there are no more rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All that is there was read.
    #[default]
    End,
    /// As many as were asked for.
    Limit,
    /// The time was over.
    Time,
}

/// The columns of a stream after the steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreviewStream {
    pub stream: StreamName,
    pub columns: Vec<PreviewColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreviewColumn {
    pub name: String,
    #[serde(rename = "type")]
    pub column_type: String,
}

/// One row after the steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreviewRow {
    pub stream: StreamName,
    pub op: &'static str,
    /// As records carry it: `stock.csv:17`.
    pub origin: String,
    /// Cells by column: whole numbers, doubles and truths as JSON has them, everything else as text, NULL as null. A cell that
    /// the source did not send is absent.
    pub cells: Map<String, Value>,
}

/// Reads from the beginning of the source until there are rows enough.
///
/// # Errors
///
/// As opening and reading the source does, and as compiling a step does.
pub async fn preview(spec: &PipelineSpec, scene: &Scene, glance: Glance) -> Result<Preview> {
    let until = Instant::now() + glance.time;
    let mut preview = Preview::default();
    let place = |index| check_context(spec, scene, SplitId::new(spec.name.clone(), index));
    let splits = spec.source.splits(place(0)).await?;
    for index in 0..splits {
        if preview.is_full(glance) {
            preview.ended = Ended::Limit;
            break;
        }
        let reports = Reports::default();
        let (_committed, receiver) = Committed::channel(Checkpoint::default());
        let cx = SourceContext {
            place: place(index),
            resume: Checkpoint::default(),
            committed: receiver,
            bound: Bound::Once,
            limits: Limits {
                batch_rows: glance.rows.clamp(1, BATCH_ROWS_MAX),
                ..limits(scene.memory_bytes, splits as usize, spec)
            },
            ownership: scene.ownership.clone(),
            reports: reports.clone(),
            stop_after: spec.on_error.stop_after,
            revision: 1,
            generation: 1,
            looks_only: true,
        };
        let split = cx.place.split.clone();
        let mut steps = Steps::new(spec.steps.clone(), scene.secrets.clone());
        let reading = async {
            let mut source = spec.source.open(cx).await?;
            preview.read_from(&mut *source, &mut steps, &split, glance).await
        };
        match timeout_at(until, reading).await {
            Ok(ended) => preview.ended = ended?,
            Err(_) => preview.ended = Ended::Time,
        }
        reports.commit(reports.take_open());
        preview.notices.extend(reports.notices());
        if preview.ended == Ended::Time {
            break;
        }
    }
    Ok(preview)
}

impl Preview {
    fn is_full(&self, glance: Glance) -> bool {
        self.rows.len() >= glance.rows
    }

    async fn read_from(
        &mut self,
        source: &mut dyn Source,
        steps: &mut Steps,
        split: &SplitId,
        glance: Glance,
    ) -> Result<Ended> {
        loop {
            if self.is_full(glance) {
                return Ok(Ended::Limit);
            }
            let Some(batch) = source.next().await? else { return Ok(Ended::End) };
            batch.check()?;
            self.read += batch.rows_read();
            let chained = steps.apply(batch)?;
            self.filtered += chained.filtered;
            for batch in chained.batches {
                self.take(batch, split, glance)?;
            }
        }
    }

    fn take(&mut self, mut batch: Batch, split: &SplitId, glance: Glance) -> Result<()> {
        for row in std::mem::take(&mut batch.rejected) {
            self.rejected_in_all += 1;
            if self.rejected.len() < glance.rows {
                self.rejected.push(row.into_entry(split, batch.origin.revision));
            }
        }
        if batch.rows.num_rows() == 0 || batch.ops == Ops::Truncate {
            return Ok(());
        }
        self.add_stream(&batch);
        let wanted = glance.rows.saturating_sub(self.rows.len()).min(batch.rows.num_rows());
        for row in 0..wanted {
            self.rows.push(PreviewRow {
                stream: batch.stream.clone(),
                op: batch.ops.at(row).letter(),
                origin: batch.origin.rows.row(row).to_string(),
                cells: cells_of(&batch, row)?,
            });
        }
        Ok(())
    }

    fn add_stream(&mut self, batch: &Batch) {
        let column = |field: &std::sync::Arc<unbatch_api::arrow::datatypes::Field>| PreviewColumn {
            name: field.name().clone(),
            column_type: type_name(field.data_type()),
        };
        let columns: Vec<PreviewColumn> = batch.schema.fields().fields().iter().map(column).collect();
        match self.streams.iter_mut().find(|s| s.stream == batch.stream) {
            // a later file may bring more columns
            Some(known) => {
                let more: Vec<PreviewColumn> = columns.into_iter().filter(|c| !known.columns.contains(c)).collect();
                known.columns.extend(more);
            }
            None => self.streams.push(PreviewStream { stream: batch.stream.clone(), columns }),
        }
    }
}
