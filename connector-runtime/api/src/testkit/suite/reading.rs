//! Reading a source to its end, checking every batch on the way.

use super::{Attempt, Broken, broken, ensure};
use crate::batch::{Batch, Op};
use crate::checkpoint::{Advance, Checkpoint, ENGINE_NOTES};
use crate::context::Limits;
use crate::origin::RowOrigin;
use crate::quarantine::RejectedRow;
use crate::source::Source;
use crate::testkit::context::split;
use crate::testkit::rows::row_texts;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

pub(super) const BATCHES: &str = "the parts of a batch agree with each other";
pub(super) const CHAIN: &str = "advances chain and positions never go back";
pub(super) const NOTES: &str = "no note is the engine's";
pub(super) const UNCUT: &str = "rows without an advance stay within the limits";
pub(super) const ORIGINS: &str = "each row has an origin of its own";

/// A row that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// What keeps its order: a file, a topic partition, a log; rejected rows are a sequence beside the good ones.
    pub sequence: String,
    /// Cells, operation and origin; of rows read by an initial load not the origin, which may differ from read to read.
    pub text: String,
    /// The cells alone; empty for rejected rows.
    pub cells: String,
    pub origin: RowOrigin,
    pub is_rejected: bool,
}

/// A safe place to stop.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    /// Arrivals before it.
    pub arrivals: usize,
    pub checkpoint: Checkpoint,
    /// The step that led here.
    pub advance: Advance,
}

/// What a source gave so far, checked.
pub(super) struct Reading {
    pub arrivals: Vec<Arrival>,
    pub stops: Vec<Stop>,
    pub rejected: Vec<RejectedRow>,
    checkpoint: Checkpoint,
    limits: Limits,
    uncut: (u64, usize),
    seen: HashSet<(RowOrigin, bool)>,
}

/// How `next` is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Once for each batch.
    Waits,
    /// Every future that is pending is dropped, first at once, then after a time that doubles until a batch comes.
    Drops,
}

impl Reading {
    pub fn from(checkpoint: Checkpoint, limits: Limits) -> Self {
        Self {
            arrivals: vec![],
            stops: vec![],
            rejected: vec![],
            checkpoint,
            limits,
            uncut: (0, 0),
            seen: HashSet::new(),
        }
    }
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Reads to the end of a bounded input.
    pub async fn read_to_end(&mut self, source: &mut dyn Source, patience: Patience) -> Result<(), Broken> {
        while self.one(source, patience).await? {}
        ensure(UNCUT, self.uncut == (0, 0), || "the input ended with rows that no advance covers".into())
    }

    /// Reads one batch; false at the end.
    pub async fn one(&mut self, source: &mut dyn Source, patience: Patience) -> Result<bool, Broken> {
        let given = match patience {
            Patience::Waits => source.next().await,
            Patience::Drops => next_dropping(source).await,
        };
        match given.attempt(BATCHES, "reading the next batch")? {
            Some(batch) => self.take(batch).map(|()| true),
            None => Ok(false),
        }
    }

    fn take(&mut self, batch: Batch) -> Result<(), Broken> {
        batch.check().attempt(BATCHES, "checking a batch")?;
        self.uncut = (self.uncut.0 + batch.rows_read(), self.uncut.1 + batch.bytes());
        self.arrive(&batch)?;
        let Some(advance) = &batch.advance else {
            let (rows, bytes) = self.uncut;
            return ensure(UNCUT, rows <= self.limits.uncut_rows && bytes <= self.limits.uncut_bytes, || {
                let most = (self.limits.uncut_rows, self.limits.uncut_bytes);
                format!("{rows} rows and {bytes} bytes came without an advance; the limits are {most:?}")
            });
        };
        self.uncut = (0, 0);
        let engines = advance.notes.keys().find(|key| key.as_str().starts_with(ENGINE_NOTES));
        ensure(NOTES, engines.is_none(), || format!("the source wrote the note {engines:?}"))?;
        if let Err(conflict) = self.checkpoint.apply(advance) {
            return Err(broken(CHAIN, conflict.to_string()));
        }
        let (arrivals, checkpoint) = (self.arrivals.len(), self.checkpoint.clone());
        self.stops.push(Stop { arrivals, checkpoint, advance: advance.clone() });
        Ok(())
    }

