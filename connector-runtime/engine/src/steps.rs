//! The chain of a pipeline's steps, each compiled once for each schema that a stream shows.

use crate::cells::cells_of;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use unbatch_api::config::Resolver;
use unbatch_api::{
    Batch, CompiledStep, Error, Ops, RawRow, RejectedRow, Result, RowOrigin, SchemaId, Seen, Stage, Step, StepProblem,
    StreamName,
};

/// Compiled steps that are kept; a pipeline that shows more shapes than this compiles again.
const COMPILED_MAX: usize = 4_096;

pub(crate) struct Steps {
    steps: Vec<Arc<dyn Step>>,
    secrets: Arc<dyn Resolver>,
    /// By place in the chain, and by what comes in there.
    compiled: HashMap<(usize, StreamName, SchemaId), Box<dyn CompiledStep>>,
}

/// What the steps made of a batch.
pub(crate) struct Chained {
    /// At least one; the last has the advance and all rejected rows.
    pub(crate) batches: Vec<Batch>,
    /// Rows that were filtered out.
    pub(crate) filtered: u64,
}

impl Chained {
    /// Of a batch that had one row: the batch that has it now, or the one that says what became of it.
    pub(crate) fn only_row(mut self) -> Option<Batch> {
        match self.batches.iter().position(|batch| batch.rows.num_rows() > 0) {
            Some(at) => Some(self.batches.swap_remove(at)),
            None => self.batches.pop(),
        }
    }
}

impl Steps {
    pub(crate) fn new(steps: Vec<Arc<dyn Step>>, secrets: Arc<dyn Resolver>) -> Self {
        Self { steps, secrets, compiled: HashMap::new() }
    }

    /// Rows go through as they are.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The batch after all steps. Rows that a step refused are kept as they came from the source, so that they can be replayed.
    pub(crate) fn apply(&mut self, batch: Batch) -> Result<Chained> {
        if self.steps.is_empty() {
            return Ok(Chained { batches: vec![batch], filtered: 0 });
        }
        let source = AsRead::of(&batch);
        let mut chained = Chained { batches: vec![batch], filtered: 0 };
        for at in 0..self.steps.len() {
            let mut after = Vec::with_capacity(chained.batches.len());
            for batch in chained.batches {
                let stepped = self.compiled(at, &batch)?.apply(batch)?;
                stepped.batches.iter().try_for_each(Batch::check)?;
                after.extend(stepped.batches);
                chained.filtered += stepped.filtered;
            }
            chained.batches = after;
        }
        let mut rejected: Vec<RejectedRow> =
            chained.batches.iter_mut().flat_map(|batch| std::mem::take(&mut batch.rejected)).collect();
        source.restore(&mut rejected)?;
        match chained.batches.last_mut() {
            Some(last) => last.rejected = rejected,
            None => return Err(Error::bug("applying a step failed, it gave nothing back").code("U0911")),
        }
        Ok(chained)
    }

    fn compiled(&mut self, at: usize, batch: &Batch) -> Result<&mut Box<dyn CompiledStep>> {
        if self.compiled.len() >= COMPILED_MAX {
            self.compiled.clear();
        }
        let shape = (at, batch.stream.clone(), batch.schema.id().clone());
        match self.compiled.entry(shape) {
            Entry::Occupied(compiled) => Ok(compiled.into_mut()),
            Entry::Vacant(place) => {
                let seen = Seen { stream: &batch.stream, schema: &batch.schema, secrets: Some(&*self.secrets) };
                let step = &self.steps[at];
                let compiled = step.compile(&seen).map_err(|problems| unfit(at, &**step, batch, &problems))?;
                Ok(place.insert(compiled))
            }
        }
    }
}

/// A step that does not fit what the source turned out to have.
fn unfit(at: usize, step: &dyn Step, batch: &Batch, problems: &[StepProblem]) -> Error {
    let columns = batch.schema.fields().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ");
    let Some(first) = problems.first() else {
        return Error::bug("compiling a step failed without a reason").code("U0911").with("step", step.name());
    };
    let place = if first.path.is_empty() { String::new() } else { format!(" at `{}`", first.path) };
    let error = Error::misconfigured(format!("step {} `{}`{place}: {}", at + 1, step.name(), first.message))
        .code(first.code)
        .with("stream", &batch.stream)
        .with("columns there", columns);
    let more = problems.len() - 1;
    let error = if more > 0 { error.with("more problems", more) } else { error };
    error.help(first.help.clone())
}

/// What is needed of a batch to say how its rows came from the source.
struct AsRead {
    batch: Batch,
}

impl AsRead {
    fn of(batch: &Batch) -> Self {
        Self {
            batch: Batch {
                stream: batch.stream.clone(),
                schema: batch.schema.clone(),
                rows: batch.rows.clone(),
                marks: batch.marks.clone(),
                before: None,
                before_marks: None,
                ops: Ops::Append,
                origin: batch.origin.clone(),
                source_time: None,
                rejected: Vec::new(),
                replayed: Vec::new(),
                advance: None,
            },
        }
    }

