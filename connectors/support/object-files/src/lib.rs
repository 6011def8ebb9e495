//! Files in folders and object stores, and the way from their bytes to text.
//!
//! - [`Layers`] says how a file is packed and written; [`TextReader`] reads it as UTF-8, decompressed and transcoded, with bounded
//!   memory, and goes on in the middle.
//! - A [`Store`] lists, opens, moves and deletes the files of one folder, whichever kind of store has it; [`Location`] and
//!   [`StoreOptions`] say which, and [`StoreConfig`] is how a pipeline file writes them. A [`RawRead`] is an open file.
//! - [`ObjectStat`] is what a store says about a file, and which changes of it mean what.
//!
//! What is wrong with a file's content is a [`Fault`], with a code and a place; it stays wrong however often it is read. What fails
//! while reading is an [`unbatch_api::Error`] with its kind. Everything here blocks and belongs on a thread of its own.

mod codes;
pub mod config;
mod fault;
mod layers;
mod location;
mod raw;
mod stat;
mod store;
mod text;

pub use codes::CODES;
pub use config::StoreConfig;
pub use fault::{Fault, TextError};
pub use layers::{Compression, Layers, Limits, TextEncoding};
pub use location::{Bucket, Location, Service};
pub use raw::{RawBytes, RawFile, RawRead};
pub use stat::{ObjectStat, host_id};
pub use store::{
    BLOCK_BYTES, BucketFolder, CallLimits, Credentials, Doing, Guarantees, Listed, Listing, LocalFolder, Look, Page,
    Placed, Removed, Store, StoreOptions, is_changed, list_all, local_error, missing_right, open as open_store,
    read_small,
};
pub use text::{Found, TextReader};
