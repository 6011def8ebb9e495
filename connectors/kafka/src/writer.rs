//! The thread of a sink: takes encoded rows, and makes of each epoch one Kafka transaction.
//!
//! Epoch: begin → rows → quarantine → wait for delivery → notes, state → wait → commit → only then is the seal answered.
//! A transaction begins only when its epoch is sealed, or when its rows fill half of the sink's memory: an open one hides what
//! other splits commit to the same partitions. The next epoch's rows wait in the channel meanwhile. After any error the thread ends and the split is opened anew, from
//! the fence on: a producer is never used again after an error (rule K1).

use crate::epoch::Chunk;
use crate::state::{Place, State};
use crate::transactions::{LATE_COMMIT, Plan, Transactions, WriteError};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use unbatch_api::{Error, Facts, NoteKey, Ownership, Receipt, Reports, Result, SplitId, failpoint};
use unbatch_kafka_client::is_fenced;

/// How long the client may stay silent when there is nothing to do.
const IDLE: Duration = Duration::from_secs(1);
/// A newer owner fences first and stores that it owns the split only once it has read the state: so long it may take for
/// that, and so often we look.
const TAKE_OVER: Duration = Duration::from_secs(3);
/// Longest that one look may take.
const STATE_TIME_MAX: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often an owner that has nothing to commit looks whether it was replaced.
const OWNER_LOOK: Duration = Duration::from_secs(5);
/// A state record larger than this would be refused by a broker with default settings, in the middle of an epoch.
const STATE_BYTES_MAX: usize = 1_000_000;

/// What the sink tells its thread, in order.
pub(crate) enum Command {
    Rows(Rows),
    /// The memory is used up: begin the transaction although its end has not come.
    Begin,
    Seal(Box<Seal>),
}

/// One batch on its way into the open epoch.
pub(crate) struct Rows {
    pub chunk: Option<Chunk>,
    /// Schema records first, quarantine entries after the rows.
    pub schema: Option<Extra>,
    pub entries: Vec<Extra>,
    /// Gives the batch's memory back when it is dropped.
    #[expect(dead_code, reason = "held, not read")]
    pub memory: OwnedSemaphorePermit,
    pub bytes: usize,
}

/// A record that is not a row.
pub(crate) struct Extra {
    pub topic: Arc<str>,
    pub key: String,
    pub value: Vec<u8>,
}

/// The end of an epoch.
pub(crate) struct Seal {
    /// As it will be stored, but for `last`.
    pub state: State,
    pub notes: BTreeMap<NoteKey, Option<Bytes>>,
    pub receipt: Receipt,
    /// Data topics in order of their index.
    pub topics: Vec<String>,
    pub reply: oneshot::Sender<Result<Receipt>>,
}

/// Why the thread ended, for whoever asks next.
#[derive(Clone, Default)]
pub(crate) struct Ended(Arc<EndedInner>);

#[derive(Default)]
struct EndedInner {
    reason: Mutex<Option<Error>>,
    set: Notify,
}

impl Ended {
    /// Why, for everyone who asks: whoever asks second must not take a fence for something that passes.
    pub fn take(&self) -> Error {
        self.given()
            .unwrap_or_else(|| Error::transient("writing to a sink that had failed before failed").code("U0283"))
    }

    /// Waits until there is a reason.
    pub async fn wait(&self) -> Error {
        loop {
            let set = self.0.set.notified();
            match self.given() {
                Some(error) => return error,
                None => set.await,
            }
        }
    }

    /// The reason; whoever asks first gets it with its causes.
    fn given(&self) -> Option<Error> {
        let mut reason = self.0.reason.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = again(reason.as_ref()?);
        reason.replace(copy)
    }

    /// The first reason stays.
    fn set(&self, error: Error) {
        self.0.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.0.set.notify_waiters();
    }
}

/// The same error without its causes, which cannot be copied.
fn again(error: &Error) -> Error {
    let mut copy = Error::new(error.kind(), error.message());
    if let Some(code) = error.code_text() {
        copy = copy.code(code);
    }
    for (name, value) in error.context() {
        copy = copy.with(name, value);
    }
    match error.remedy() {
        Some(remedy) => copy.help(remedy),
        None => copy,
    }
}

