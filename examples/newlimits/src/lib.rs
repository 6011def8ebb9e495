//! NewLimits, a shoe retailer that does not exist: the data its nightly jobs would drop, and the truth about that data.
//!
//! The world (distribution centres, stores, products, stock, movements, sales, supplier prices, web orders) is a pure
//! function of a seed and a scale, so the same two numbers give the same bytes on every machine. [`generate`] writes the
//! CSV files of some nights, plants faults in them, and writes `truth.json` and `ledger.ndjson` beside them: what a correct
//! reader must make of each file and of each row. The truth comes from the world, never from reading the files back, so a
//! test that uses it judges by something the product did not compute.
//!
//! ```text
//! World ─► plan (which file, when, which faults) ─► feeds (cells) ─► DropFile (bytes, lines) ─► files
//!                                                        └────────── ledger, truth ──────────► Ledger::compare ─► Report
//! ```
//!
//! The format of the truth is documented in [`truth`].

mod cell;
mod compare;
mod comparison;
mod deliver;
mod drop_file;
mod error;
mod fault;
mod feed;
mod feeds;
mod generate;
mod plan;
mod random;
mod read_back;
mod report;
mod stock;
pub mod truth;
mod world;

pub use deliver::{DropFolder, SameName};
pub use error::{Error, Result};
pub use fault::Code;
pub use feed::{Column, ColumnType, Feed, FeedSpec};
pub use generate::{Request, generate};
pub use plan::Faults;
pub use random::Random;
pub use read_back::{read_records, read_rejections};
pub use report::{Difference, DifferenceKind, FileReport, Report};
pub use stock::{Movement, MovementKind, StockBook};
pub use world::{DistributionCentre, Product, Store, World};
