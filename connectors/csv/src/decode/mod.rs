//! From fields to Arrow columns, one column after the other.

mod column;
mod layout;
pub mod number;
mod refusal;
pub mod temporal;
mod written;
mod zone;

pub use column::{Cells, ColumnPlan, Fault, Faults};
pub use layout::{BadHeader, Layout, declared_schema, numbered, stream_name};
pub use written::{Plain, Written};
pub use zone::{Placeless, Zone};
