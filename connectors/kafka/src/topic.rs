//! The sink connector `topic`.

use crate::check;
use crate::config::TopicConfig;
use crate::fence::{FencedSplit, blocking};
use crate::overtaken;
use crate::quarantine::TopicQuarantine;
use std::sync::Arc;
use std::time::Duration;
use unbatch_api::quarantine::QuarantineReader;
use unbatch_api::{
    Batch, CheckContext, CommitPolicy, Delivery, Facts, Fenced, Finding, Problem, Result, Rewrite, SinkConnector,
    SinkContext, Stored, StreamName, StreamSchema, async_trait,
};

/// Rows become records of Kafka topics, exactly once for readers that ask for `read_committed`.
pub struct Topic;

#[async_trait]
impl SinkConnector for Topic {
    const NAME: &'static str = "topic";
    type Config = TopicConfig;

    fn validate(config: &TopicConfig, streams: &[(StreamName, Arc<StreamSchema>)]) -> Vec<Problem> {
        config.problems(streams)
    }

    /// Also under `delivery: at_least_once`: transactions cost so little that there is no second way to write.
    fn delivery(_: &TopicConfig) -> Delivery {
        Delivery::ExactlyOnce
    }

    fn commit_policy(_: &TopicConfig) -> CommitPolicy {
        CommitPolicy {
            every: Duration::from_secs(1),
            rows: 10_000,
            bytes: 16 << 20,
            idle: Some(Duration::from_millis(5)),
            at_most_every: Duration::from_millis(50),
            configurable: true,
        }
    }

    async fn check(config: Arc<TopicConfig>, cx: CheckContext) -> Result<Vec<Finding>> {
        blocking(move || check::check(&config, &cx)).await
    }

    async fn fence(config: Arc<TopicConfig>, cx: SinkContext) -> Result<Box<dyn Fenced>> {
        let fenced = blocking(move || FencedSplit::fence(config, cx)).await?;
        Ok(Box::new(fenced))
    }

    async fn inspect(_: Arc<TopicConfig>, cx: CheckContext) -> Result<Option<Stored>> {
        blocking(move || check::inspect(&cx)).await
    }

    async fn rewrite(config: Arc<TopicConfig>, cx: SinkContext, to: Rewrite) -> Result<Facts> {
        blocking(move || FencedSplit::fence(config, cx)?.rewrite(to)).await
    }

    async fn overtaken(
        config: Arc<TopicConfig>,
        cx: CheckContext,
        rows: Vec<(Batch, i64)>,
    ) -> Result<Option<Vec<bool>>> {
        blocking(move || overtaken::overtaken(&config, &cx, &rows)).await
    }

    async fn quarantine(_: Arc<TopicConfig>, cx: CheckContext) -> Result<Box<dyn QuarantineReader>> {
        let reader = blocking(move || TopicQuarantine::open(&cx)).await?;
        Ok(Box::new(reader))
    }
}
