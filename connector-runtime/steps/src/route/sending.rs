//! Rows to the streams that a route gives them to.

use super::check_name;
use crate::expression::{Compiled, Image};
use crate::refusal::{Refusal, refuse};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use unbatch_api::arrow::array::{Array, AsArray, BooleanArray};
use unbatch_api::{Batch, CompiledStep, Error, Ops, Result, Seen, Stepped, StreamName, StreamSchema};

/// Streams that one route may make; each is a topic or table of its own, so a slip must not make a million.
const STREAMS_MAX: usize = 1_000;

pub(super) enum Destination {
    Stream(StreamName),
    Computed(Compiled),
}

pub(super) struct Sending {
    stream: StreamName,
    schema: Arc<StreamSchema>,
    cases: Vec<(Option<Compiled>, Destination)>,
    /// Streams by the numbers that rows are sorted by; the one that rows come from is the first.
    streams: Vec<StreamName>,
    numbers: HashMap<Arc<str>, usize>,
}

/// Not given to a stream yet.
const OPEN: usize = usize::MAX;
/// Refused.
const NONE: usize = usize::MAX - 1;

impl Sending {
    pub(super) fn new(seen: &Seen<'_>, cases: Vec<(Option<Compiled>, Destination)>) -> Self {
        let mut sending = Self {
            stream: seen.stream.clone(),
            schema: seen.schema.clone(),
            cases,
            streams: Vec::new(),
            numbers: HashMap::new(),
        };
        sending.learn(seen.stream.as_str());
        sending
    }

    fn learn(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let name: Arc<str> = name.into();
        self.streams.push(StreamName::new(name.clone()));
        self.numbers.insert(name, self.streams.len() - 1);
        self.streams.len() - 1
    }

    /// The number of each row's stream, and the rows that get none.
    fn assign(&mut self, batch: &Batch) -> Result<(Vec<usize>, BTreeMap<usize, Refusal>)> {
        let rows = batch.rows.num_rows();
        let (mut given, mut refusals) = (vec![OPEN; rows], BTreeMap::new());
        let cases = std::mem::take(&mut self.cases);
        let done = cases.iter().try_for_each(|case| self.assign_case(case, batch, &mut given, &mut refusals));
        self.cases = cases;
        done?;
        // what no case takes stays
        given.iter_mut().filter(|number| **number == OPEN).for_each(|number| *number = 0);
        Ok((given, refusals))
    }

    fn assign_case(
        &mut self,
        (when, to): &(Option<Compiled>, Destination),
        batch: &Batch,
        given: &mut [usize],
        refusals: &mut BTreeMap<usize, Refusal>,
    ) -> Result<()> {
        let image = Image::new(batch);
        let refuse = |row: usize, given: &mut [usize], refusals: &mut BTreeMap<usize, Refusal>, why: Refusal| {
            given[row] = NONE;
            refusals.insert(row, why);
        };
        let takes = match when {
            None => None,
            Some(condition) => {
                let outcome = condition.evaluate(&image)?;
                // only rows that come as far as this case are asked
                for (row, trouble) in outcome.troubles {
                    if given[row] == OPEN {
                        refuse(row, given, refusals, Refusal::of(trouble, "`route`"));
                    }
                }
                Some(outcome.values)
            }
        };
        let takes = takes.as_ref().map(|values| values.as_boolean());
        let is_taken = |row: usize| takes.is_none_or(|takes| takes.is_valid(row) && takes.value(row));
        match to {
            Destination::Stream(name) => {
                let number = self.learn(name.as_str());
                for (row, given) in given.iter_mut().enumerate() {
                    if *given == OPEN && is_taken(row) {
                        *given = number;
                    }
                }
            }
            Destination::Computed(name) => {
                let outcome = name.evaluate(&image)?;
                let names = outcome.values.as_string::<i32>();
                for row in 0..given.len() {
                    if given[row] != OPEN || !is_taken(row) {
                        continue;
                    }
                    let wrong = || Refusal {
                        code: "no_stream",
                        message: "`route`: the expression gives null, or what cannot be the name of a stream".into(),
                    };
                    match outcome.troubles.get(&row) {
                        Some(trouble) => refuse(row, given, refusals, Refusal::of(*trouble, "`route`")),
                        None if names.is_valid(row) && check_name(names.value(row)).is_ok() => {
                            given[row] = self.learn(names.value(row));
                        }
                        None => refuse(row, given, refusals, wrong()),
                    }
                }
                if self.streams.len() > STREAMS_MAX {
                    return Err(Error::misconfigured("routing rows failed, they would go to too many streams")
                        .code("U0617")
                        .with("most", STREAMS_MAX)
                        .help("route by a column with few values"));
                }
            }
        }
        Ok(())
    }

