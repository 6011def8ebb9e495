//! `unbatch topics read --follow`: goes on with what is still to come. Where nobody named the cluster it is that of a `run --dev`
//! in this folder, whichever of the two starts first: it is waited for, and found again when the next run has another port. While
//! none runs, what is kept is read in short moments: a run that wants it never waits for whoever looks at the records.

use super::Context;
use super::topics::{RecordWriter, is_internal};
use crate::answer::Answer;
use crate::arguments::ReadTopic;
use crate::cluster_choice::{Guide, Want, settle};
use crate::dev::Told;
use crate::failure::{Failure, Outcome};
use crate::runtime_file::Setup;
use crate::topic_scan::{From, Reached, Scan};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use unbatch_api::config::Text;
use unbatch_api::{DeploymentName, Result};
use unbatch_engine::config::nearest;
use unbatch_kafka_client::{Admin, Cluster, KafkaSettings, Record, TopicFacts};

/// How long one look for the next record lasts; between two, nothing is lost.
const LOOK: Duration = Duration::from_millis(200);
/// How often a topic is looked for that is not there yet, and the broker that gives nothing.
const CHECK_PERIOD: Duration = Duration::from_secs(1);
/// Bounds of a moment in which what is kept is read; then it is given back, and the records are shown.
const MOMENT: Duration = Duration::from_secs(2);
const MOMENT_RECORDS_MAX: usize = 10_000;
/// Topics that are named where the one that is meant is not there.
const NAMES_SHOWN: usize = 5;

pub(super) fn follow(args: &ReadTopic, cx: &Context) -> Outcome<Answer> {
    let mut setup = cx.setup()?;
    let mut follower = Follower {
        args,
        cx,
        guide: Guide::new(&setup, &cx.globals, args.dev.dev)?,
        from: Begin::At(From::parse(&args.from)?),
        writer: RecordWriter::new(args, &cx.terminal),
        deployment: setup.deployment.clone(),
    };
    loop {
        let told = match follower.wait(&setup)? {
            Next::Ask(told) => Some(told),
            Next::TheSame => None,
            Next::Enough => return Ok(Answer::told()),
        };
        match &told {
            Some(told) => setup.config.kafka.brokers = Text::Plain(told.address.clone()),
            None => drop(settle(&mut setup, &cx.globals, Want::Look { dev: args.dev.dev })?),
        }
        let cluster = Arc::new(Cluster::resolve(&setup.config.kafka, setup.resolver.as_ref())?);
        match follower.read(&cluster, told.as_ref())? {
            Left::Enough => return Ok(Answer::told()),
            Left::Gone if follower.guide.as_ref().is_some_and(|guide| guide.find().is_some()) => {}
            Left::Gone => follower.say(&format!("the broker at {} is gone", cluster.brokers())),
        }
    }
}

struct Follower<'a> {
    args: &'a ReadTopic,
    cx: &'a Context,
    /// `None`: somebody named the cluster, and the client finds it again by itself.
    guide: Option<Guide>,
    from: Begin,
    writer: RecordWriter<'a>,
    deployment: DeploymentName,
}

/// Where the next connection begins.
enum Begin {
    At(From),
    Behind(Reached),
}

/// Who is asked now.
enum Next {
    Ask(Told),
    /// Always the same one.
    TheSame,
    /// Nobody: what was kept held as many records as were asked for.
    Enough,
}

enum Left {
    /// As many records as were asked for.
    Enough,
    /// The broker that was asked is not there any more, or another one is.
    Gone,
}