pub(crate) struct Writer {
    pub plan: Plan,
    pub transactions: Transactions,
    pub place: Place,
    pub split: SplitId,
    pub ownership: Arc<dyn Ownership>,
    pub reports: Reports,
    /// What this owner stored last.
    pub stored: Facts,
    /// Offsets of the last epoch that had rows.
    pub last: crate::state::LastOffsets,
    /// When the open transaction began.
    pub begun: Option<Instant>,
    /// Rows of the open epoch whose transaction has not begun.
    pub held: Vec<Rows>,
    pub held_bytes: usize,
    /// With as many the transaction begins before its seal.
    pub held_bytes_max: usize,
    pub looked: Looked,
}

/// When an idle owner looked last whether it was replaced, and how far it has read the state's partition.
pub(crate) struct Looked {
    at: Instant,
    end: i64,
}

impl Default for Looked {
    fn default() -> Self {
        Self { at: Instant::now(), end: 0 }
    }
}

impl Writer {
    /// Works until the sink is dropped or something fails.
    pub fn run(mut self, commands: Receiver<Command>, ended: &Ended) {
        match self.serve(&commands, ended) {
            Ok(()) if self.begun.is_some() => self.transactions.give_up(),
            Ok(()) => {}
            // Set before the channel closes, so that whoever sees it closed finds the reason.
            Err(error) => ended.set(error),
        }
        drop(commands);
    }

