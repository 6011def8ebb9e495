//! Rules about the tree itself. Each rule is a function from a [`Tree`] to a list of what breaks it, so that the tests
//! can ask it about this checkout and about trees that break it on purpose.
//!
//! `tests/checkout.rs` applies them to the checkout, `tests/planted.rs` to planted faults; `tests/codes.rs` does both for the
//! codes of errors.

mod arrows;
mod calls;
mod codes;
mod connectors;
mod dependencies;
mod links;
mod places;
mod rust;
mod sizes;
mod snippets;
mod tree;

pub use arrows::arrows;
pub use calls::forbidden_calls;
pub use codes::error_codes;
pub use connectors::connector_files;
pub use dependencies::{one_arrow, reasons};
pub use links::links;
pub use places::{machine_places, own_folders};
pub use sizes::{Allowed, sizes};
pub use snippets::{Snippet, pipeline_snippets};
pub use tree::Tree;
