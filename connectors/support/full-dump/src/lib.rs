//! A table that arrives whole each night, turned into what changed since the night before.
//!
//! ```text
//! rows of the dump -> Sorter (runs on disk) -> Sorted --+
//!                                                       +-> compare -> Plan, and the next baseline   (first pass: judge)
//!                      baseline of the night before ----+-> changes -> create, update, delete        (second pass: emit)
//! ```
//!
//! A **baseline** is the sorted list of keys with a digest of each row: what downstream was told so far. Nothing is emitted
//! before the whole dump was compared, so that a dump that would delete half a table is held and not half applied. Both
//! passes give the same rows in the same order whenever they are run on the same dump and the same baseline: the number of
//! changes handed on is a position to go on from.
//!
//! Memory is bounded by what the [`Sorter`] is given, however large the dump is; disk holds the dump once.

mod baseline;
mod codes;
mod compare;
mod merge;
mod run;
mod shape;
mod sort;
mod unite;

pub use baseline::{BaselineReader, Written};
pub use codes::CODES;
pub use compare::{ChangeBatch, Changes, Deletes, Duplicate, Plan, compare};
pub use shape::Shape;
pub use sort::{Sorted, Sorter};
pub use unite::unite;
