//! CSV files dropped into a folder.
#![allow(dead_code)]
pub mod config;
mod decode;
mod digest;
mod file_stat;
mod ledger;
mod location;
mod notes;
mod position;
mod reader;
mod rejects;
mod scanner;
