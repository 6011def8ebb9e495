//! Taking a split over: fence first, then read, check and store that we own it. The numbers are the steps of the protocol.

use crate::config::TopicConfig;
use crate::destination::{Destination, RECORD_BYTES_DEFAULT};
use crate::naming::check_purpose;
use crate::quarantine;
use crate::sink::{Parts, TopicSink};
use crate::state::{Place, State};
use crate::transactions::{Plan, Transactions};
use crate::writer::{Looked, Writer, not_ours};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unbatch_api::{
    Admit, Counters, Error, Facts, Fenced, Limits, NoteKey, Opened, Result, Rewrite, SinkContext, SplitIndex, Stored,
    async_trait, failpoint,
};
use unbatch_kafka_client::{Admin, Cluster, EndOf, InternalTopics};

/// The broker waits this long for a silent owner, unless `transaction.timeout.ms` says otherwise.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);
/// What brokers accept when nobody set `transaction.max.timeout.ms`.
const TRANSACTION_TIMEOUT_MAX: Duration = Duration::from_secs(15 * 60);
/// Most bytes of a batch on the wire; less when a topic takes less.
const BATCH_BYTES: usize = 900_000;
/// Memory for records that the client has taken and the broker has not acknowledged.
const QUEUE_BYTES_MAX: usize = 16 << 20;
const QUEUED_BYTES_MIN: usize = 4 << 20;
const QUEUED_BYTES_MAX: usize = 16 << 20;
/// Bounds of the look for rows that are newer than the state (rule K5).
const LOOK_RECORDS: usize = 500;
const LOOK_TIME: Duration = Duration::from_secs(2);

/// A split whose earlier owners can no longer commit.
pub(crate) struct FencedSplit {
    config: Arc<TopicConfig>,
    cx: SinkContext,
    admin: Admin,
    plan: Plan,
    transactions: Transactions,
}

/// How long reading a state may take: another split's open transaction in the same partition is waited for (rule K3).
pub(crate) fn read_limit(plan: &Plan) -> Duration {
    plan.transaction_timeout.max(TRANSACTION_TIMEOUT) + Duration::from_secs(30)
}

impl FencedSplit {
    /// Steps 1 to 3. Blocks.
    pub fn fence(config: Arc<TopicConfig>, cx: SinkContext) -> Result<Self> {
        let split = cx.place.split.clone();
        // 1: whoever is not assigned the split any more must not fence the one who is
        if !cx.ownership.is_ours(&split) {
            return Err(not_ours(&split));
        }
        check_purpose(&cx.place, &config.name)?;
        let cluster = Cluster::of(&cx.place)?;
        let admin = cluster.admin()?;
        let plan = plan(&config, &cx, &cluster, &admin)?;
        failpoint::hit("topic.before_init")?;
        let internal = InternalTopics::of(&cx.place.deployment);
        if failpoint::sabotaged("K3") && admin.topic(&internal.state)?.is_some() {
            Place::of(&internal.state, &split).read_settled(&admin, read_limit(&plan))?;
        }
        // 2: ends what the predecessor left, and it can commit no more. Rule K3: no state is read before that, since the open
        // transaction of a split that is fenced later would stall the read for its whole time-out
        let transactions = plan.connect()?;
        failpoint::hit("topic.after_init")?;
        // 3: assigned to another worker meanwhile: close without having written anything
        if !cx.ownership.is_ours(&split) {
            return Err(not_ours(&split));
        }
        Ok(Self { config, cx, admin, plan, transactions })
    }

    /// Steps 4 to 7. Blocks.
    fn open_blocking(self, admit: Admit) -> Result<Opened> {
        let deployment = &self.cx.place.deployment;
        let internal = InternalTopics::ensure(&self.admin, deployment)?;
        let place = Place::of(&internal.state, &self.cx.place.split);
        internal.check_log_start(&self.admin, place.lane)?;
        // 4
        let stored = place.read_settled(&self.admin, read_limit(&self.plan))?;
        failpoint::hit("topic.after_read_state")?;
        // 5
        let known = stored.as_ref().filter(|state| !state.forgotten);
        let facts = admitted(admit, known.cloned().map(State::into_stored).as_ref())?;
        if let Some(state) = known {
            let proven = prove_continuity(&self.admin, state, &self.cx);
            proven.or_else(|error| self.lost_or_went_on(error, state, &place))?;
        }
        let mut state = next_owner(facts, stored)?;
        let quarantine = quarantine::topic_name(&self.cx.place);
        let quarantine_bytes_max = quarantine::prepare(&self.admin, &quarantine)?;
        let constant = self.constant_destination(&state)?;
        if let Some(destination) = &constant {
            only_writes_to(&mut state, destination);
        }
        // 6
        let mut writer = writer(&self.cx, self.plan, self.transactions, place, &state);
        writer.commit(state.clone(), &BTreeMap::new(), &[]).map_err(|e| writer.judge(e))?;
        failpoint::hit("topic.after_write_owner")?;
        // 7
        let (checkpoint, facts) = (state.checkpoint.clone(), state.facts.clone());
        let parts =
            Parts { config: self.config, cx: self.cx, internal, quarantine, quarantine_bytes_max, constant, state };
        let sink = TopicSink::start(parts, writer)?;
        Ok(Opened { sink: Box::new(sink), checkpoint, facts })
    }

