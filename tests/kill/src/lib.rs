//! The kill harness: real `unbatch run` processes, killed, stopped and cut off while they load files into topics.
//!
//! A round is one pipeline with a topic of its own and a [`Source`]: a folder, or a part of a bucket. Files are dropped there, some before
//! and some while a [`Mode`]'s schedule of faults runs; then one clean `unbatch run --once` must bring it to its end. What is right
//! was written down by the generator of the files ([`newlimits`]) and is compared with what an independent reader finds
//! committed in topic and quarantine: nothing missing, doubled, wrong or out of order, every bad row in quarantine once.
//!
//! ```text
//! seed ─► Round (drops, pipeline) ─► schedule of the mode ─► clean run ─► Counted, or a Failure that says how to repeat it
//! ```
//!
//! Every choice of a round comes from its seed; when exactly a process is hit still depends on the machine, so a seed
//! repeats the schedule and, most of the time, what it found.

mod arrows;
mod depth;
mod drops;
mod figures;
mod moment;
mod nights;
mod owner;
mod packing;
mod round;
mod schedules;
mod server;
mod site;
mod source;
mod verdict;
mod watch;

pub use figures::{Figures, Summary};
pub use round::{Failure, Order, run};
pub use schedules::Mode;
pub use site::Site;
pub use source::Source;

/// What a step of a round ends with when it goes wrong: what was expected and what came.
pub(crate) type Outcome<T> = Result<T, String>;
