//! What the codes of full dumps mean, for `unbatch explain`.

use unbatch_api::error::CodeEntry;

/// In the order of their codes.
pub const CODES: &[CodeEntry] = &[
    (
        "U0240",
        "full dumps cannot be compared",
        "A column of the key is not in the file or has another type than when the last dump was taken, the key is another one, or a column has a type that no digest is made of.",
        "Change the key and its types back. To go on with another key begin anew with `unbatch offsets reset`: the next dump is then handed on whole, and rows that are gone by then are not seen as deleted.",
    ),
    (
        "U0241",
        "no room to sort a full dump",
        "The rows of a dump are sorted on disk, and a file there cannot be written or read. It is tried again by itself.",
        "Sorting needs about as much room as the dump has. Make room in the system's folder for temporary files, or name another folder in `mode.full_dump.spill`.",
    ),
    (
        "U0242",
        "work on a baseline failed",
        "What was told of the last dump is kept under `mode.full_dump.baseline`. Writing or reading it failed for a reason that may pass. It is tried again by itself.",
        "If it stays, look at the cause in the message: the disk, the mount, the rights.",
    ),
    (
        "U0243",
        "the baseline of the last dump is gone or damaged",
        "The checkpoint names a file under `mode.full_dump.baseline` that is not there any more, or is not what was written. Without it nobody can say what changed since the last dump, and which rows were deleted.",
        "Put the file back as it was, from a backup for example. Without one `unbatch offsets reset` begins anew: the next dump is handed on whole, and rows that are gone by then are not seen as deleted.",
    ),
];