    /// Replaces the checkpoint and raises the generation; see `SinkConnector::rewrite`. Whoever was fenced by a rewrite that is
    /// refused finds its own owner number in the state, and opens again (rule K2). Blocks.
    pub fn rewrite(self, to: Rewrite) -> Result<Facts> {
        let internal = InternalTopics::ensure(&self.admin, &self.cx.place.deployment)?;
        let place = Place::of(&internal.state, &self.cx.place.split);
        let stored = place.read_settled(&self.admin, read_limit(&self.plan))?.map(State::into_stored);
        let to = to(stored.as_ref())?;
        let (stored, old) = stored.map(|s| (s.facts, s.checkpoint)).unwrap_or_default();
        let mut notes: BTreeMap<NoteKey, Option<Bytes>> = old.notes.keys().map(|note| (note.clone(), None)).collect();
        let forgotten = to.is_none();
        let checkpoint = to.unwrap_or_default();
        notes.extend(checkpoint.notes.iter().map(|(note, value)| (note.clone(), Some(value.clone()))));
        let (generation, owner, seq) = (stored.generation + 1, stored.owner + 1, stored.seq);
        let kept = if forgotten { Facts::default() } else { stored };
        let facts = Facts { generation, owner, seq, counters: Counters::default(), moved_to: None, ..kept };
        // The topics are forgotten too: whoever jumps has looked at them.
        let state = State { facts: facts.clone(), checkpoint, forgotten, ..State::default() };
        let mut writer = writer(&self.cx, self.plan, self.transactions, place, &state);
        writer.commit(state, &notes, &[]).map_err(|e| writer.judge(e))?;
        Ok(facts)
    }

    /// Who was stopped since it read the state may find the topics ahead of it, because another owner went on meanwhile: then
    /// nothing was set back, and nothing is lost.
    fn lost_or_went_on(&self, error: Error, read: &State, place: &Place) -> Result<()> {
        let now = place.read_settled(&self.admin, read_limit(&self.plan))?;
        let moment = |facts: &Facts| (facts.generation, facts.owner, facts.seq);
        if now.is_some_and(|now| moment(&now.facts) == moment(&read.facts)) {
            return Err(error);
        }
        Err(Error::transient("opening a split failed, another owner went on since its state was read")
            .code("U0287")
            .with("split", &self.cx.place.split)
            .with("owner", read.facts.owner)
            .caused_by(error))
    }

    fn constant_destination(&self, state: &State) -> Result<Option<Arc<Destination>>> {
        let template = self.config.template().map_err(|e| Error::misconfigured(e).code("U0272"))?;
        if !template.is_constant() {
            return Ok(None);
        }
        let name = &self.config.name;
        let destination = Destination::prepare(&self.admin, &self.config, name, state.topics.get(name), 0)?;
        Ok(Some(Arc::new(destination)))
    }
}

#[async_trait]
impl Fenced for FencedSplit {
    async fn open(self: Box<Self>, admit: Admit) -> Result<Opened> {
        blocking(move || self.open_blocking(admit)).await
    }
}

/// Memory of encoded rows that the client has not taken yet.
pub(crate) fn queued_bytes(limits: &Limits) -> usize {
    (limits.memory_bytes / 4).clamp(QUEUED_BYTES_MIN, QUEUED_BYTES_MAX)
}

fn writer(cx: &SinkContext, plan: Plan, transactions: Transactions, place: Place, state: &State) -> Writer {
    Writer {
        plan,
        transactions,
        place,
        split: cx.place.split.clone(),
        ownership: cx.ownership.clone(),
        reports: cx.reports.clone(),
        stored: state.facts.clone(),
        last: state.last.clone(),
        begun: None,
        held: Vec::new(),
        held_bytes: 0,
        held_bytes_max: queued_bytes(&cx.limits) / 2,
        looked: Looked::default(),
    }
}

