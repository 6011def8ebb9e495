//! Looking at the cluster before a run, and at what is stored, without changing or fencing anything.

use crate::config::TopicConfig;
use crate::destination::{self, check_partitions};
use crate::naming::check_purpose;
use crate::quarantine;
use crate::state::{Place, State};
use std::time::Duration;
use unbatch_api::{CheckContext, Error, Finding, Kind, Result, Severity, Stored};
use unbatch_kafka_client::durability::{self, TRANSACTION_TOPIC, unsafe_settings};
use unbatch_kafka_client::{Admin, Cluster, InternalTopics, NewTopic};

/// Reading one partition of the state topic without waiting for anybody.
const READ: Duration = Duration::from_secs(60);

/// Findings of a preflight. Blocks.
pub(crate) fn check(config: &TopicConfig, cx: &CheckContext) -> Result<Vec<Finding>> {
    let admin = Cluster::of(cx)?.admin()?;
    let brokers = admin.brokers()?.ids.len();
    let mut findings = Vec::new();
    finding(&mut findings, check_purpose(cx, &config.name))?;
    if !findings.is_empty() {
        return Ok(findings);
    }
    if brokers == 1 {
        findings.push(Finding {
            severity: Severity::Warning,
            code: "U0298",
            message: "the Kafka cluster has one broker: there is one copy of everything".into(),
            remedy: "for production use at least three brokers".into(),
        });
    }
    let internal = InternalTopics::of(&cx.deployment);
    let mut wanted: Vec<NewTopic> = internal.all().iter().map(|name| internal.new_topic(name, brokers)).collect();
    wanted.push(quarantine::new_topic(&quarantine::topic_name(cx), brokers));
    let stored = inspect_state(&admin, &internal, cx)?;
    if config.template().is_ok_and(|template| template.is_constant()) {
        wanted.push(destination::new_topic(config, &config.name, brokers));
        if let Some(facts) = admin.topic(&config.name)? {
            let known = stored.as_ref().and_then(|state| state.topics.get(&config.name));
            finding(&mut findings, check_partitions(config, &config.name, &facts, known))?;
        }
    }
    let names: Vec<&str> = wanted.iter().map(|topic| topic.name.as_str()).collect();
    let found = admin.topics(&names)?;
    for topic in wanted.iter().filter(|topic| !found.contains_key(&topic.name)) {
        finding(&mut findings, admin.could_create(topic))?;
    }
    let present: Vec<&str> = found.keys().map(String::as_str).filter(|name| *name != internal.lanes).collect();
    for name in present {
        finding(&mut findings, durability::check(&admin, brokers, &[name]))?;
    }
    let quarantine = quarantine::topic_name(cx);
    if found.contains_key(&quarantine) {
        finding(&mut findings, quarantine::check(&admin, &quarantine))?;
    }
    check_transaction_topic(&admin, brokers, &mut findings);
    Ok(findings)
}

/// Kafka's own topic for the outcome of transactions; reading its settings may not be allowed, and then is left.
fn check_transaction_topic(admin: &Admin, brokers: usize, findings: &mut Vec<Finding>) {
    if brokers < durability::BROKERS_MIN {
        return;
    }
    let configs = admin.topic_configs(&[TRANSACTION_TOPIC]).unwrap_or_default();
    if let Some(mend) = configs.get(TRANSACTION_TOPIC).and_then(unsafe_settings) {
        findings.push(Finding {
            severity: Severity::Error,
            code: "U0263",
            message: format!("losing a broker can lose the outcome of transactions: {TRANSACTION_TOPIC} wants {mend}"),
            remedy: format!(
                "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {TRANSACTION_TOPIC} \
                 --add-config {mend}",
                admin.cluster().brokers()
            ),
        });
    }
}

/// What a person must do something about becomes a finding; what keeps us from looking at all stays an error.
fn finding(findings: &mut Vec<Finding>, result: Result<()>) -> Result<()> {
    match result {
        Err(e) if matches!(e.kind(), Kind::Misconfigured | Kind::Lost) => {
            findings.push(Finding {
                severity: Severity::Error,
                code: e.code_text().unwrap_or("U0250"),
                message: e.one_line(),
                remedy: e.remedy().unwrap_or_default().to_owned(),
            });
            Ok(())
        }
        result => result,
    }
}

/// What is stored of the split. Blocks.
pub(crate) fn inspect(cx: &CheckContext) -> Result<Option<Stored>> {
    let admin = Cluster::of(cx)?.admin()?;
    let state = inspect_state(&admin, &InternalTopics::of(&cx.deployment), cx)?;
    Ok(state.map(State::into_stored))
}

fn inspect_state(admin: &Admin, internal: &InternalTopics, cx: &CheckContext) -> Result<Option<State>> {
    let place = Place::of(&internal.state, &cx.split);
    let Some(facts) = admin.topic(&internal.state)? else { return Ok(None) };
    if place.lane >= facts.partitions as i32 {
        return Err(Error::lost("finding the partition of a split's state failed")
            .code("U0264")
            .with("topic", &internal.state)
            .with("partitions", facts.partitions));
    }
    place.read_visible(admin, READ)
}
