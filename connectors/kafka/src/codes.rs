//! What the codes of this connector mean, for `unbatch explain`: of its errors, and the reasons of refused rows as quarantine
//! shows them. Those of the cluster itself are the Kafka client's.

use unbatch_api::error::CodeEntry;

/// In the order of their codes.
pub const CODES: &[CodeEntry] = &[
    (
        "U0270",
        "format or envelope not built in yet",
        "Records are JSON rows so far.",
        "Write `format: json` and `envelope: row`, or leave both out.",
    ),
    (
        "U0271",
        "no partitions or no copies",
        "`partitions` and `replication` are at least 1.",
        "Leave them out for the default, or write a number from 1.",
    ),
    (
        "U0272",
        "not a name for a topic",
        "`name` has a place that is not known, or what it gives for a stream is no topic name: at most 249 letters, digits, dots, dashes and underscores.",
        "Write something like `shop.orders` or `shop.{schema}.{table}`, or rename the stream.",
    ),
    (
        "U0273",
        "several streams would go into one topic",
        "Each stream has a topic of its own, since its rows have their own columns and key.",
        "Put `{stream}`, or `{schema}` and `{table}`, into the sink's `name`.",
    ),
    (
        "U0274",
        "no such column for the key or partition",
        "`key` or `partition_by` names a column that the stream does not have after the steps.",
        "Take one of the columns that the message lists, or declare it in the source.",
    ),
    (
        "U0275",
        "a key for a stream that is not there",
        "`key` is given by stream name, and one of the names is no stream of the source.",
        "Mend the name, or give one list of columns for all streams.",
    ),
    (
        "U0276",
        "a column cannot be written as JSON",
        "A column came with another type than its stream announced. Nothing of it was committed.",
        "This is a bug in unbatch, please report it with the type of the column.",
    ),
    (
        "U0277",
        "a type has no JSON form yet",
        "The stream has a column of a type that this sink cannot write.",
        "Leave the column out with `select`, or `cast` it to string.",
    ),
    (
        "U0278",
        "a batch cannot be encoded",
        "A batch is far larger than its limit, or its source times are no timestamps. Nothing of it was committed.",
        "This is a bug in unbatch or in the source connector, please report it.",
    ),
    (
        "U0279",
        "the topic has another number of partitions than configured",
        "`partitions` says how many the topic is to have; an existing topic is never changed.",
        "Set `partitions` to what the topic has, or add partitions with kafka-topics.sh. Rows of a key may go to another partition than before.",
    ),
    (
        "U0280",
        "somebody changed the partitions of the topic",
        "Rows of a key may now go to another partition than before, so readers could see them out of order.",
        "Let readers that need the order of a key read to the end, then set `partitions` to the new number to confirm.",
    ),
    (
        "U0281",
        "the state of a split cannot be read",
        "The record in the state topic is not as unbatch writes it, so it cannot be proven where the pipeline stands.",
        "Restore the state topic from a copy, or begin anew with `unbatch offsets reset`.",
    ),
    (
        "U0282",
        "a newer unbatch wrote the state",
        "The state of the split has a version that this binary does not know.",
        "Run the version that wrote it, or a later one.",
    ),
    (
        "U0283",
        "the sink had failed before",
        "Something was asked of a sink whose first error was told already. It opens again by itself.",
        "Look at the error before this one in the log.",
    ),
    (
        "U0284",
        "an epoch stayed open for too long",
        "The source gave no safe place to stop before half of the transaction's time-out. The epoch was dropped and is read again.",
        "Raise `transaction.timeout.ms` in `kafka.properties`; the broker's transaction.max.timeout.ms is the limit.",
    ),
    (
        "U0285",
        "the state of a split is too large",
        "Progress is one record of at most 1 MB, and too many parts are open at once.",
        "Let fewer files or chunks be read side by side.",
    ),
    (
        "U0286",
        "a commit was fenced, but nobody took over",
        "The broker refused the commit as if there were a newer owner, and the state knows none: the transaction ran out of time or its coordinator moved. The epoch is read again by itself.",
        "If it repeats, look at the broker's log, and raise `transaction.timeout.ms` in `kafka.properties`.",
    ),
    (
        "U0287",
        "the stored state is not the one we stored",
        "Another run of the same pipeline, or `unbatch offsets`, has stored something since. A newer owner keeps the split; otherwise it is opened again.",
        "After a change of positions start the pipeline again. Of two runs stop one, or give it a `deployment` of its own.",
    ),
    (
        "U0288",
        "another worker has the split now",
        "The split was assigned to another worker while it was open here. That worker goes on with it.",
        "Nothing, unless it happens again and again: then look why workers come and go.",
    ),
    (
        "U0289",
        "a Kafka request of the sink ended unexpectedly",
        "A promise inside unbatch was broken: a topic that was just made is not there, a generation went backwards, or a thread ended.",
        "This is a bug in unbatch, please report it.",
    ),
    (
        "U0290",
        "commits are too far apart for the transaction's time-out",
        "An epoch must be over by half of `transaction.timeout.ms`, or the broker could end it first.",
        "Lower `commit.every`, or raise `transaction.timeout.ms` in `kafka.properties`.",
    ),
    (
        "U0291",
        "committed rows are gone from the topic",
        "The topic was deleted, made anew or cut since the last commit, so it no longer holds what was written to it.",
        "Load the rows again with `unbatch offsets reset NAME --yes`, or go on without them with `unbatch offsets set`.",
    ),
    (
        "U0292",
        "the topic has newer rows than the state",
        "The state topic was set back, by an old copy or an unclean election. Going on would write rows twice.",
        "Restore the state topic, or set the positions behind those rows with `unbatch offsets set`. Keep unclean.leader.election.enable=false.",
    ),
    (
        "U0293",
        "not the cursor of a page of the quarantine",
        "A page of the quarantine was asked for with a cursor that no page before it gave.",
        "Start at the first page again.",
    ),
    (
        "U0294",
        "a quarantine entry cannot be read",
        "A record of the quarantine topic is not as unbatch writes it: something else wrote into the topic, or a newer unbatch did.",
        "All other entries are shown and replayed. `unbatch topics read TOPIC --from OFFSET` shows the record; one with its key and no value takes it away. Take from others the right to write there.",
    ),
    (
        "U0295",
        "the thread of a sink cannot start",
        "The system refused a thread. It is tried again by itself.",
        "Raise the limits of the process (`ulimit -a`, the unit's TasksMax).",
    ),
    (
        "U0296",
        "the topic takes smaller batches than the client makes",
        "The topic's max.message.bytes is below the client's batch.size, so full batches would be refused.",
        "Set `batch.size` in `kafka.properties` to the number in the message, or raise the topic's max.message.bytes.",
    ),
    (
        "U0297",
        "the source was emptied, a topic cannot be",
        "The source's table was truncated. A topic cannot take back its rows, and the default is to stop and say so.",
        "Set `truncates: ignore` in the sink to leave them, or load the topic anew.",
    ),
    (
        "U0298",
        "the cluster has one broker",
        "There is one copy of everything. That is fine for development.",
        "For production use three brokers or more.",
    ),
    (
        "U0299",
        "a topic has two purposes",
        "The sink's topic is also the pipeline's quarantine, or one that Kafka or the deployment keeps for itself. Rows among such records would be taken for what they are not.",
        "Give the sink another `name`, or the quarantine one in `on_error`.",
    ),
    (
        "U0300",
        "the quarantine topic would lose or refuse entries",
        "Refused rows are kept until somebody takes them away: the topic must be compacted, not expire its records, and take records of 4 KiB at least.",
        "Run the command of the message. A topic that may forget can be allowed by name in `kafka.allow_unsafe_topics`.",
    ),
    (
        "U0301",
        "the quarantine holds too many entries to replay",
        "A replay must know of every entry whether it went through. The topic holds more entries, of this and of other pipelines, than are kept in memory.",
        "Give the pipeline a quarantine of its own with `on_error.quarantine.name`, or deliver the files again once they are mended.",
    ),
    (
        "delete_without_key",
        "a deleted row has no key",
        "A deletion is a tombstone, a record that has only a key, and this stream has no key columns.",
        "Set `key` in the sink to columns that identify a row.",
    ),
    (
        "key_not_sent",
        "the source did not send a key column",
        "A change came without the value of a column that `key` names, so its record would have the wrong key.",
        "Let the source send whole rows, or choose key columns that it always sends.",
    ),
    (
        "too_large",
        "a row is larger than the topic takes",
        "The record would have more bytes than the topic's max.message.bytes. The other rows went on.",
        "Raise the topic's max.message.bytes, or leave large columns out with `select`.",
    ),
];
