//! The identity of a configuration: the same settings have the same hash, whatever their comments, quotes, layout and
//! order of keys.

use super::scalar::Meaning;
use super::yaml::{Node, Value};
use sha2::{Digest, Sha256};

/// First 16 hex digits of the SHA-256 of the canonical content.
///
/// The form is ours and part of stored state: a mapping is `{` its entries by key `}`, a list `[` its entries in order `]`,
/// a text its length and bytes, a number, boolean or nothing its meaning. Changing it gives every pipeline a new revision.
pub(crate) fn hash(node: &Node) -> String {
    let mut digest = Sha256::new();
    write(node, &mut digest);
    digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write(node: &Node, digest: &mut Sha256) {
    match &node.value {
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Nothing => digest.update(b"n;"),
            Meaning::Boolean(value) => digest.update(format!("b{value};")),
            Meaning::Integer(number) => digest.update(format!("i{number};")),
            Meaning::Float(number) => digest.update(format!("f{number};")),
            Meaning::Text(text) => write_text(text, digest),
        },
        Value::Sequence(items) => {
            digest.update(b"[");
            items.iter().for_each(|item| write(item, digest));
            digest.update(b"]");
        }
        Value::Mapping(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
            digest.update(b"{");
            for (key, value) in sorted {
                write_text(&key.text, digest);
                write(value, digest);
            }
            digest.update(b"}");
        }
    }
}

fn write_text(text: &str, digest: &mut Sha256) {
    digest.update(format!("s{}:", text.len()));
    digest.update(text);
}
