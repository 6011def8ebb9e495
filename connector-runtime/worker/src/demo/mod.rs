//! `unbatch demo`: the main job on this machine in some seconds. An embedded broker runs in this process, the pipeline in a
//! child process that is killed in the middle, and a reader of this process counts what came out against what went in.

mod count;
mod ledger;
mod story;
mod worker;

pub(crate) use story::play;
