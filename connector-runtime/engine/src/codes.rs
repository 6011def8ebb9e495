//! What the codes of a running pipeline mean, for `unbatch explain`. Those about files are [`crate::config::CODES`].

use unbatch_api::error::CodeEntry;

/// In the order of their codes.
pub const CODES: &[CodeEntry] = &[
    (
        "U0401",
        "the source is not the one it was",
        "The pipeline has positions in another source, by its address or folder. They may mean something else in this one. As long as nothing was read and none was set, the source may be changed freely.",
        "Start with --accept-change NAME if the positions still mean the same, or begin anew with `unbatch offsets reset NAME`.",
    ),
    (
        "U0402",
        "the number of splits changed",
        "It is fixed at the first start, since each split keeps its own positions.",
        "Set it back, or begin anew with `unbatch offsets reset NAME`.",
    ),
    (
        "U0403",
        "this worker has an older configuration",
        "The pipeline runs with a newer revision of its file somewhere else, as it does in the middle of a rolling update.",
        "Let the update finish; this worker takes over once it has the newer file.",
    ),
    (
        "U0404",
        "the state of the old name is gone",
        "`formerly` names the pipeline whose state was to be adopted, and it vanished meanwhile.",
        "Look whether somebody reset it. Remove `formerly` to begin anew.",
    ),
    (
        "U0405",
        "the pipeline was renamed",
        "Another pipeline has adopted its state with `formerly`, and goes on from there. Going on under the old name too would write the same rows twice.",
        "Run the new name and remove the old file. To load everything again under the old name, `unbatch offsets reset OLD-NAME --yes`.",
    ),
    (
        "U0406",
        "the pipeline went on while its positions were being changed",
        "Positions are changed on a stopped pipeline. This one committed or was opened after the change was planned, so that the change would mean other rows than were shown. Nothing was changed; a run that was interrupted by it opens again.",
        "Stop it wherever it runs, look with `unbatch offsets get`, then repeat the command.",
    ),
    (
        "U0410",
        "too many rows were refused",
        "More rows of this hour went to quarantine than `stop_after` allows. What was committed stays; the refused rows are kept.",
        "Look at them with `unbatch quarantine list`, mend the source, or raise `on_error.quarantine.stop_after`.",
    ),
    (
        "U0411",
        "a newer owner took the split",
        "Something was missing at the source because a newer run has read and released it, or this run could not reach a system for a while and a newer one took over meanwhile. Nothing is lost.",
        "Nothing; the newer run goes on. Stop one of the two if they were not meant to run at once.",
    ),
    (
        "U0412",
        "a row that the sink refused cannot be replayed",
        "The pipeline has steps, and the row is kept as it was after them. To read it again it would have to go through the steps a second time.",
        "Mend the row at the source and have it delivered again; the entry shows where it came from. Then take it off the list with `unbatch quarantine settle`.",
    ),
    (
        "U0501",
        "an attempt took too long",
        "Opening, reading, committing or closing passed its time limit. It is tried again by itself.",
        "If it repeats, look at the system that the message names: its load, locks and network.",
    ),
    (
        "U0901",
        "a connector lost track of its own work",
        "A checkpoint does not follow the one before it, rows were vouched for that nobody read, or a thread ended. Nothing uncommitted became visible.",
        "This is a bug in unbatch or in the connector, please report it.",
    ),
    (
        "U0902",
        "the parts of a batch do not agree",
        "Columns, origins and operations of a batch are not of the same rows. Nothing of it was committed.",
        "This is a bug in unbatch or in the source connector, please report it.",
    ),
    (
        "U0903",
        "the rows of an epoch do not add up",
        "Rows read are not rows written, refused and left out together. The pipeline stopped rather than lose one silently.",
        "This is a bug in unbatch or in the sink connector, please report it with the numbers.",
    ),
    (
        "U0904",
        "the source gives no safe place to stop",
        "A source went on far beyond its limits without a batch that can be committed.",
        "This is a bug in the source connector, please report it.",
    ),
    (
        "U0905",
        "the source wrote a note of the engine's",
        "Notes with the engine's prefix are not for connectors.",
        "This is a bug in the source connector, please report it.",
    ),
    (
        "U0906",
        "a receipt without an epoch",
        "The sink confirmed a commit that it was not asked for.",
        "This is a bug in unbatch or in the sink connector, please report it.",
    ),
    (
        "U0907",
        "the input ended without a position",
        "The source said that there is no more, but its last rows cannot be committed.",
        "This is a bug in the source connector, please report it.",
    ),
    (
        "U0908",
        "a split ended unexpectedly",
        "Its task panicked. The other splits go on; nothing uncommitted became visible.",
        "This is a bug in unbatch or in a connector, please report it with what UNBATCH_BACKTRACE=1 prints.",
    ),
    (
        "U0909",
        "the source has no splits",
        "A source has one split or more.",
        "This is a bug in the source connector, please report it.",
    ),
    (
        "U0911",
        "a step broke the contract",
        "A step gave no batch back, or refused a schema without saying why. Nothing was committed of what it saw.",
        "This is a bug of the step; report it with the log.",
    ),
];
