//! What `unbatch run` is made of: the pipelines under way, what it tells while they are, and what it says at the end.

pub(crate) mod broker_watch;
mod columns;
mod consequence;
pub(crate) mod crew;
pub(crate) mod headway;
pub(crate) mod progress;
pub(crate) mod reload;
pub(crate) mod signals;
pub(crate) mod summary;
