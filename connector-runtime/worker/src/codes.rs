//! Codes of the worker's own messages, and all that `unbatch explain` knows: theirs, the engine's, the Kafka cluster's, and
//! those of the connectors in the registry.

use unbatch_api::error::CodeEntry;
use unbatch_engine::{Registry, config};

/// In the order of their codes.
pub const CODES: &[CodeEntry] = &[
    (
        "U0700",
        "wrong command line",
        "An option or argument is not known, is missing, or contradicts another.",
        "`unbatch --help` and `unbatch COMMAND --help` show what there is.",
    ),
    (
        "U0701",
        "the result cannot be written",
        "Writing to standard output failed, for instance because the disk is full.",
        "Mend what stdout leads to, and run the command again.",
    ),
    (
        "U0702",
        "the process cannot start its threads",
        "The system refused threads or file handles.",
        "Raise the limits of the process (`ulimit -a`, the unit's LimitNOFILE and TasksMax).",
    ),
    (
        "U0710",
        "the HTTP API may listen on loopback only",
        "The API has no login yet, so an address that other machines reach is refused.",
        "Write `http: {listen: 127.0.0.1:8083}`, and put a proxy with a login in front if others need it.",
    ),
    (
        "U0711",
        "the port of the HTTP API is taken",
        "Another process listens on it. Without `http.listen` in the runtime file the run goes on without the API.",
        "Set `http.listen` to a free port, or run with --no-http.",
    ),
    (
        "U0712",
        "not the name of a deployment",
        "A deployment's name stands in the name of everything durable, so it is at most 12 lowercase letters and digits, in words joined by single dashes.",
        "Write something like `shop` or `shop-staging`. Changing the name of a running deployment begins anew.",
    ),
    (
        "U0713",
        "too little memory",
        "`memory.limit` is shared out over the pipelines, and none can work with less than its smallest share.",
        "Give 64MiB or more for each pipeline.",
    ),
    (
        "U0720",
        "there is no such path",
        "The path that was given leads nowhere.",
        "Check its spelling and the current folder.",
    ),
    (
        "U0721",
        "there is no pipeline file",
        "Without a path, pipelines are looked for in `pipelines/`, else in the current folder.",
        "Name the files or their folder. Pipeline files end in .yaml.",
    ),
    (
        "U0722",
        "no file has the pipeline's name",
        "A pipeline stands in the file of its name: `stock-counts` in stock-counts.yaml.",
        "Take one of the names that the message lists, or give the file with --path.",
    ),
    ("U0723", "a folder cannot be listed", "The system refused to list the folder.", "Check the folder's rights."),
    (
        "U0730",
        "the embedded broker is in use",
        "Another process serves the broker that is kept in this folder: a run, or for a moment a command that reads it while none runs. A run waits 10 s for such a command.",
        "Stop the other `unbatch run --dev` or the command that reads, or work in another folder.",
    ),
    (
        "U0731",
        "what the embedded broker kept cannot be read",
        "Its log is of another version or damaged before its last entry.",
        "Remove the folder .unbatch to begin anew. Its topics are lost with it.",
    ),
    (
        "U0732",
        "the embedded broker cannot start",
        "The folder .unbatch/ in the current folder cannot be written to, the disk is full, or no port is free.",
        "Give this user the right to write there and make room, or run in another folder.",
    ),
    ("U0733", "--brokers is empty", "An address was expected.", "Write host:port, or leave the option out."),
    (
        "U0734",
        "there is no development broker here",
        "`--dev` asks the broker of a `run --dev` in the current folder.",
        "Start `unbatch run --dev` in this folder first, or leave out --dev.",
    ),
    (
        "U0735",
        "nothing to draft a pipeline from",
        "`unbatch init` looks at the real thing, and was given nothing to look at, or a word after --from that this binary does not know.",
        "Name one or more files of one kind: unbatch init --from csv FILE…",
    ),
    (
        "U0736",
        "there is a pipeline file already",
        "`unbatch init` replaces no file unless it is told to.",
        "Give another name with --output, or replace the file with --force. --output - only shows what would be written.",
    ),
    (
        "U0737",
        "the pipeline file cannot be written there",
        "The path is not PIPELINE.yaml with the name of a pipeline, its folder is not there, or the system refused to write it.",
        "Name a file such as pipelines/stock-counts.yaml in a folder that this user can write to.",
    ),
    (
        "U0738",
        "what was drafted is not valid",
        "The drafted pipeline did not pass the check that `unbatch validate` makes, so it was not written. This is a bug.",
        "Report it with the message. A sample without the odd column may do meanwhile.",
    ),
    (
        "U0740",
        "nothing is known about the code",
        "No table has it, or this binary was built without the connector that has.",
        "`unbatch explain` lists all codes.",
    ),
    (
        "U0741",
        "the worker does not answer",
        "Nothing listens at the address of the HTTP API, or what listens is no worker.",
        "Start `unbatch run`, or name its address with --http.",
    ),
    (
        "U0742",
        "the worker does not run this pipeline",
        "The name is not in its status.",
        "`unbatch status` lists what it runs.",
    ),
    (
        "U0743",
        "there is no such connector",
        "This binary was built without it.",
        "`unbatch connectors` lists those it has.",
    ),
    (
        "U0744",
        "two forms of one result",
        "A result is written once, as the JSON envelope or in the form that --format names.",
        "Leave out --json or --format.",
    ),
    (
        "U0745",
        "the terminal cannot be drawn on",
        "Writing to the terminal or reading keys from it failed, for instance because its window was closed.",
        "Open another terminal. `unbatch status` shows the same once.",
    ),
    (
        "U0750",
        "not a place to begin reading",
        "`--from` takes start, end, an offset or a time.",
        "Write a time as 2026-11-23T04:00:00Z.",
    ),
    (
        "U0751",
        "there is no such topic",
        "The cluster has no topic of this name, or this user may not see it.",
        "`unbatch topics list --all` shows those it has.",
    ),
    (
        "U0760",
        "changing positions needs consent",
        "Rows may be written again or skipped for good, so the consequence is shown first.",
        "Stop the pipeline, then run the same command with --yes.",
    ),
    ("U0761", "not a position", "A change is written PART=POSITION.", "`unbatch offsets get` shows the parts."),
    (
        "U0762",
        "no refused row has this id",
        "Ids are given as `quarantine list` shows them; their beginning is enough.",
        "`unbatch quarantine list` shows those that wait.",
    ),
    (
        "U0763",
        "no such reason of refused rows",
        "`quarantine list`, `show`, `replay` or `settle` was given a --code that neither an entry of the pipeline has nor unbatch knows. It would look as if all such rows were done with.",
        "Do as the message says. `unbatch quarantine list` shows the reasons beside the rows.",
    ),
    (
        "U0766",
        "settling refused rows needs consent",
        "Rows of settled entries are never written from quarantine, so the entries are shown first.",
        "Look at them with `unbatch quarantine show`, then run the same command with --yes.",
    ),
    (
        "U0767",
        "a refused row was not kept whole",
        "The row is larger than what quarantine keeps of one: 256 KiB, or what its topic takes. Its beginning, its length and its SHA-256 are kept. Read again it would be another row, so `quarantine replay` leaves it.",
        "Correct it where it came from: the entry has file, line and byte. Deliver only that row anew, then take the entry off the list with `unbatch quarantine settle`. A topic's limit is its max.message.bytes.",
    ),
    (
        "U0768",
        "--set names no cell",
        "`quarantine replay --set` takes a column and the text that would stand there in the source.",
        "Write COLUMN=TEXT, such as --set price=12.00. Nothing behind the equals sign is an empty field.",
    ),
    (
        "U0769",
        "a reason that is too long",
        "What `quarantine settle --reason` says is kept with each entry, and an entry has to fit into a record.",
        "Say it in at most 300 characters.",
    ),
    (
        "U0770",
        "a newer run or a change of positions took over",
        "Two runs of one deployment had the same pipeline, or `unbatch offsets set` or `reset` changed its positions while it ran. Either fences the run, which writes nothing after that; what it had not committed is dropped.",
        "After a change of positions start it again: it goes on from the new ones. Of two runs stop one, or give it a `deployment` of its own.",
    ),
    (
        "U0771",
        "a file was set aside",
        "A file could not be read to its end. Rows before the bad place are in the sink, unless its header was wrong; the files after it were taken.",
        "`unbatch quarantine list` tells the reason, `unbatch explain` what to do about it. Mend the file and deliver it again; when the pipeline was wrong, mend that, and the file is read again with the next start.",
    ),
    (
        "U0772",
        "stopped before the end",
        "A signal ended `run --once` before everything that was there had been taken. What was committed stays.",
        "Run it again; it goes on where it stopped.",
    ),
    (
        "U0773",
        "not the name of a pipeline",
        "--accept-change takes the name of a pipeline.",
        "Write it as it stands in the pipeline's file.",
    ),
    (
        "U0778",
        "the embedded broker cannot write its log",
        "`run --dev` keeps its broker's log under .unbatch/, and writing there failed: as a rule the disk is full. The broker acknowledges nothing that it could not bring back, so it stopped, and the run with it.",
        "Make room on that disk, then run again: it goes on where it stood, and what was committed is there.",
    ),
    (
        "U0780",
        "the demo could not be played",
        "A step of the demo did not happen in time, or its files could not be written.",
        "Run it again with UNBATCH_LOG=info; --keep keeps its folder with the worker's log.",
    ),
    (
        "U0781",
        "the demo's count does not agree",
        "The separate reader did not find exactly the rows that the demo wrote down.",
        "This is a bug in unbatch, please report it with the table and the folder that --keep leaves.",
    ),
    (
        "U0900",
        "a part of unbatch stopped unexpectedly",
        "This is a bug. Nothing uncommitted became visible, and nothing committed is lost.",
        "Report it with what UNBATCH_BACKTRACE=1 prints.",
    ),
];

