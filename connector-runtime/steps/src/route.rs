//! `route`: rows go on as rows of another stream, and so into another topic or table.

mod sending;

use crate::columns::problem;
use crate::expression::{Parsed, Sql};
use schemars::JsonSchema;
use sending::{Destination, Sending};
use serde::Deserialize;
use std::sync::Arc;
use unbatch_api::{ColumnType, CompiledStep, Seen, Step, StepProblem, StepVerb, StreamName};

/// Bytes of a stream's name; a topic's name has at most 249 with what a sink adds to it.
const NAME_BYTES_MAX: usize = 200;

/// Gives rows to other streams, by one case or by the first of several whose condition holds. Rows that no case takes stay where they
/// are. A sink's name with `{stream}` in it sends each stream to a place of its own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(example = serde_json::json!([{"to": "prices.de", "when": "country = 'DE'"}, {"to": {"expr": "'prices.' || lower(country)"}}]))]
pub enum RouteConfig {
    /// One case.
    One(Case),
    /// Several; the first whose condition holds takes the row.
    Several(#[schemars(length(min = 1))] Vec<Case>),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Name of the stream: letters, digits, `.`, `_` and `-`; or an expression that gives it.
    pub to: Target,
    /// The condition under which the case takes a row. Without it the case takes every row.
    #[serde(default)]
    pub when: Option<Sql>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Target {
    /// The name itself.
    Name(String),
    /// An expression that gives the name for each row.
    Computed(Computed),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Computed {
    /// Gives a text: the name of the stream. A row for which it gives null, or no name, goes to quarantine.
    pub expr: Sql,
}

pub struct Route;

impl StepVerb for Route {
    const NAME: &'static str = "route";
    type Config = RouteConfig;
    fn step(config: RouteConfig) -> Result<Arc<dyn Step>, Vec<StepProblem>> {
        let (cases, is_one) = match config {
            RouteConfig::One(case) => (vec![case], true),
            RouteConfig::Several(cases) => (cases, false),
        };
        let path = |at: usize, rest: &str| if is_one { rest.to_owned() } else { format!("[{at}].{rest}") };
        let (mut routes, mut problems) = (Vec::new(), Vec::new());
        let last = cases.len() - 1;
        for (at, case) in cases.into_iter().enumerate() {
            let when =
                case.when.map(|sql| Parsed::new(&sql).map_err(|fault| problems.push(fault.at(path(at, "when")))));
            let to = match case.to {
                Target::Name(name) => match check_name(&name) {
                    Ok(()) => Some(To::Stream(StreamName::new(name))),
                    Err(why) => {
                        problems.push(problem(
                            path(at, "to"),
                            "U0616",
                            why,
                            "write a name like prices.de, or {expr: \"…\"}",
                        ));
                        None
                    }
                },
                Target::Computed(computed) => match Parsed::new(&computed.expr) {
                    Ok(parsed) => Some(To::Computed(parsed)),
                    Err(fault) => {
                        problems.push(fault.at(path(at, "to.expr")));
                        None
                    }
                },
            };
            if when.is_none() && at < last {
                let message = "the cases after this one are never reached: it takes every row".to_owned();
                problems.push(problem(path(at, "to"), "U0616", message, "give it a `when`, or move it to the end"));
            }
            if let Some(to) = to {
                routes.push((when.and_then(Result::ok), to));
            }
        }
        if problems.is_empty() { Ok(Arc::new(Routing { routes, is_one })) } else { Err(problems) }
    }
}

enum To {
    Stream(StreamName),
    Computed(Parsed),
}

struct Routing {
    routes: Vec<(Option<Parsed>, To)>,
    is_one: bool,
}

impl Step for Routing {
    fn name(&self) -> &str {
        Route::NAME
    }
    fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>> {
        let path = |at: usize, rest: &str| if self.is_one { rest.to_owned() } else { format!("[{at}].{rest}") };
        let (mut cases, mut problems) = (Vec::new(), Vec::new());
        for (at, (when, to)) in self.routes.iter().enumerate() {
            let when = when.as_ref().map(|when| when.compile_condition(seen.schema));
            let when = match when.transpose() {
                Ok(when) => when,
                Err(fault) => {
                    problems.push(fault.at(path(at, "when")));
                    continue;
                }
            };
            let to = match to {
                To::Stream(name) => Destination::Stream(name.clone()),
                To::Computed(parsed) => match parsed.compile_as(seen.schema, ColumnType::String) {
                    Ok(compiled) => Destination::Computed(compiled),
                    Err(fault) => {
                        problems.push(fault.at(path(at, "to.expr")));
                        continue;
                    }
                },
            };
            cases.push((when, to));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Box::new(Sending::new(seen, cases)))
    }
}

/// Names of streams become parts of topics and files.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
        return Err(format!("a stream's name has letters, digits, `.`, `_` and `-`, at most {NAME_BYTES_MAX}"));
    }
    Ok(())
}
