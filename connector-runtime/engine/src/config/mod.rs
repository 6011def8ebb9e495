//! Configuration: from YAML text to pipelines, with every mistake reported at its place and at once.
//!
//! ```text
//! file -> yaml (tree with places) -> check (against the JSON Schema of the types) -> read (serde) -> load (pipelines)
//!                                       everything wrong, as Diagnostics
//! ```
//!
//! Nothing here knows a connector: a connector's part of a file is checked against the schema of its configuration type and
//! then handed to its factory. Secrets never get here; references to them are found by [`FileResolver`] when a split opens.

mod canonical;
mod check;
mod codes;
mod conceal;
mod diagnostic;
mod load;
mod mended;
mod pipeline_file;
mod problem;
mod read;
mod render;
mod scalar;
mod secrets;
mod source_text;
mod suggest;
#[cfg(test)]
mod tests;
mod yaml;
mod yaml_advice;
mod yaml_blocks;

pub use codes::{CODES, explain};
pub use diagnostic::{Diagnostic, Diagnostics, Style};
pub use load::{OnError, PipelineSpec, RUNTIME_FILE, load, load_text};
pub use pipeline_file::{Replaces, pipeline_schema};
pub use problem::{place, step_diagnostic, to_diagnostic};
pub use read::{parse_file, read, read_document, schema_of};
pub use scalar::{Meaning, Scalar};
pub use secrets::FileResolver;
pub use source_text::{SourceText, Span};
pub use suggest::nearest;
pub use yaml::{Key, Node, Value};