/// Everything that this binary can explain, in the order of the codes. A connector's reason for refusing a row may be the
/// word of another connector too.
pub fn all(registry: &Registry) -> Vec<CodeEntry> {
    let ours = [CODES, config::CODES, unbatch_engine::codes::CODES, unbatch_kafka_client::CODES];
    let mut all: Vec<CodeEntry> = ours.into_iter().flatten().chain(registry.known_codes()).copied().collect();
    all.sort_by_key(|(code, ..)| *code);
    all
}

/// What a code means, in any case of its letters; empty when no table has it.
pub fn explain(registry: &Registry, code: &str) -> Vec<CodeEntry> {
    all(registry).into_iter().filter(|(known, ..)| known.eq_ignore_ascii_case(code)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::built_in;

    #[test]
    fn codes_of_every_part_are_explained() {
        let titles = |code| explain(&built_in(), code).iter().map(|(_, title, ..)| *title).collect::<Vec<_>>();
        for code in ["U0102", "u0222", "U0251", "U0291", "U0401", "U0710", "U0903", "bad_decimal", "KEY_NOT_SENT"] {
            assert_eq!(titles(code).len(), 1, "{code}");
        }
        assert_eq!(titles("U9999"), [""; 0]);
        assert_eq!(explain(&Registry::default(), "U0222").len(), 0, "the connector is not in this binary");
    }

    #[test]
    fn a_third_party_adds_its_own() {
        let theirs = built_in().codes(&[("U0899", "out of paper", "The till has none.", "Put a roll in.")]);
        assert_eq!(explain(&theirs, "U0899")[0].1, "out of paper");
        assert!(all(&theirs).is_sorted_by_key(|(code, ..)| *code));
    }
}