    fn serve(&mut self, commands: &Receiver<Command>, ended: &Ended) -> Result<()> {
        loop {
            let wait = self.begun.map_or(IDLE, |begun| self.epoch_limit().saturating_sub(begun.elapsed()).min(IDLE));
            match commands.recv_timeout(wait) {
                Ok(Command::Rows(rows)) => self.take(rows).map_err(|e| self.judge(e))?,
                Ok(Command::Begin) => self.begin().map_err(|e| self.judge(e))?,
                Ok(Command::Seal(seal)) => {
                    if !self.seal(*seal, ended) {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.transactions.serve();
                    self.look_for_successor()?;
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.check_age()?;
        }
    }

    /// Rule K2: an epoch is closed or dropped by half of the transaction's time-out, well before the broker ends it.
    fn check_age(&self) -> Result<()> {
        match self.begun {
            Some(begun) if begun.elapsed() >= self.epoch_limit() && !failpoint::sabotaged("K2") => {
                Err(Error::transient("keeping an epoch open until its end came failed")
                    .code("U0284")
                    .with("split", &self.split)
                    .with("open for", format!("{:.1} s", begun.elapsed().as_secs_f64()))
                    .help("the source gave no safe place to stop for too long; raise `transaction.timeout.ms` in `kafka.properties`"))
            }
            _ => Ok(()),
        }
    }

    fn epoch_limit(&self) -> Duration {
        self.plan.transaction_timeout / 2
    }

    /// Whether the epoch was committed, so that the next may begin.
    fn seal(&mut self, seal: Seal, ended: &Ended) -> bool {
        let Seal { state, notes, receipt, topics, reply } = seal;
        let result = self.commit(state, &notes, &topics).map_err(|e| self.judge(e));
        let committed = result.is_ok();
        if let Err(error) = &result {
            ended.set(again(error));
            // Whether it took place is unknown: aborting could only make matters worse. The next fence settles it.
            self.begun = None;
        }
        // Nobody listens when the sink was dropped; what was committed is found by the next open.
        let _ = reply.send(result.map(|()| receipt));
        committed
    }

    fn take(&mut self, rows: Rows) -> Result<(), WriteError> {
        if self.begun.is_some() {
            return self.produce(&rows);
        }
        self.held_bytes += rows.bytes;
        self.held.push(rows);
        if self.held_bytes >= self.held_bytes_max { self.begin() } else { Ok(()) }
    }

    /// Begins the epoch's transaction with the rows that were held.
    fn begin(&mut self) -> Result<(), WriteError> {
        if self.begun.is_none() {
            self.transactions.begin()?;
            self.begun = Some(Instant::now());
            failpoint::hit("topic.after_begin")?;
            self.held_bytes = 0;
            for rows in std::mem::take(&mut self.held) {
                self.produce(&rows)?;
            }
        }
        Ok(())
    }

    fn produce(&self, rows: &Rows) -> Result<(), WriteError> {
        if let Some(extra) = &rows.schema {
            self.transactions.produce_one(&extra.topic, 0, &extra.key, Some(&extra.value))?;
        }
        if let Some(chunk) = &rows.chunk {
            self.transactions.produce(chunk, || failpoint::hit("topic.mid_produce"))?;
        }
        for extra in &rows.entries {
            self.transactions.produce_one(&extra.topic, 0, &extra.key, Some(&extra.value))?;
        }
        Ok(())
    }

    /// Ends the epoch: what it wrote, the notes and the state become visible together, or nothing does.
    pub fn commit(
        &mut self,
        mut state: State,
        notes: &BTreeMap<NoteKey, Option<Bytes>>,
        topics: &[String],
    ) -> Result<(), WriteError> {
        self.begin()?;
        self.transactions.drain()?;
        let last = self.transactions.last_offsets(topics);
        if !last.is_empty() {
            self.last = last;
        }
        state.last.clone_from(&self.last);
        failpoint::hit("topic.before_state")?;
        self.produce_state(&state, notes)?;
        self.transactions.drain()?;
        failpoint::hit("topic.before_commit")?;
        let took = self.transactions.commit()?;
        self.begun = None;
        failpoint::hit("topic.after_commit")?;
        self.stored = state.facts;
        if took >= LATE_COMMIT && !failpoint::sabotaged("K1") {
            self.renew(took)?;
        }
        Ok(())
    }

    /// The state is the last record of an epoch: whatever a late commit could tear off, it would be this first.
    fn produce_state(&self, state: &State, notes: &BTreeMap<NoteKey, Option<Bytes>>) -> Result<(), WriteError> {
        let (topic, lane) = (self.place.topic.as_str(), self.place.lane);
        for (note, value) in notes {
            self.transactions.produce_one(topic, lane, &self.place.note_key(note), value.as_deref())?;
        }
        let value = state.to_json();
        if value.len() > STATE_BYTES_MAX {
            return Err(Error::misconfigured("storing the state of a split failed")
                .code("U0285")
                .with("split", &self.split)
                .with("bytes", value.len())
                .help("too many parts are open at once; let fewer files or chunks be read side by side")
                .into());
        }
        self.transactions.produce_one(topic, lane, &self.place.state_key, Some(value.as_bytes()))?;
        Ok(())
    }

    /// Rule K1: the commit was answered, but so late that librdkafka may have sent it twice. The first request may still be
    /// under way, and would commit part of the next transaction. A new producer raises the epoch, so that it comes to
    /// nothing; then the state must say what we think it says. Before that it must not name a newer owner: the new producer
    /// fences, and an owner that was stalled here for long would end its live successor.
    fn renew(&mut self, took: Duration) -> Result<(), WriteError> {
        self.reports.add("late_commits_total", 1);
        tracing::info!(split = %self.split, took_ms = took.as_millis() as u64, "a commit was late, making a new producer");
        self.must_be_assigned()?;
        // what we have just committed need not be visible yet
        let seen = self.place.read_visible(&self.plan.cluster.admin()?, STATE_TIME_MAX)?;
        if let Some(seen) = seen.filter(|seen| self.is_newer(&seen.facts)) {
            return Err(self.differs(&seen.facts).into());
        }
        self.transactions = self.plan.connect()?;
        self.must_be_assigned()?;
        let stored = self.read_state()?.map(|state| state.facts).unwrap_or_default();
        let ours = &self.stored;
        if (stored.generation, stored.owner, stored.seq) == (ours.generation, ours.owner, ours.seq) {
            return Ok(());
        }
        Err(self.differs(&stored).into())
    }

    fn must_be_assigned(&self) -> Result<()> {
        if self.ownership.is_ours(&self.split) { Ok(()) } else { Err(not_ours(&self.split)) }
    }

    fn is_newer(&self, stored: &Facts) -> bool {
        stored.owner > self.stored.owner || stored.generation > self.stored.generation
    }

    /// Turns what the client said into what it means. Rule K2: a producer that is fenced was either replaced by a newer owner
    /// or outlived its transaction's time-out; both look alike, and only the stored owner tells.
    pub fn judge(&self, error: WriteError) -> Error {
        let refusal = match error {
            WriteError::Known(error) => return error,
            WriteError::Refused(refusal) => refusal,
        };
        let attempted = "committing an epoch failed";
        if !is_fenced(refusal.code) {
            return refusal.into_error(attempted).with("split", &self.split);
        }
        if failpoint::sabotaged("K2") {
            return Error::fenced(attempted).caused_by(refusal);
        }
        match self.successor() {
            Ok(Some(facts)) => self.differs(&facts).caused_by(refusal),
            Ok(None) => Error::transient(attempted).code("U0286").with("split", &self.split).caused_by(refusal),
            Err(e) => Error::transient(attempted).code("U0286").with("split", &self.split).caused_by(e),
        }
    }

    /// The newer owner, if one stores itself within [`TAKE_OVER`]. Coming back at once would fence it in its turn, and the older
    /// of two owners would win.
    fn successor(&self) -> Result<Option<Facts>> {
        let deadline = Instant::now() + TAKE_OVER;
        loop {
            match self.read_state()? {
                Some(state) if state.facts.owner > self.stored.owner => return Ok(Some(state.facts)),
                _ if Instant::now() >= deadline => return Ok(None),
                _ => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// Who has nothing to commit would never learn from the broker that it was replaced.
    fn look_for_successor(&mut self) -> Result<()> {
        if self.begun.is_some() || self.looked.at.elapsed() < OWNER_LOOK {
            return Ok(());
        }
        self.looked.at = Instant::now();
        // a broker that does not answer is asked again the next time
        let Ok(end) = self.transactions.end_of(&self.place.topic, self.place.lane) else { return Ok(()) };
        if end == self.looked.end {
            return Ok(());
        }
        let admin = self.plan.cluster.admin()?;
        match self.place.read_since(&admin, self.looked.end, STATE_TIME_MAX) {
            Ok((Some(state), _)) if state.facts.owner > self.stored.owner => Err(self.differs(&state.facts)),
            Ok((_, end)) => {
                self.looked.end = end;
                Ok(())
            }
            Err(error) => {
                tracing::debug!(split = %self.split, error = %error.one_line(), "looking for a newer owner failed");
                Ok(())
            }
        }
    }

    /// A successor that died in the middle of its open leaves a transaction that stalls this read until its time-out; our own
    /// next open ends it, so nobody waits for that here.
    fn read_state(&self) -> Result<Option<State>> {
        let admin = self.plan.cluster.admin()?;
        self.place.read_settled(&admin, STATE_TIME_MAX)
    }

    /// The stored state is not what we stored.
    fn differs(&self, stored: &Facts) -> Error {
        let is_moved = stored.generation > self.stored.generation;
        let error = match self.is_newer(stored) {
            true if is_moved => Error::fenced("keeping a split failed, its positions were changed meanwhile")
                .help("start the pipeline again: it goes on from the new positions"),
            true => Error::fenced("keeping a split failed, a newer run took it over")
                .help("stop one of the two runs, or give one a `deployment` of its own"),
            false => Error::transient("keeping a split failed, another run stored something since")
                .help("it is opened again by itself; if it repeats, stop one of the two runs"),
        };
        error
            .code("U0287")
            .with("split", &self.split)
            .with("our owner", self.stored.owner)
            .with("stored owner", stored.owner)
            .with("our epoch", self.stored.seq)
            .with("stored epoch", stored.seq)
    }
}

/// The split was assigned to another worker.
pub(crate) fn not_ours(split: &SplitId) -> Error {
    Error::transient("keeping a split failed: it is assigned to another worker now").code("U0288").with("split", split)
}
