//! The documentation, held against the product.
//!
//! - [`generated`]: the parts of pages that come from the code: commands, options, error codes. The pages have them
//!   checked in, between two marks; `UNBATCH_BLESS=1` rewrites them.
//! - [`book`]: builds `docs/` with mdBook, offline, and follows every link of the result.
//! - [`fences`]: the fenced blocks of Markdown files, with what their first line asks for.
//! - [`transcript`]: commands and what they print, as pages show them, and how output is held against them.
//!
//! `tests/` asks: are generated parts up to date, does the book build without dead links, is each YAML block right, does
//! each transcript come out as it is shown, does the editor help work, are all metrics described?

pub mod book;
pub mod fences;
pub mod generated;
pub mod transcript;

use std::path::PathBuf;

/// The root of the checkout this crate was compiled in.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