    /// Streams that are known before any row.
    fn known(&self) -> Vec<StreamName> {
        let mut known: Vec<StreamName> = Vec::new();
        let mut takes_all = false;
        for (when, to) in &self.cases {
            if let Destination::Stream(name) = to
                && !known.contains(name)
            {
                known.push(name.clone());
            }
            takes_all |= when.is_none();
        }
        if (!takes_all || known.is_empty()) && !known.contains(&self.stream) {
            known.push(self.stream.clone());
        }
        known
    }

    /// The emptied stream's rows lie wherever they were sent.
    fn empty_all(&self, batch: Batch) -> Result<Stepped> {
        if self.cases.iter().any(|(_, to)| matches!(to, Destination::Computed(_))) {
            return Err(Error::misconfigured(
                "routing failed, the source emptied the stream and its rows may be in any other",
            )
            .code("U0617")
            .with("stream", &batch.stream)
            .help("route with names in place of an expression, or have the source tell deletes one by one"));
        }
        let mut known = self.known();
        let last = known.pop().unwrap_or_else(|| self.stream.clone());
        let mut batches: Vec<Batch> = known.into_iter().map(|stream| part(&batch, stream)).collect();
        batches.push(Batch { stream: last, ..batch });
        Ok(Stepped { batches, filtered: 0 })
    }
}

impl CompiledStep for Sending {
    fn output(&self) -> &Arc<StreamSchema> {
        &self.schema
    }
    fn streams(&self) -> Vec<StreamName> {
        self.known()
    }
    fn apply(&mut self, mut batch: Batch) -> Result<Stepped> {
        if batch.ops == Ops::Truncate {
            return self.empty_all(batch);
        }
        let (mut given, refusals) = self.assign(&batch)?;
        given.retain(|number| *number != NONE);
        refuse(&mut batch, refusals)?;
        let (mut wanted, mut is_wanted) = (Vec::new(), vec![false; self.streams.len()]);
        for number in &given {
            if !std::mem::replace(&mut is_wanted[*number], true) {
                wanted.push(*number);
            }
        }
        let Some(last) = wanted.pop() else {
            // no rows: a stream that rows do go to, so that no topic is made for one that has none
            let stream = self.known().into_iter().next().unwrap_or_else(|| self.stream.clone());
            return Ok(Stepped::one(Batch { stream, ..batch }));
        };
        let mask = |wanted: usize| -> BooleanArray { given.iter().map(|number| Some(*number == wanted)).collect() };
        let mut batches = Vec::with_capacity(wanted.len() + 1);
        for number in &wanted {
            let mut one = part(&batch, self.streams[*number].clone());
            one.retain(&mask(*number))?;
            batches.push(one);
        }
        if !wanted.is_empty() {
            batch.retain(&mask(last))?;
        }
        batch.stream = self.streams[last].clone();
        batches.push(batch);
        Ok(Stepped { batches, filtered: 0 })
    }
}

/// The rows for another stream, without what goes with the last batch alone.
fn part(batch: &Batch, stream: StreamName) -> Batch {
    Batch {
        stream,
        schema: batch.schema.clone(),
        rows: batch.rows.clone(),
        marks: batch.marks.clone(),
        before: batch.before.clone(),
        before_marks: batch.before_marks.clone(),
        ops: batch.ops.clone(),
        origin: batch.origin.clone(),
        source_time: batch.source_time.clone(),
        rejected: Vec::new(),
        replayed: Vec::new(),
        advance: None,
    }
}