/// Runs what blocks on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // not the cause: the message of a panic may quote data. Where it was, the process's own hook tells.
        Err(e) => {
            let ended = if e.is_panic() { "by a panic" } else { "with the process" };
            Err(Error::bug("running a Kafka request failed").code("U0289").with("its task ended", ended))
        }
    }
}

/// Rule K7 among others: the engine judges what is stored, and what it refuses is not opened.
fn admitted(admit: Admit, stored: Option<&Stored>) -> Result<Facts> {
    match (admit(stored), stored) {
        (Err(_), Some(stored)) if failpoint::sabotaged("K7") => Ok(stored.facts.clone()),
        (result, _) => result,
    }
}

/// What the new owner stores: the engine's facts, with the numbers that are the sink's to keep.
fn next_owner(admitted: Facts, stored: Option<State>) -> Result<State> {
    let stored = stored.unwrap_or_default();
    let generation = admitted.generation.max(stored.facts.generation);
    if admitted.generation < stored.facts.generation && !stored.forgotten {
        return Err(Error::bug("opening a split with an older generation failed")
            .code("U0289")
            .with("stored", stored.facts.generation)
            .with("given", admitted.generation));
    }
    let same = generation == stored.facts.generation && !stored.forgotten;
    let counters = if same { stored.facts.counters } else { Counters::default() };
    let facts = Facts { generation, owner: stored.facts.owner + 1, seq: stored.facts.seq, counters, ..admitted };
    Ok(State { facts, forgotten: false, ..stored })
}

/// A constant name was changed: the topics before are no longer this pipeline's to prove. That is safe, since the open at which
/// it changed has proven them just now (rule K5): the change hides no loss. From this state on no epoch of ours is in them, so
/// what becomes of them says nothing about what we committed, and their owner may delete them.
fn only_writes_to(state: &mut State, destination: &Destination) {
    state.topics.retain(|name, _| *name == destination.name);
    state.last.retain(|name, _| *name == destination.name);
    state.topics.insert(destination.name.clone(), destination.identity());
}

fn plan(config: &TopicConfig, cx: &SinkContext, cluster: &Arc<Cluster>, admin: &Admin) -> Result<Plan> {
    let asked = cluster.property("transaction.timeout.ms").map(|ms| ms.parse().map(Duration::from_millis));
    let transaction_timeout = match asked {
        Some(Ok(timeout)) => timeout,
        Some(Err(_)) => {
            return Err(Error::misconfigured("reading `transaction.timeout.ms` of `kafka.properties` failed")
                .code("U0258")
                .help("it is a number of milliseconds, such as 60000"));
        }
        None => (cx.policy.every * 4).clamp(TRANSACTION_TIMEOUT, TRANSACTION_TIMEOUT_MAX),
    };
    if cx.policy.every > transaction_timeout / 2 {
        return Err(Error::misconfigured("planning the transactions of a sink failed")
            .code("U0290")
            .with("commit.every", format!("{} s", cx.policy.every.as_secs()))
            .with("transaction.timeout.ms", transaction_timeout.as_millis())
            .help(
                "an epoch must be over by half of the transaction's time-out: lower `commit.every` or raise the other",
            ));
    }
    Ok(Plan {
        cluster: cluster.clone(),
        transactional_id: transactional_id(cx),
        transaction_timeout,
        batch_bytes: batch_bytes(config, cx, admin)?,
        queue_bytes: (cx.limits.memory_bytes / 4).clamp(4 << 20, QUEUE_BYTES_MAX),
        compression: config.compression,
    })
}

fn transactional_id(cx: &SinkContext) -> String {
    format!("{}.{}.{}", cx.place.deployment, cx.place.split.pipeline, cx.place.split.index)
}

/// Rule K8, for batches: the smallest limit among the topics that are known to be written to.
fn batch_bytes(config: &TopicConfig, cx: &SinkContext, admin: &Admin) -> Result<usize> {
    let quarantine = quarantine::topic_name(&cx.place);
    let mut names = vec![quarantine.as_str()];
    if config.template().is_ok_and(|template| template.is_constant()) {
        names.push(&config.name);
    }
    let limit = |config: &BTreeMap<String, String>, key: &str| config.get(key).and_then(|v| v.parse::<usize>().ok());
    let configs = admin.topic_configs(&names)?;
    let asked = config.config.get("max.message.bytes").and_then(|v| v.to_string().parse::<usize>().ok());
    let topics = configs.values().filter_map(|config| limit(config, "max.message.bytes")).chain(asked).min();
    let first = admin.brokers()?.ids.first().copied();
    // Asking a broker needs a right of its own; without it we go by Kafka's default.
    let broker = match first.map(|id| admin.broker_config(id)) {
        Some(Ok(config)) => limit(&config, "message.max.bytes"),
        Some(Err(e)) if e.kind() == unbatch_api::Kind::Transient => return Err(e),
        _ => None,
    };
    let broker = broker.unwrap_or(RECORD_BYTES_DEFAULT);
    Ok(BATCH_BYTES.min(broker).min(topics.unwrap_or(usize::MAX)))
}