    fn arrive(&mut self, batch: &Batch) -> Result<(), Broken> {
        let before = batch.before.as_ref().map(row_texts);
        for (i, cells) in row_texts(&batch.rows).into_iter().enumerate() {
            let (op, origin) = (batch.ops.at(i), batch.origin.rows.row(i));
            let old = before.as_ref().map_or("", |b| &b[i]);
            let text = match op {
                Op::Read => format!("{} r {cells}", batch.stream),
                _ => format!("{} {} {cells} was {old} from {origin}", batch.stream, op.letter()),
            };
            let sequence = match op {
                Op::Read => format!("initial load of {}", batch.stream),
                _ => sequence_of(&origin),
            };
            self.arrivals.push(Arrival { sequence, text, cells, origin: origin.clone(), is_rejected: false });
            // rows of an initial load may share the position at which they were read
            if op != Op::Read {
                self.must_be_new(origin, false)?;
            }
        }
        for row in &batch.rejected {
            // its id with it: refused again after a crash, it must be the same entry
            let entry = row.clone().into_entry(&split("suite", 0), batch.origin.revision);
            let (id, raw) = (&entry.id, &entry.raw);
            let text = format!("{} rejected {} as {id} from {} raw {raw:?}", row.stream, row.code, row.origin);
            let sequence = format!("rejected of {}", sequence_of(&row.origin));
            let (origin, cells) = (row.origin.clone(), String::new());
            self.arrivals.push(Arrival { sequence, text, cells, origin: origin.clone(), is_rejected: true });
            self.rejected.push(row.clone());
            self.must_be_new(origin, true)?;
        }
        Ok(())
    }

    fn must_be_new(&mut self, origin: RowOrigin, is_rejected: bool) -> Result<(), Broken> {
        let seen = || format!("two rows come from {origin}");
        ensure(ORIGINS, !self.seen.contains(&(origin.clone(), is_rejected)), seen)?;
        self.seen.insert((origin, is_rejected));
        Ok(())
    }
}

/// Texts of the arrivals by sequence, in order: what must be equal when the same rows are read again.
pub(super) fn by_sequence(arrivals: &[Arrival]) -> BTreeMap<&str, Vec<&str>> {
    let mut sequences: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for arrival in arrivals {
        sequences.entry(&arrival.sequence).or_default().push(&arrival.text);
    }
    sequences
}

/// The first difference between what came and what should have come, or nothing.
pub(super) fn difference(came: &[Arrival], should: &[Arrival]) -> Option<String> {
    let (came, should) = (by_sequence(came), by_sequence(should));
    let sequences: std::collections::BTreeSet<_> = came.keys().chain(should.keys()).collect();
    sequences.into_iter().find_map(|sequence| {
        let none = Vec::new();
        let (came, should) = (came.get(sequence).unwrap_or(&none), should.get(sequence).unwrap_or(&none));
        let at = (0..came.len().max(should.len())).find(|i| came.get(*i) != should.get(*i))?;
        Some(format!(
            "in `{sequence}` row {} of {} was {:?}, should have been {:?} of {}",
            at + 1,
            came.len(),
            came.get(at),
            should.get(at),
            should.len()
        ))
    })
}

async fn next_dropping(source: &mut dyn Source) -> crate::Result<Option<Batch>> {
    let at_once = futures::future::poll_immediate(source.next()).await;
    if let Some(ready) = at_once {
        return ready;
    }
    let mut patience = Duration::from_micros(100);
    loop {
        match tokio::time::timeout(patience, source.next()).await {
            Ok(ready) => return ready,
            // the check's own time bounds this
            Err(_) => patience *= 2,
        }
    }
}

fn sequence_of(origin: &RowOrigin) -> String {
    match origin {
        RowOrigin::File { file, .. } => format!("file {file}"),
        RowOrigin::Log { .. } => "log".into(),
        RowOrigin::Topic { topic, partition, .. } => format!("{topic}-{partition}"),
        RowOrigin::Sequence { name, .. } => format!("sequence {name}"),
    }
}

/// Small enough that transactions are cut and checkpoints lie close together.
pub(super) fn narrow(limits: Limits) -> Limits {
    Limits { batch_rows: 3, uncut_rows: 5, ..limits }
}
