//! What the tests that run real processes against real brokers are written with.
//!
//! - [`Broker`]: a broker of the kind that `UNBATCH_TEST_BROKERS` chooses, shared or one that the test may crash.
//! - [`Reader`]: reads topics back without any code of the product, which is what makes a result count.
//! - [`Proxy`]: stands between Kafka clients and the broker and holds, delays, cuts and loses what the test names.
//! - [`S3`]: a real S3 server, shared or one that the test may kill.
//! - [`Launch`], [`Process`]: the `unbatch` binary as a process that can be killed, stopped and looked into.
//! - [`wait_until`] and [`wait_for`]: the only places where a test sleeps; both fail with what they waited for.
//! - [`seed`]: the number that random choices of a run come from, printed so that the run can be repeated.
//!
//! Everything here panics with a message when it cannot do its work, as a test wants it, except where a failure is
//! an answer that a test looks at.

mod broker;
mod cluster;
mod not_run;
mod ports;
mod process;
mod proxy;
mod reader;
mod s3;
mod seed;
mod wait;

pub use broker::{Broker, Brokers, unique_name};
pub use cluster::Cluster;
pub use kafka_protocol::messages::ApiKey;
pub use not_run::not_run;
pub use ports::free_port;
pub use process::{Finished, Launch, Process, Signal, built_binary};
pub use proxy::{Armed, Chaos, Fault, Proxy, Rule};
pub use reader::{Isolation, ReadError, Reader, Record};
pub use s3::S3;
pub use seed::{Seed, seed};
pub use wait::{wait_for, wait_until, wait_until_async};
