//! The text of a file, read in order or from the middle.

mod ahead;
mod content;
mod reader;

pub use reader::{Found, TextReader};
