//! The steps that stand between a source and a sink: `select`, `drop`, `rename`, `cast`, `filter`, `derive`, `mask`, `route`, with
//! SQL expressions over the columns of a row.
//!
//! Each is compiled once for each shape that a stream shows and then works on whole columns. A row for which a step fails goes to
//! quarantine and the others go on; see [`StepVerb`](unbatch_api::StepVerb) for what a step promises.

mod cast;
mod codes;
mod columns;
mod derive;
mod expression;
mod filter;
mod hmac;
mod mask;
mod patch;
mod projection;
mod reference;
mod refusal;
mod route;
mod words;

pub use cast::Cast;
pub use codes::CODES;
pub use columns::{Drop, Rename, Select};
pub use derive::Derive;
pub use expression::Sql;
pub use filter::Filter;
pub use mask::Mask;
pub use patch::Patch;
pub use reference::function_list;
pub use route::Route;
