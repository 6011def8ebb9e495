//! What the codes of this connector mean, for `unbatch explain`; the binary hands them over beside the connector. U0800 to
//! U0899 are left to connectors that are built elsewhere. Reasons of refused rows are words.

use unbatch_api::error::CodeEntry;

/// In the order of their codes.
pub const CODES: &[CodeEntry] = &[
    ("U0800", "the folder would be looked at without a pause", "`poll` is below 10 ms.", "Write 100ms or more."),
    (
        "U0801",
        "there is no folder of journals",
        "The folder that `folder` names is not there.",
        "Make it, or mend `folder`. A relative one starts at the folder of the pipeline file.",
    ),
    (
        "U0802",
        "a journal line has no columns to set",
        "`quarantine replay --set` names a column; a line of a journal is one JSON document.",
        "Mend the till's journal, or the configuration, and replay without --set.",
    ),
    (
        "bad_line",
        "neither a sold item nor a Z report",
        "A line of a journal is not JSON, or a field is missing or of the wrong kind.",
        "Look at the line with `unbatch quarantine show`, and at the till that wrote it.",
    ),
    (
        "bad_price",
        "not an amount",
        "`price` is an amount with two decimals and a point, like 12.90.",
        "Set the till to write amounts like that.",
    ),
    (
        "bad_time",
        "not a time",
        "`sold_at` is written like 2024-05-06T09:13:22Z.",
        "Set the till to write UTC times in ISO 8601.",
    ),
    (
        "z_report_differs",
        "the day's count does not agree",
        "The Z report that closes a journal counts other lines than the journal has. All that are there were taken.",
        "Compare the journal with the till's paper roll: lines are missing or were written twice.",
    ),
];
