//! Topic names with places for parts of a stream's name.

use crate::quarantine;
use unbatch_api::{CheckContext, Error, StreamName};
use unbatch_kafka_client::InternalTopics;

/// Longest topic name that Kafka takes.
const LENGTH_MAX: usize = 249;

const PLACES: [&str; 4] = ["stream", "schema", "table", "topic"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The whole name of the stream; of a topic it is the topic.
    Stream,
    /// Before the last dot of the stream's name.
    Schema,
    /// After it.
    Table,
}

impl NameTemplate {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            if open > 0 {
                pieces.push(Piece::Text(rest[..open].to_owned()));
            }
            let inside = &rest[open + 1..];
            let close = inside.find('}').ok_or_else(|| format!("`{text}`: a brace is not closed"))?;
            pieces.push(match &inside[..close] {
                "stream" | "topic" => Piece::Stream,
                "schema" => Piece::Schema,
                "table" => Piece::Table,
                other => return Err(format!("`{text}`: there is no `{{{other}}}`, there are {}", PLACES.join(", "))),
            });
            rest = &inside[close + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let template = Self(pieces);
        if template.is_constant() {
            check(text)?;
        }
        Ok(template)
    }

    /// Whether all streams get the same name.
    pub fn is_constant(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// The name for a stream, if Kafka takes it.
    pub fn fill(&self, stream: &StreamName) -> Result<String, String> {
        let whole = stream.as_str();
        let split = whole.rsplit_once('.');
        let mut name = String::new();
        for piece in &self.0 {
            name.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Stream => whole,
                Piece::Table => split.map_or(whole, |(_, table)| table),
                Piece::Schema => {
                    split.map(|(schema, _)| schema).ok_or_else(|| format!("stream `{whole}` has no schema"))?
                }
            });
        }
        check(&name).map(|()| name)
    }
}

/// Rows must not go where something else is kept: the quarantine's readers would take them for entries, and a deployment that
/// finds rows among its own records has lost its state.
pub(crate) fn check_purpose(cx: &CheckContext, topic: &str) -> Result<(), Error> {
    let internal = InternalTopics::of(&cx.deployment);
    let quarantine = quarantine::topic_name(cx);
    let two_purposes = |topic: &str, other: &str, help: &str| {
        Err(Error::misconfigured("giving a topic two purposes is not allowed")
            .code("U0299")
            .with("topic", topic)
            .with("is already", other)
            .help(help))
    };
    if internal.all().contains(&topic) || topic.starts_with("__") {
        return two_purposes(
            topic,
            "a topic that Kafka or this deployment keeps for itself",
            "give the sink another `name`",
        );
    }
    if internal.all().contains(&quarantine.as_str()) || quarantine.starts_with("__") {
        let other = "a topic that Kafka or this deployment keeps for itself";
        return two_purposes(&quarantine, other, "give the quarantine another `name` in `on_error`");
    }
    if topic == quarantine {
        let other = "the quarantine of this pipeline";
        return two_purposes(topic, other, "give the sink, or the quarantine in `on_error`, another `name`");
    }
    Ok(())
}

fn check(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name == "." || name == ".." {
        return Err(format!("`{name}` is not a topic name"));
    }
    if name.len() > LENGTH_MAX {
        return Err(format!("topic name `{name}` has more than {LENGTH_MAX} characters"));
    }
    match name.chars().find(|c| !legal(*c)) {
        Some(c) => {
            Err(format!("topic name `{name}` has the character `{c}`; letters, digits, `.`, `_` and `-` are allowed"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_from_the_streams_name() {
        let fill = |template: &str, stream: &str| NameTemplate::parse(template)?.fill(&StreamName::new(stream));
        let cases = [
            ("prices", "x", Ok("prices")),
            ("shop.{schema}.{table}", "public.orders", Ok("shop.public.orders")),
            ("{topic}-copy", "a.b", Ok("a.b-copy")),
            ("{table}", "plain", Ok("plain")),
            ("{schema}.x", "plain", Err("no schema")),
            ("{stream}", "a b", Err("character ` `")),
            ("{", "x", Err("not closed")),
            ("{shop}", "x", Err("there is no `{shop}`")),
            ("a/b", "x", Err("character `/`")),
            ("", "x", Err("not a topic name")),
        ];
        for (template, stream, expected) in cases {
            match (fill(template, stream), expected) {
                (Ok(name), Ok(expected)) => assert_eq!(name, expected),
                (Err(message), Err(part)) => assert!(message.contains(part), "{template}: {message}"),
                (got, _) => panic!("{template} with {stream} gave {got:?}"),
            }
        }
    }
}
