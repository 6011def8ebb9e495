//! What the codes mean, for `unbatch explain`: of errors of stores, and of what is wrong with a file's content.

use unbatch_api::error::CodeEntry;

/// In the order of their codes.
pub const CODES: &[CodeEntry] = &[
    (
        "U0217",
        "nothing to read",
        "The folder of `url` is not there, or is a file. As a warning: it is there, but no file in it matches yet.",
        "Make the folder, or mend `url` or `match`. A relative `url` starts at the folder of the pipeline file.",
    ),
    (
        "U0220",
        "work on a file failed",
        "Listing, reading, moving or copying failed for a reason that may pass, such as a network file system that is away. It is tried again by itself.",
        "If it stays, look at the cause in the message: the disk, the mount, the limits of the process.",
    ),
    (
        "U0221",
        "no right to a file or folder",
        "The worker's user may not read the file or folder, or may not write into the folder although `after` deletes or moves files.",
        "Give the user these rights, or set `after: keep`, which writes nothing.",
    ),
    (
        "U0222",
        "a file changed while it was being read",
        "A file that was partly read was rewritten or is gone, so what was read may not be what it holds. Nothing of the change was committed.",
        "Restore the file and resume, or set it to `again` (read it as a new one) or `done` (give up the rest) with `unbatch offsets set`. Deliver files by renaming them into the folder, or use `ready_when: {marker: …}`.",
    ),
    (
        "U0311",
        "a setting of a store or of its files cannot be",
        "An endpoint, region, key or pattern cannot be read, or does not go with the kind of store.",
        "Mend what the message names.",
    ),
    (
        "U0312",
        "the store of the files does not answer",
        "A request failed for a reason that may pass: no connection, no answer in time, too many requests, or the store is not well. It was tried several times, and a run tries again by itself.",
        "Is the endpoint right and up? Look at the store's own status if it stays.",
    ),
    (
        "U0313",
        "the store refuses the credentials",
        "The store does not know the key, the signature or token is wrong or has run out, or there are no credentials at all.",
        "Check the keys and the clock of this machine. Without keys in the configuration those of the environment count: a pod's role, the instance's, or variables such as AWS_ACCESS_KEY_ID.",
    ),
    (
        "U0314",
        "a right is missing in the store",
        "The store knows who we are and refuses what the message names.",
        "Grant the right that the message names for the bucket and folder.",
    ),
    (
        "U0315",
        "there is no such bucket or container",
        "The store answers, and does not have the bucket that the URL names.",
        "Check the URL, the region and the endpoint, or make the bucket. unbatch makes none.",
    ),
    (
        "U0317",
        "a name in the store cannot be read",
        "A key under the folder has an empty part (`a//b`), a part that is `.` or `..`, or a control character. Its page of the listing cannot be read, and no file of it is skipped in silence.",
        "Rename or remove the key that the message names, or use a folder of its own for the files.",
    ),
    (
        "U0318",
        "the store refuses the request",
        "The store answered in a way that will not change by itself, for a reason that the message names.",
        "Mend what the message says; check that the endpoint is a store of the kind that the URL names.",
    ),
    (
        "U0319",
        "the store cannot do what is needed",
        "The store does not have a request that is needed to never overwrite a file, such as a write that fails when the name is taken.",
        "Use another store, or `after: keep`.",
    ),
    (
        "archive_encrypted",
        "the zip archive is encrypted",
        "Archives with a password are not read. The file was parked.",
        "Deliver it without a password; a store and its connection encrypt by themselves.",
    ),
    (
        "archive_entries",
        "the zip archive does not have one file of data",
        "A zip archive is read when it has exactly one entry that is no folder, or one that `entry` takes. The file was parked.",
        "Set `entry` to the name or a pattern of the one that is meant, or deliver one file in each archive.",
    ),
    (
        "compression_mismatch",
        "the name and the content disagree",
        "The ending of the name says another compression than the first bytes of the file. The file was parked.",
        "Name the file like its content, or set `compression`.",
    ),
    (
        "compression_unsupported",
        "packed in a way that is not read",
        "gz, zst, bz2, xz and zip (stored, deflate, bzip2, zstd, xz) are read; tar, 7z, rar and other methods are not. The file was parked.",
        "Pack the file in one of the ways that are read, each file for itself.",
    ),
    (
        "content_too_large",
        "the file is too large when it is decompressed",
        "A compressed file became larger than the limit. The file was parked.",
        "Raise the limit if such files are meant; otherwise ask the sender: it may be a bomb.",
    ),
    (
        "damaged_content",
        "the compressed content is damaged",
        "A checksum, a length or the structure of the compressed file is wrong. Rows before the place were taken; the file was parked.",
        "Deliver the file again, as its sender has it. A transfer in text mode damages such files.",
    ),
    (
        "nested_compression",
        "compressed twice",
        "What was decompressed is compressed once more. The file was parked.",
        "Compress once.",
    ),
    (
        "ratio_too_large",
        "too much content out of too few bytes",
        "A compressed file became more than a thousand times its size, beyond 256 MiB, as bombs do and tables do not. The file was parked.",
        "Look at the file. If it is meant, deliver it uncompressed or with gzip.",
    ),
    (
        "trailing_bytes",
        "something follows the compressed content",
        "Behind the end of the compressed content stands something else. Rows before were taken; the file was parked.",
        "Deliver the file again, as its sender has it.",
    ),
    (
        "truncated_content",
        "the compressed content is cut off",
        "The compressed file ends in the middle. Rows before the place were taken; the file was parked.",
        "Deliver the file again, whole: by a rename, by one upload, or with a marker.",
    ),
    (
        "unsupported_encoding",
        "text in UTF-32",
        "The byte order mark says UTF-32, which is not read. The file was parked.",
        "Deliver the file in UTF-8.",
    ),
    (
        "window_too_large",
        "decompressing needs too much memory",
        "The file was compressed with a larger window than may be used. The file was parked.",
        "Compress it with the usual settings, such as without --long.",
    ),
];
