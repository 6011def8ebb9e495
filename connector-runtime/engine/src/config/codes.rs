//! Every code of a message about configuration, for `unbatch explain` and the docs. Connectors and running
//! pipelines have tables of their own.

use unbatch_api::error::CodeEntry;

pub const CODES: &[CodeEntry] = &[
    (
        "U0100",
        "a file or folder cannot be read",
        "The path does not exist, may not be read, is too large, is not UTF-8, or is a folder without pipeline files.",
        "Check the path and its rights. Pipeline files end in .yaml and are UTF-8 text.",
    ),
    (
        "U0101",
        "not valid YAML",
        "The text breaks a rule of YAML 1.2, or uses what these files do not have: several documents, tags, tabs for indentation, keys that are not text.",
        "Look at the marked place and the line above it. Quote values that begin with a special character or contain `: `.",
    ),
    (
        "U0102",
        "unknown field",
        "The field is not known at this place. Unknown fields are errors, so that a misspelt one is never silently without effect.",
        "Take the suggested name, move the field to where it belongs, or remove it. `unbatch connectors NAME` lists the fields of a connector.",
    ),
    ("U0103", "missing field", "A field without a default is not there.", "Add it; the message says what it is for."),
    (
        "U0104",
        "wrong kind of value",
        "Text stands where a number is wanted, a single value where a list is wanted, and the like. Only true and false are booleans; yes, no, on and off are text.",
        "Write the kind of value that the message names. Text that looks like a number or is `null` needs quotes.",
    ),
    (
        "U0105",
        "not one of the allowed values",
        "The field takes one of a few values.",
        "Write one of those that the message lists.",
    ),
    (
        "U0106",
        "exactly one is needed",
        "One of several keys must be given, such as one connector under `source`, or one of `env`, `secret`, `file` in a reference.",
        "Keep one of them.",
    ),
    (
        "U0107",
        "a secret in plain text",
        "The field holds a password, key or connection string and accepts only a reference to it, so that no secret stands in a file under version control.",
        "Write {secret: name/key}, {env: NAME} or {file: path}. Change the secret that stood in the file.",
    ),
    (
        "U0108",
        "not a duration",
        "A duration is a number with a unit: 250ms, 5s, 10m, 1h.",
        "Write the unit; there is no default one.",
    ),
    (
        "U0109",
        "not a size",
        "A size is a whole number with a unit: 64KiB, 16MiB, 1GB. KiB, MiB and GiB are powers of 1024; kB, MB and GB of 1000.",
        "Write the unit; there is no default one.",
    ),
    (
        "U0110",
        "not in the allowed form",
        "The text does not have the form that the field takes.",
        "Write what the message describes.",
    ),
    (
        "U0111",
        "out of range",
        "A number is too small or too large, a text too short or too long, a list has too few or too many entries.",
        "Write a value within the range that the message names.",
    ),
    (
        "U0112",
        "a field twice",
        "The same key stands twice in one mapping. YAML forbids it, since one would win silently.",
        "Keep one of them.",
    ),
    (
        "U0113",
        "value not accepted",
        "The value has the right kind, but the part of the program that it is for does not accept it.",
        "Read the message; `unbatch connectors NAME` shows what can be written.",
    ),
    (
        "U0120",
        "the sink cannot keep the delivery that is asked for",
        "Pipelines ask for exactly_once unless they say otherwise. This sink, with these settings, can only promise that no row is lost.",
        "Write `delivery: at_least_once` to accept repeated rows after a failure, or change the sink's settings.",
    ),
    (
        "U0121",
        "`commit` does not apply to this sink",
        "This sink makes rows visible when it finishes a file, and not by time or count alone.",
        "Remove `commit` and set `roll` in the sink.",
    ),
    (
        "U0122",
        "commit bound too small",
        "The bound would commit more often than the sink can bear, or never with a row in it.",
        "Write a larger value or leave it to the default.",
    ),
    (
        "U0124",
        "name of pipeline and file differ",
        "A pipeline stands in a file of its own name, so that it can be found by it.",
        "Rename the file or the pipeline. To rename a running pipeline and keep its state, write `formerly: OLD-NAME`.",
    ),
    (
        "U0125",
        "pipeline described twice",
        "Two files describe a pipeline of the same name.",
        "Rename one pipeline and its file, or remove one of them.",
    ),
    ("U0126", "file not read", "The folder holds a file that ends in .yml. Only .yaml is read.", "Rename the file."),
    (
        "U0140",
        "a reference leads nowhere",
        "The environment variable is not set, or the file of a secret cannot be read. The message names where it was looked for, never a value.",
        "Set the variable, mount the secret, or mend the path.",
    ),
    (
        "U0141",
        "not the name of a secret",
        "`secret` takes `name/key`: a folder and a file under the secrets directory.",
        "Write {secret: name/key}. If the secret itself was written there, change it.",
    ),
];

/// What a code means.
pub fn explain(code: &str) -> Option<&'static CodeEntry> {
    CODES.iter().find(|(known, ..)| known.eq_ignore_ascii_case(code))
}
