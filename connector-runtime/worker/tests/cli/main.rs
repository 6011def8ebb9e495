//! The binary as a user has it: arguments, messages, exit codes, and what its commands say about the same data.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod addresses;
mod command_line;
mod completion;
mod demo;
mod development_run;
mod follow;
mod full_disk;
mod init;
mod live_view;
mod reload;
mod rights;
mod workshop;
mod wrong_inputs;
