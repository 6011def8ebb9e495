//! A source of our own: the journals of the tills in NewLimits' shops.
//!
//! Each till appends a JSON line for each sold item to its journal of the day, `till-03_2024-05-06.jsonl`. A receipt is a few
//! lines, the last of which says so; the day ends with a line that counts the others (the Z report). Until now a nightly job
//! collected the journals. [`TillRolls`] reads them while they grow.
//!
//! | file | what it shows |
//! |---|---|
//! | `config.rs` | the configuration type; its doc comments are the documentation and the JSON Schema |
//! | `journal.rs` | from a line to a row, or to the reason why not |
//! | `source.rs` | the promises: position, resume, cut, release, vouch |
//! | `connector.rs` | the doors of [`unbatch_api::SourceConnector`] |
//! | `codes.rs` | what `unbatch explain` says about its errors and refused rows |
//! | `main.rs` | the binary, with this connector in its list |
//! | `tests/suite.rs` | the proof: `source_suite` on journals in a temporary folder |

mod codes;
mod config;
mod connector;
mod journal;
mod source;

pub use codes::CODES;
pub use config::TillRollsConfig;
pub use connector::TillRolls;
