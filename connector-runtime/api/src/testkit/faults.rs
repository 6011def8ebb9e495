//! Wrappers around any source and any sink that make what can go wrong go wrong: by a seed, or at a chosen pass.

use crate::batch::Batch;
use crate::checkpoint::{Advance, Checkpoint};
use crate::error::{Error, Result};
use crate::facts::Admit;
use crate::names::{SplitId, murmur2};
use crate::sink::{Fenced, Opened, Receipt, Sink};
use crate::source::Source;
use async_trait::async_trait;
use futures::future::BoxFuture;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where something can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    Fence,
    OpenSink,
    OpenSource,
    Read,
    Vouch,
    Settle,
    Write,
    Commit,
    /// Looking at what is stored, without taking the split.
    Inspect,
}

impl Place {
    pub const ALL: [Place; 9] = [
        Place::Fence,
        Place::OpenSink,
        Place::OpenSource,
        Place::Read,
        Place::Vouch,
        Place::Settle,
        Place::Write,
        Place::Commit,
        Place::Inspect,
    ];
}

/// What goes wrong there. All errors are `Transient`, as from a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not done.
    Fail,
    /// Done, but reported failed.
    LoseReply,
    /// Nothing happens for a while, then it is done.
    Hang(Duration),
    /// Done, and the reply comes after a while. A read hangs instead, since a batch must not depend on a future.
    Linger(Duration),
    /// Reported failed at once, and tried after a while, when somebody else may own the split. Only for commits.
    Late(Duration),
    /// The future is dropped after its first poll and made again. Only for reads.
    DropFuture,
    /// Another owner opens the split first; see [`Faults::usurp_with`].
    Usurp,
}

/// A plan of faults; a clone is the same plan. The default one has none.
#[derive(Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
    /// Whose random faults these are; see [`Faults::of`].
    stream: u32,
}

type Usurper = Arc<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

#[derive(Default)]
struct Plan {
    random: Option<Random>,
    script: Vec<(Place, u64, Fault)>,
    always: BTreeMap<Place, Fault>,
    passes: BTreeMap<Place, u64>,
    struck: Vec<(Place, u64, Fault)>,
    usurper: Option<Usurper>,
}

struct Random {
    seed: u64,
    streams: BTreeMap<u32, SmallRng>,
    one_in: u32,
    places: Vec<Place>,
    longest: Duration,
    left: u64,
    usurps: bool,
}

impl Faults {
    fn planned(plan: Plan) -> Self {
        Self { plan: Arc::new(Mutex::new(plan)), stream: 0 }
    }
    /// The same plan as it strikes one split: its random faults are drawn apart from those of the others, so that a seed
    /// replays in whatever order splits take turns.
    pub fn of(&self, split: &SplitId) -> Self {
        Self { plan: self.plan.clone(), stream: murmur2(split.to_string().as_bytes()) }
    }
    /// At each pass of any place one in `one_in` times a fault, drawn from the seed, without end; it hangs up to a second.
    /// It never usurps, since that is for whoever plans to lose the split.
    pub fn seeded(seed: u64, one_in: u32) -> Self {
        let random = Random {
            seed,
            streams: BTreeMap::new(),
            one_in: one_in.max(1),
            places: Place::ALL.to_vec(),
            longest: Duration::from_secs(1),
            left: u64::MAX,
            usurps: false,
        };
        Self::planned(Plan { random: Some(random), ..Plan::default() })
    }
    /// At the so manieth pass (from 1) of a place, this fault.
    pub fn scripted(script: impl IntoIterator<Item = (Place, u64, Fault)>) -> Self {
        Self::planned(Plan { script: script.into_iter().collect(), ..Plan::default() })
    }
    /// At every pass of a place, this fault.
    pub fn always(place: Place, fault: Fault) -> Self {
        Self::planned(Plan { always: BTreeMap::from([(place, fault)]), ..Plan::default() })
    }
    /// Random faults only at these places.
    pub fn at(self, places: &[Place]) -> Self {
        self.random(|r| r.places = places.to_vec())
    }
    /// Random faults hang at most this long.
    pub fn longest(self, longest: Duration) -> Self {
        self.random(|r| r.longest = longest)
    }
    /// At most so many random faults.
    pub fn at_most(self, count: u64) -> Self {
        self.random(|r| r.left = count)
    }
    /// Random faults at commits may be [`Fault::Usurp`].
    pub fn usurping(self) -> Self {
        self.random(|r| r.usurps = true)
    }
    /// How [`Fault::Usurp`] takes the split: fence and open it, then let it go. The memory connector sets it.
    pub fn usurp_with(&self, usurper: impl Fn() -> BoxFuture<'static, Result<()>> + Send + Sync + 'static) {
        self.plan().usurper = Some(Arc::new(usurper));
    }
    /// One more scripted fault: at the next pass of the place.
    pub fn next(&self, place: Place, fault: Fault) {
        let mut plan = self.plan();
        let pass = plan.passes.get(&place).copied().unwrap_or_default() + 1;
        plan.script.push((place, pass, fault));
    }
    /// No more faults.
    pub fn heal(&self) {
        let mut plan = self.plan();
        plan.random = None;
        plan.script.clear();
        plan.always.clear();
    }
    /// How often the place was passed.
    pub fn passes(&self, place: Place) -> u64 {
        self.plan().passes.get(&place).copied().unwrap_or_default()
    }
    /// The faults so far: place, its pass, what went wrong.
    pub fn struck(&self) -> Vec<(Place, u64, Fault)> {
        self.plan().struck.clone()
    }