/// Rule K5: the topics are those that were written to, and they still hold what was written last.
fn prove_continuity(admin: &Admin, state: &State, cx: &SinkContext) -> Result<()> {
    // a replay has no positions that could be wrong, only marks in the quarantine
    if failpoint::sabotaged("K5") || cx.place.split.index == SplitIndex::Replay {
        return Ok(());
    }
    let lost = |topic: &str, wrong: String| {
        Error::lost("finding what was committed last failed").code("U0291").with("topic", topic).with("wrong", wrong).help(
            format!(
                "rows that were committed are gone; load them again with `unbatch offsets reset {} --yes`, or go on without \
                 them with `offsets set`",
                cx.place.split.pipeline
            ),
        )
    };
    let names: Vec<&str> = state.topics.keys().map(String::as_str).collect();
    let found = admin.topics(&names)?;
    for (name, identity) in &state.topics {
        match found.get(name) {
            None => return Err(lost(name, "it was deleted".into())),
            Some(facts) if facts.id != identity.id => {
                return Err(lost(name, format!("it was made anew: id {}, was {}", facts.id, identity.id)));
            }
            Some(_) => {}
        }
    }
    let partitions: Vec<_> = state.last.iter().flat_map(|(name, p)| p.keys().map(|p| (name.clone(), *p))).collect();
    let ends = admin.offsets(&partitions, EndOf::Uncommitted)?;
    for ((name, partition), end) in &ends {
        let last = state.last[name][partition];
        if *end <= last {
            return Err(lost(name, format!("partition {partition} ends at {end}, the last row had offset {last}")));
        }
    }
    look_for_newer(admin, state, cx, &ends)
}

/// Second half of rule K5: rows with our mark that are newer than the state mean that the state was set back. Bounded; what
/// could not be looked at is reported, not fatal.
fn look_for_newer(admin: &Admin, state: &State, cx: &SinkContext, ends: &BTreeMap<(String, i32), i64>) -> Result<()> {
    let deadline = Instant::now() + LOOK_TIME;
    let mark = format!("{}.{}.", state.facts.generation, cx.place.split);
    let mut unproven = 0;
    // The record after the last one is the commit's own marker.
    for ((name, partition), end) in ends.iter().filter(|((name, p), end)| **end > state.last[name][p] + 2) {
        let (last, mut seen, mut newer) = (state.last[name][partition], 0, None);
        let left = deadline.saturating_duration_since(Instant::now());
        let read = admin.read_visible(name, *partition, last + 1, left, |record| {
            let u = record.header(crate::headers::EPOCH_NAME).and_then(|u| std::str::from_utf8(u).ok());
            let seq = u.and_then(|u| u.strip_prefix(&mark)).and_then(|seq| seq.parse::<u64>().ok());
            newer = seq.filter(|seq| *seq > state.facts.seq);
            seen += 1;
            if newer.is_some() || seen >= LOOK_RECORDS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Some(seq) = newer {
            return Err(Error::lost("comparing the state with what was written failed")
                .code("U0292")
                .with("topic", name)
                .with("partition", partition)
                .with("epoch in the topic", seq)
                .with("epoch in the state", state.facts.seq)
                .help("the state topic was set back (an old copy, an unclean election); rows would be doubled"));
        }
        if read.is_err() || (seen >= LOOK_RECORDS && last + 1 + (seen as i64) < *end) {
            unproven += 1;
        }
    }
    if unproven > 0 {
        let split = cx.place.split.to_string();
        tracing::info!(%split, partitions = unproven, "partitions with many newer rows of others were looked at in part");
        cx.reports.notice("not_proven", &split, "looked at part of what others wrote after our last rows");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_request_is_told_without_its_words() {
        let error = blocking(|| -> Result<()> { panic!("no room for 4711") }).await.unwrap_err();
        assert_eq!((error.kind(), error.code_text()), (unbatch_api::Kind::Bug, Some("U0289")));
        assert!(format!("{error:?}").contains("by a panic") && !format!("{error:?}").contains("4711"), "{error:?}");
    }
}
