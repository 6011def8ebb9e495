//! What a Kafka broker must do for us, item by item, asked through librdkafka and, where that hides something, over the
//! plain protocol. The same items run against the embedded broker and against Apache Kafka:
//!
//! ```text
//! cargo test -p unbatch-dev-broker --test probe                                    the embedded broker, in this process
//! UNBATCH_TEST_BOOTSTRAP=127.0.0.1:9092 cargo test -p unbatch-dev-broker --test probe   a broker that runs already
//! ```
//!
//! `UNBATCH_TEST_BROKERS=embedded` is the default. `PROBE_RF=3` makes topics with three replicas, `PROBE_LOG=1` shows the
//! client's log, `PROBE_DEBUG` its debug contexts. Items never share a topic, a group or a transactional id, so they
//! run side by side. The checks of `restart` start broker processes of their own, whatever is probed.

mod broker;
mod clients;
mod consume;
mod coordinator;
mod copy_loop;
mod fencing;
mod groups;
mod lost_answers;
mod produce;
mod proxy;
mod rebalance;
mod restart;
mod timeouts;
mod topic_ids;
mod topics;
mod transaction_offsets;
mod transactions;
mod unknown;
mod wire;
