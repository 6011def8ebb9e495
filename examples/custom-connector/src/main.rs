//! `unbatch` with one connector more.

use custom_connector::{CODES, TillRolls};
use std::process::ExitCode;

fn main() -> ExitCode {
    unbatch::main(unbatch::connectors::built_in().source::<TillRolls>().codes(CODES))
}
