//! `unbatch version`.

use crate::answer::Answer;
use serde_json::json;

pub(crate) fn version() -> Answer {
    let version = env!("CARGO_PKG_VERSION");
    Answer::new(format!("unbatch {version}"), json!({"version": version}))
}