    /// Gives rows that steps refused the content and the stream that they had before the first step.
    fn restore(&self, rejected: &mut [RejectedRow]) -> Result<()> {
        let mut places: Option<HashMap<RowOrigin, usize>> = None;
        for row in rejected.iter_mut().filter(|row| row.stage == Stage::Step) {
            let origins = &self.batch.origin.rows;
            let places = places.get_or_insert_with(|| (0..origins.len()).map(|i| (origins.row(i), i)).collect());
            if let Some(&at) = places.get(&row.origin) {
                row.raw = RawRow::Row(cells_of(&self.batch, at)?.into());
                row.stream = self.batch.stream.clone();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use unbatch_api::arrow::array::BooleanArray;
    use unbatch_api::config::NoSecrets;
    use unbatch_api::testkit::{RowBatch, table};
    use unbatch_api::{Advance, Stepped, StreamSchema};

    /// Sends odd rows to another stream and refuses the row `id` 3 there, as columns of other names.
    struct Odd;

    struct OddRows(StreamName, Arc<StreamSchema>);

    static COMPILED: AtomicUsize = AtomicUsize::new(0);

    impl Step for Odd {
        fn name(&self) -> &str {
            "odd"
        }
        fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>> {
            COMPILED.fetch_add(1, Ordering::Relaxed);
            if seen.schema.key().is_empty() {
                let problem = |path: &str| StepProblem {
                    path: path.to_owned(),
                    within: None,
                    code: "U0601",
                    message: "there is no key".into(),
                    label: String::new(),
                    help: "have one".into(),
                };
                return Err(vec![problem("[1].when"), problem("")]);
            }
            Ok(Box::new(OddRows(seen.stream.clone(), seen.schema.clone())))
        }
    }

    impl CompiledStep for OddRows {
        fn output(&self) -> &Arc<StreamSchema> {
            &self.1
        }
        fn streams(&self) -> Vec<StreamName> {
            vec![self.0.clone()]
        }
        fn apply(&mut self, mut batch: Batch) -> Result<Stepped> {
            let rows = batch.rows.num_rows();
            let mask = |odd| -> BooleanArray { (0..rows).map(|row| Some((row % 2 == 1) == odd)).collect() };
            let mut other = Batch { stream: StreamName::new("odd"), ..batch.clone() };
            (other.advance, other.rejected) = (None, Vec::new());
            other.retain(&mask(true))?;
            batch.retain(&mask(false))?;
            if other.rows.num_rows() > 1 {
                other.rejected.push(RejectedRow {
                    code: "odd".into(),
                    message: "it is 3".into(),
                    stage: Stage::Step,
                    stream: other.stream.clone(),
                    origin: other.origin.rows.row(1),
                    raw: RawRow::Row(serde_json::Value::Null),
                });
                other.retain(&BooleanArray::from_iter((0..other.rows.num_rows()).map(|row| Some(row != 1))))?;
            }
            Ok(Stepped { batches: vec![other, batch], filtered: 0 })
        }
    }

    fn steps(count: usize) -> Steps {
        Steps::new((0..count).map(|_| Arc::new(Odd) as Arc<dyn Step>).collect(), Arc::new(NoSecrets))
    }

    #[test]
    fn a_batch_that_becomes_several_is_one_place_to_stop_and_keeps_refused_rows_as_they_came() {
        let batch = RowBatch::new("rows", 0..6).rejected(9).advance(Advance::default()).build();
        let chained = steps(1).apply(batch).unwrap();
        let [odd, rest] = &chained.batches[..] else { panic!("{} batches", chained.batches.len()) };
        assert_eq!((odd.stream.as_str(), odd.rows.num_rows(), odd.rejected.len()), ("odd", 2, 0));
        assert!(odd.advance.is_none() && rest.advance.is_some());
        let refused: Vec<(&str, &str, &RawRow)> =
            rest.rejected.iter().map(|r| (r.code.as_ref(), r.stream.as_str(), &r.raw)).collect();
        let row = RawRow::Row(serde_json::json!({"id": 3, "text": "row-3"}));
        assert_eq!(refused[0], ("odd", "rows", &row));
        // what the source refused stays as it was
        assert_eq!((refused[1].0, refused[1].2), ("bad_row", &RawRow::of("raw-9".as_bytes().to_vec())));
        assert_eq!(chained.batches.iter().map(Batch::rows_read).sum::<u64>(), 7);
    }

    #[test]
    fn each_step_is_compiled_once_for_each_stream_and_shape() {
        let mut steps = steps(2);
        let before = COMPILED.load(Ordering::Relaxed);
        for _ in 0..3 {
            let chained = steps.apply(RowBatch::new("rows", 0..4).build()).unwrap();
            assert_eq!(chained.batches.len(), 4);
        }
        // the first step for `rows`, the second for `rows` and `odd`; others may compile beside us
        assert!(COMPILED.load(Ordering::Relaxed) - before >= 3);
        assert_eq!(steps.compiled.len(), 3);
    }

    #[test]
    fn a_step_that_does_not_fit_says_where_and_what_there_is() {
        let Err(error) = steps(1).apply(table("t", "a: int64, b: string", &[], &[])) else { panic!("it fits") };
        assert_eq!((error.kind(), error.code_text()), (unbatch_api::Kind::Misconfigured, Some("U0601")));
        let told = error.one_line();
        assert!(told.starts_with("step 1 `odd` at `[1].when`: there is no key"), "{told}");
        assert!(told.contains("columns there a, b") && told.contains("more problems 1"), "{told}");
    }
}
