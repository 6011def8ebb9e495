//! CSV files dropped into a folder, each row of each file exactly once.
//!
//! [`CsvDrops`] is the connector. A thread lists the folder, waits until files are complete, finds records in their text
//! (`scanner`) and decodes them column by column into Arrow; which files are done is kept in a ledger that is committed with
//! the rows. What happens to files that are late, repeated, rewritten, grown or broken stands in the README.

mod archive;
mod codes;
pub mod config;
mod connector;
mod content;
mod decode;
mod digest;
mod dump;
mod folder;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod ledger;
mod notes;
mod offsets;
mod owner;
mod parked;
mod placing;
mod position;
mod reader;
mod rejects;
mod release;
mod replay;
mod rewrite;
mod sample;
mod scanner;
mod schedule;
mod settling;
mod source;
mod syntax;
mod trailer;
mod turns;
mod validate;

pub use codes::CODES;
pub use config::CsvDropsConfig;
pub use connector::CsvDrops;
pub use sample::CsvDrafter;
pub use unbatch_full_dump::CODES as FULL_DUMP_CODES;
/// What the codes of the store and of packed files mean; they are those of every connector that reads files.
pub use unbatch_object_files::CODES as FILE_CODES;
