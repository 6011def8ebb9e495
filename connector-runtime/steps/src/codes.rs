//! What the codes of steps mean, for `unbatch explain`: of mistakes in their configuration, and the reasons of refused rows as
//! quarantine shows them.

use unbatch_api::error::CodeEntry;

/// In the order of their codes.
pub const CODES: &[CodeEntry] = &[
    (
        "U0601",
        "a step names a column that is not there",
        "Steps see the columns as the steps before them left them, under their names of then, and names count letter by letter.",
        "Take the suggested name. `unbatch preview NAME` shows the columns after the steps.",
    ),
    (
        "U0602",
        "not an SQL expression",
        "The text breaks the grammar of SQL expressions at the marked place. Texts stand in single quotes, names with other characters than letters, digits and _ in double quotes.",
        "Mend the marked place. In YAML put the whole expression into double quotes.",
    ),
    (
        "U0603",
        "no such function",
        "Expressions may call the functions that the page Steps lists.",
        "Take the suggested name, or write the same with other functions.",
    ),
    (
        "U0604",
        "not the same each time",
        "A function such as now() or random() gives another result whenever it is asked. Rows that are read again after a failure must come out the same, or readers would see two versions of a row.",
        "Use what comes with the row: meta.source_time, meta.file, meta.line, or a column.",
    ),
    (
        "U0605",
        "types do not fit",
        "An operator or the result of an expression has types that do not go together; the message names both. Texts are never taken for numbers or dates by themselves.",
        "Cast one side: cast(price as decimal(12,2)), cast(day as date).",
    ),
    (
        "U0606",
        "wrong arguments for a function",
        "The function takes other types, or another number of arguments.",
        "Write the call as the message shows it; cast texts by hand.",
    ),
    (
        "U0607",
        "not a condition",
        "`filter` and `when` need an expression that is true or false.",
        "Compare with something: price > 0, country = 'DE', name is not null.",
    ),
    (
        "U0608",
        "works on many rows",
        "Aggregates such as sum, windows and subqueries look at many rows. A step sees one row at a time.",
        "Compute it where the rows arrive.",
    ),
    (
        "U0609",
        "this form of SQL is not taken",
        "The expression uses a part of SQL that steps do not have.",
        "The page Steps lists what can be written.",
    ),
    (
        "U0610",
        "a value that cannot be",
        "A number has too many digits, a span of time cannot be read, or a part of the expression that reads no column fails whatever the row.",
        "Write what is meant; the message says what is wrong.",
    ),
    (
        "U0611",
        "the key would be lost",
        "The source names rows by these columns, and updates and deletes find their row by them. A step may rename or cast them, and mask them by hash, which keeps rows apart.",
        "Keep the column, or derive another beside it.",
    ),
    (
        "U0612",
        "two columns of one name",
        "After the step two columns would have the same name, or one would have none.",
        "Give one another name, or drop one before.",
    ),
    (
        "U0613",
        "a step that does nothing",
        "The step names no column, leaves none, or an entry of `select` is not one column.",
        "Write what it is to do, or remove it.",
    ),
    (
        "U0614",
        "cannot be cast",
        "There is no way from the one type to the other, or the type is not a column type.",
        "Cast to string first if the text is meant, or use a function such as from_unixtime or make_date.",
    ),
    (
        "U0615",
        "cannot be masked so",
        "The number of readable characters is out of range, the column's type has no text, or the salt cannot be read or is empty.",
        "Read the message; `unbatch connectors mask` shows what can be written.",
    ),
    (
        "U0616",
        "a route that cannot be",
        "The name of the stream has other characters than letters, digits, `.`, `_` and `-`, or cases stand behind one that takes every row.",
        "Mend the name, give the case a `when`, or move it to the end.",
    ),
    (
        "U0617",
        "rows cannot be routed",
        "The expression makes more streams than one route may have, or the source emptied a stream whose rows may be in any other. Nothing was committed of it.",
        "Route by a column with few values, or with names in place of an expression.",
    ),
    (
        "U0618",
        "a step failed on a batch",
        "A step could not put its columns together again. Nothing was committed of the batch.",
        "This is a bug of the step; report it with the log and the pipeline file.",
    ),
    (
        "U0619",
        "a patch that cannot be",
        "`--patch` takes `column = expression`, over the cells of the refused row as they came, all of them texts; a row for which the expression fails stays as it is.",
        "Write such as --patch \"price = replace(price, 'O', '0')\". `unbatch quarantine show` has the row.",
    ),
    (
        "bad_cast",
        "a value does not fit the type",
        "A cast met a text that is not written as the type wants it, or a value outside of it. The row is kept as it came from the source.",
        "Mend the source, use try_cast to get null, or test the value with case when before the cast; then `unbatch quarantine replay`.",
    ),
    (
        "division_by_zero",
        "a division by zero",
        "The divisor of the row is zero.",
        "Write nullif(divisor, 0) to get null, or leave such rows out with a filter before; then `unbatch quarantine replay`.",
    ),
    (
        "failed_expression",
        "a function does not take the value",
        "A function refused the row's value, such as a date that does not have the format.",
        "Test the value with case when before the call, or mend the source; then `unbatch quarantine replay`.",
    ),
    (
        "no_stream",
        "a row without a stream",
        "The expression of `route` gives null for the row, or a text that cannot be a stream's name.",
        "Use coalesce for a name when there is none, and replace or translate for other characters.",
    ),
    (
        "old_row_needed",
        "the row as it was before is needed",
        "The expression reads a column that the source did not send with this change, and the old row did not come with it either.",
        "Have the source send old rows in full (REPLICA IDENTITY FULL in PostgreSQL), or do not read the column here.",
    ),
    (
        "overflow",
        "a result too large for its type",
        "A whole number beyond int64, a decimal of more than 38 digits or more than the cast allows, or a float that is infinite.",
        "Cast to a type with more digits before the computation, or to float64.",
    ),
    (
        "unusable_value",
        "a value that expressions cannot read",
        "The cell is no number (NaN), infinite, or outside what its type can hold here. It can be passed on as it is, but not computed with.",
        "Do not read the column here, or mend the source.",
    ),
];
