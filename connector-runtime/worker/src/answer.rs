//! What a command found out: as text for a person, or in the one JSON envelope.

use crate::exit::Exit;
use crate::failure::Failure;
use serde::Serialize;
use serde_json::{Value, json};

/// The result of a command that ran to its end.
pub(crate) struct Answer {
    /// For stdout.
    text: String,
    result: Value,
    exit: Exit,
    /// What was found to be wrong although there is a result to show.
    failure: Option<Failure>,
}

impl Answer {
    pub(crate) fn new(text: impl Into<String>, result: impl Serialize) -> Self {
        Answer { text: text.into(), result: json!(result), exit: Exit::Good, failure: None }
    }
    /// Everything has been written already.
    pub(crate) fn told() -> Self {
        Answer { text: String::new(), result: Value::Null, exit: Exit::Good, failure: None }
    }
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
    /// There is a result, and yet it failed.
    pub(crate) fn failed(mut self, failure: Failure) -> Self {
        self.exit = self.exit.worse(failure.exit());
        self.failure = Some(failure);
        self
    }

    pub(crate) fn is_told(&self) -> bool {
        self.text.is_empty() && self.result.is_null()
    }
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
    pub(crate) fn code(&self) -> Exit {
        self.exit
    }
    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }
    pub(crate) fn envelope(&self, command: &str) -> String {
        envelope(command, self.exit, &self.result, self.failure.as_ref())
    }
}

/// `{command, ok, result, error}`, one line. `ok` says whether the command did what it was asked to; the exit code of what
/// it did not is in `error`.
pub(crate) fn envelope(command: &str, exit: Exit, result: &Value, failure: Option<&Failure>) -> String {
    let error = failure.map_or(Value::Null, Failure::to_json);
    json!({"command": command, "ok": exit.is_ok(), "result": result, "error": error}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::Error;

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_envelope_has_the_same_four_fields() {
        let good = Answer::new("x", json!({"rows": 1})).envelope("run");
        let bad = envelope("run", Exit::Failed, &Value::Null, Some(&Failure::Error(Error::lost("reading failed"))));
        for text in [&good, &bad] {
            let json = parsed(text);
            let fields: Vec<&String> = json.as_object().unwrap().keys().collect();
            assert_eq!(fields, ["command", "ok", "result", "error"]);
        }
        assert_eq!(parsed(&good)["ok"], true);
        assert_eq!(parsed(&bad)["ok"], false);
        assert_eq!(parsed(&bad)["error"]["kind"], "lost");
    }

    #[test]
    fn a_result_may_come_with_a_failure_and_then_has_its_exit_code() {
        let answer = Answer::new("x", json!([1])).failed(Failure::Error(Error::transient("asking failed")));
        assert_eq!(answer.code(), Exit::Unreachable);
        let json = parsed(&answer.envelope("validate"));
        assert_eq!((json["ok"].clone(), json["result"][0].clone()), (json!(false), json!(1)));
    }

    #[test]
    fn finding_something_is_ok() {
        let answer = Answer::new("x", json!([])).exit(Exit::Found);
        assert_eq!(answer.code().code(), 4);
        assert_eq!(parsed(&answer.envelope("quarantine list"))["ok"], true);
    }
}