impl Follower<'_> {
    /// Until there is somebody to ask.
    fn wait(&mut self, setup: &Setup) -> Outcome<Next> {
        let Some(guide) = self.guide.take() else { return Ok(Next::TheSame) };
        let next = self.wait_for(&guide, setup);
        self.guide = Some(guide);
        next
    }

    fn wait_for(&mut self, guide: &Guide, setup: &Setup) -> Outcome<Next> {
        let mut caught_up_with = None;
        let mut is_told = false;
        loop {
            if let Some(told) = guide.find() {
                self.say(&format!("asking {}; --brokers names another", guide.asked(&told)));
                return Ok(Next::Ask(told));
            }
            // a short run may have come and gone
            if caught_up_with.as_ref() != Some(&guide.edition()) {
                self.catch_up(guide, setup)?;
                caught_up_with = Some(guide.edition());
            }
            if self.writer.is_full() {
                return Ok(Next::Enough);
            }
            if !is_told {
                self.say(&format!("waiting for {}; --brokers names another", guide.awaited()));
                is_told = true;
            }
            sleep(LOOK);
        }
    }

    /// Writes what is kept and was not read yet, moment by moment.
    fn catch_up(&mut self, guide: &Guide, setup: &Setup) -> Outcome<()> {
        while let Some(served) = guide.lend()? {
            let kafka = KafkaSettings { brokers: Text::Plain(served.address()), ..setup.config.kafka.clone() };
            let (records, is_all) = self.moment(&Arc::new(Cluster::resolve(&kafka, setup.resolver.as_ref())?))?;
            drop(served);
            for record in records {
                if !self.writer.is_full() {
                    self.writer.write(&record)?;
                }
            }
            if is_all || self.writer.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// Some records, and whether they were the last.
    fn moment(&mut self, cluster: &Arc<Cluster>) -> Result<(Vec<Record>, bool)> {
        let admin = cluster.admin()?;
        let Some(facts) = admin.topic(&self.args.topic)? else {
            self.from = Begin::At(From::Start);
            return Ok((Vec::new(), true));
        };
        let (mut scan, mut records, began) = (self.open(&admin, &facts)?, Vec::new(), Instant::now());
        while !scan.is_done() && records.len() < MOMENT_RECORDS_MAX && began.elapsed() < MOMENT {
            records.extend(scan.next(LOOK)?);
        }
        self.from = Begin::Behind(scan.reached().clone());
        Ok((records, scan.is_done()))
    }

    fn open(&self, admin: &Admin, facts: &TopicFacts) -> Result<Scan> {
        let (topic, committed_only) = (&self.args.topic, !self.args.uncommitted);
        match &self.from {
            Begin::At(from) => Scan::open(admin, topic, *from, committed_only),
            Begin::Behind(reached) => Scan::resume(admin, topic, facts, reached, committed_only),
        }
    }

    /// Whether whoever is asked is still the one to be asked.
    fn is_there(&self, asked: Option<&Told>) -> bool {
        self.guide.as_ref().is_none_or(|guide| guide.find().as_ref() == asked)
    }

    fn read(&mut self, cluster: &Arc<Cluster>, asked: Option<&Told>) -> Outcome<Left> {
        let result = self.read_while_there(cluster, asked);
        match result {
            // it went while it was asked
            Err(Failure::Error(_)) if !self.is_there(asked) => Ok(Left::Gone),
            result => result,
        }
    }

    fn read_while_there(&mut self, cluster: &Arc<Cluster>, asked: Option<&Told>) -> Outcome<Left> {
        let admin = cluster.admin()?;
        let Some(facts) = self.topic(&admin, asked)? else { return Ok(Left::Gone) };
        let mut scan = self.open(&admin, &facts)?;
        let mut checked = Instant::now();
        while !self.writer.is_full() {
            match scan.next(LOOK)? {
                Some(record) => {
                    self.writer.write(&record)?;
                    self.from = Begin::Behind(scan.reached().clone());
                }
                None if checked.elapsed() < CHECK_PERIOD => {}
                None if !self.is_there(asked) => {
                    self.from = Begin::Behind(scan.reached().clone());
                    return Ok(Left::Gone);
                }
                None => checked = Instant::now(),
            }
        }
        Ok(Left::Enough)
    }

    /// Until the topic is there: a pipeline makes it with its first row. `None`: the broker is gone.
    fn topic(&mut self, admin: &Admin, asked: Option<&Told>) -> Result<Option<TopicFacts>> {
        let mut is_told = false;
        loop {
            if let Some(facts) = admin.topic(&self.args.topic)? {
                return Ok(Some(facts));
            }
            // all that comes into it comes after the start
            self.from = Begin::At(From::Start);
            if !is_told {
                self.say(&format!(
                    "waiting for the topic `{}`, which is not there yet{}",
                    self.args.topic,
                    self.meant(admin)
                ));
                is_told = true;
            }
            sleep(CHECK_PERIOD);
            if !self.is_there(asked) {
                return Ok(None);
            }
        }
    }

    /// For whoever misspelt the name.
    fn meant(&self, admin: &Admin) -> String {
        let mut names = admin.topic_names().unwrap_or_default();
        names.retain(|name| !is_internal(name, self.deployment.as_str()));
        names.sort();
        let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        match nearest(&self.args.topic, names.iter().map(String::as_str)) {
            Some(name) => format!("; did you mean `{name}`?"),
            None if names.is_empty() => String::new(),
            None if names.len() > NAMES_SHOWN => format!("; there are {shown} and more"),
            None => format!("; there are {shown}"),
        }
    }

    fn say(&self, text: &str) {
        self.cx.terminal.say(text);
    }
}
