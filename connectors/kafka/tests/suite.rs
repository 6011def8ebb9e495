//! The conformance suite of sinks, against a broker behind a proxy that strikes at commits.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::World;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use unbatch_api::testkit::suite::{SINK_CHECKS, SinkProfile};
use unbatch_api::testkit::{SinkFixture, SinkTarget, sink_suite};
use unbatch_api::{CheckContext, Result, async_trait};
use unbatch_kafka::{Topic, TopicConfig};
use unbatch_test_harness::{ApiKey, Armed, Fault, Record};

const FAULTS: [(&str, Fault); 4] = [
    ("the commit request is lost", Fault::Cut),
    ("the commit's reply is lost", Fault::LoseReply),
    ("the commit request is repeated and the first one held", Fault::HoldAndCut),
    ("the commit is late", Fault::Delay(Duration::from_millis(400))),
];

/// Places where the sink itself fails; they need the feature `failpoints`.
const FAILPOINTS: &[&str] = if cfg!(feature = "failpoints") {
    &[
        "topic.after_begin=fail",
        "topic.mid_produce=fail",
        "topic.before_state=fail",
        "topic.before_commit=fail",
        "topic.after_commit=fail",
    ]
} else {
    &[]
};

struct Fixture;

struct Target {
    world: World,
    armed: Mutex<Option<Armed>>,
}

#[async_trait]
impl SinkFixture for Fixture {
    type Connector = Topic;
    type Target = Target;

    async fn target(&self) -> Result<Target> {
        let world = World::start("sink suite").expect("looked at before the suite began");
        Ok(Target { world, armed: Mutex::new(None) })
    }
}

#[async_trait]
impl SinkTarget<Topic> for Target {
    fn config(&self) -> Arc<TopicConfig> {
        self.world.config(r#""config": {"max.message.bytes": 60000}"#)
    }

    fn place(&self) -> CheckContext {
        self.world.place(0)
    }

    fn profile(&self) -> SinkProfile {
        let faults = FAULTS.iter().map(|(name, _)| *name).chain(FAILPOINTS.iter().copied()).collect();
        SinkProfile { ordered: true, op: None, row_bytes_max: Some(60_000), faults }
    }

    async fn visible(&self) -> Result<Vec<String>> {
        let text = |record: &Record| {
            let row: serde_json::Value = serde_json::from_str(record.value_text()).unwrap();
            format!("{}|{}", row["id"], row["text"].as_str().unwrap())
        };
        Ok(self.world.visible(&self.world.topic).iter().map(text).collect())
    }

    async fn arm(&self, fault: &'static str) -> Result<()> {
        match FAULTS.iter().find(|(name, _)| *name == fault) {
            Some((_, fault)) => {
                let armed = self.world.proxy.once(ApiKey::EndTxn, *fault);
                *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = Some(armed);
            }
            None => arm_failpoint(fault),
        }
        Ok(())
    }

    async fn disarm(&self) -> Result<()> {
        arm_failpoint("");
        if let Some(armed) = self.armed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            armed.disarm();
        }
        Ok(())
    }
}

#[cfg(feature = "failpoints")]
fn arm_failpoint(name: &str) {
    unbatch_api::failpoint::arm(name);
}

#[cfg(not(feature = "failpoints"))]
fn arm_failpoint(_: &str) {}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topic_sink_keeps_the_contract() {
    if World::start("the_topic_sink_keeps_the_contract").is_none() {
        return;
    }
    let passed = sink_suite(&Fixture).await.unwrap();
    assert_eq!(passed.checks, SINK_CHECKS);
}