    /// Does `done`, with the fault that is due at this place.
    pub async fn pass<T>(&self, place: Place, done: impl Future<Output = Result<T>>) -> Result<T> {
        let fault = self.strike(place);
        self.suffer(place, fault, done).await
    }

    async fn suffer<T>(&self, place: Place, fault: Option<Fault>, done: impl Future<Output = Result<T>>) -> Result<T> {
        match fault {
            Some(Fault::Fail) => Err(failed(place)),
            Some(Fault::LoseReply) => {
                done.await?;
                Err(reply_lost(place))
            }
            Some(Fault::Hang(time)) => {
                tokio::time::sleep(time).await;
                done.await
            }
            Some(Fault::Linger(time)) => {
                let value = done.await?;
                tokio::time::sleep(time).await;
                Ok(value)
            }
            Some(Fault::Usurp) => {
                self.usurp().await?;
                done.await
            }
            None | Some(Fault::Late(_) | Fault::DropFuture) => done.await,
        }
    }

    async fn usurp(&self) -> Result<()> {
        let usurper = self.plan().usurper.clone();
        match usurper {
            Some(usurp) => usurp().await,
            None => Ok(()),
        }
    }
    fn strike(&self, place: Place) -> Option<Fault> {
        let mut plan = self.plan();
        let pass = plan.passes.entry(place).or_default();
        *pass += 1;
        let pass = *pass;
        let scripted = plan.script.iter().find(|(p, at, _)| *p == place && *at == pass).map(|(_, _, f)| *f);
        let planned = scripted.or_else(|| plan.always.get(&place).copied());
        let fault = planned.or_else(|| plan.random.as_mut()?.draw(self.stream, place))?;
        plan.struck.push((place, pass, fault));
        Some(fault)
    }
    fn random(self, change: impl FnOnce(&mut Random)) -> Self {
        if let Some(random) = &mut self.plan().random {
            change(random);
        }
        self
    }
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Random {
    fn draw(&mut self, stream: u32, place: Place) -> Option<Fault> {
        let seed = self.seed ^ u64::from(stream);
        let random = self.streams.entry(stream).or_insert_with(|| SmallRng::seed_from_u64(seed));
        // drawn before anything else, so that the same seed gives the same faults at the places that are kept
        let is_due = random.random_ratio(1, self.one_in);
        if !is_due || self.left == 0 || !self.places.contains(&place) {
            return None;
        }
        self.left -= 1;
        // short times as often as long ones
        let time = self.longest.mul_f64(2f64.powf(-random.random_range(0.0..12.0)));
        let mut kinds = vec![Fault::Fail, Fault::LoseReply, Fault::Hang(time), Fault::Linger(time)];
        match place {
            Place::Read => kinds.push(Fault::DropFuture),
            Place::Commit => kinds.push(Fault::Late(time)),
            _ => {}
        }
        if self.usurps && place == Place::Commit {
            kinds.push(Fault::Usurp);
        }
        Some(kinds[random.random_range(0..kinds.len())])
    }
}

/// A source with faults at `Read`, `Vouch` and `Settle`.
pub struct FaultySource {
    source: Box<dyn Source>,
    faults: Faults,
}

impl FaultySource {
    pub fn new(source: Box<dyn Source>, faults: Faults) -> Self {
        Self { source, faults }
    }
}

#[async_trait]
impl Source for FaultySource {
    async fn next(&mut self) -> Result<Option<Batch>> {
        match self.faults.strike(Place::Read) {
            Some(Fault::Fail) => Err(failed(Place::Read)),
            Some(Fault::LoseReply) => {
                self.source.next().await?;
                Err(reply_lost(Place::Read))
            }
            Some(Fault::Hang(time) | Fault::Linger(time)) => {
                tokio::time::sleep(time).await;
                self.source.next().await
            }
            Some(Fault::Usurp) => {
                self.faults.usurp().await?;
                self.source.next().await
            }
            Some(Fault::DropFuture) => {
                let first = {
                    let mut once = self.source.next();
                    futures::future::poll_immediate(&mut once).await
                };
                match first {
                    Some(ready) => ready,
                    None => self.source.next().await,
                }
            }
            None | Some(Fault::Late(_)) => self.source.next().await,
        }
    }
    async fn vouch(&mut self, advance: &Advance) -> Result<()> {
        self.faults.pass(Place::Vouch, self.source.vouch(advance)).await
    }
    async fn settle(&mut self, committed: &Checkpoint) -> Result<()> {
        self.faults.pass(Place::Settle, self.source.settle(committed)).await
    }
}

/// A fenced split with faults at `OpenSink`; its sink has them too.
pub struct FaultyFenced {
    fenced: Box<dyn Fenced>,
    faults: Faults,
}

impl FaultyFenced {
    pub fn new(fenced: Box<dyn Fenced>, faults: Faults) -> Self {
        Self { fenced, faults }
    }
}

#[async_trait]
impl Fenced for FaultyFenced {
    async fn open(self: Box<Self>, admit: Admit) -> Result<Opened> {
        let Self { fenced, faults } = *self;
        let opened = faults.pass(Place::OpenSink, fenced.open(admit)).await?;
        let sink = Box::new(FaultySink::new(opened.sink, faults));
        Ok(Opened { sink, checkpoint: opened.checkpoint, facts: opened.facts })
    }
}

/// A sink with faults at `Write` and `Commit`.
pub struct FaultySink {
    sink: Box<dyn Sink>,
    faults: Faults,
}

impl FaultySink {
    pub fn new(sink: Box<dyn Sink>, faults: Faults) -> Self {
        Self { sink, faults }
    }
}

#[async_trait]
impl Sink for FaultySink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        self.faults.pass(Place::Write, self.sink.write(batch)).await
    }
    fn seal(&mut self, advance: Advance) -> BoxFuture<'static, Result<Receipt>> {
        let faults = self.faults.clone();
        let commit = self.sink.seal(advance);
        Box::pin(async move {
            let fault = faults.strike(Place::Commit);
            if let Some(Fault::Late(time)) = fault {
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    // nobody waits for it any more; whether it was done is for the next open to find out
                    let _ = commit.await;
                });
                return Err(failed(Place::Commit));
            }
            faults.suffer(Place::Commit, fault, commit).await
        })
    }
    async fn ended(&mut self) -> Error {
        self.sink.ended().await
    }
}

fn failed(place: Place) -> Error {
    Error::transient("passing a planned fault failed: nothing was done").with("place", format!("{place:?}"))
}

fn reply_lost(place: Place) -> Error {
    Error::transient("passing a planned fault failed: it was done, the reply is lost")
        .with("place", format!("{place:?}"))
}
