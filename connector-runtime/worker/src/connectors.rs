//! The list of connectors and steps that our own binary is built with. A third party's binary adds to it:
//!
//! ```no_run
//! # use unbatch_csv::CsvDrops as TheirSource;
//! fn main() -> std::process::ExitCode {
//!     unbatch::main(unbatch::connectors::built_in().source::<TheirSource>())
//! }
//! ```

use unbatch_csv::{CsvDrafter, CsvDrops};
use unbatch_engine::Registry;
use unbatch_kafka::Topic;
use unbatch_steps::{Cast, Derive, Drop, Filter, Mask, Rename, Route, Select};

/// Every connector and step of this repository.
pub fn built_in() -> Registry {
    Registry::default()
        .source::<CsvDrops>()
        .drafter(CsvDrafter)
        .codes(unbatch_csv::CODES)
        .codes(unbatch_csv::FILE_CODES)
        .codes(unbatch_csv::FULL_DUMP_CODES)
        .sink::<Topic>()
        .codes(unbatch_kafka::CODES)
        .step::<Select>()
        .step::<Drop>()
        .step::<Rename>()
        .step::<Cast>()
        .step::<Filter>()
        .step::<Derive>()
        .step::<Mask>()
        .step::<Route>()
        .codes(unbatch_steps::CODES)
}
