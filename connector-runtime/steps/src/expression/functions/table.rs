//! The functions by group, with how they are called and what they give; the documentation lists them from here.

/// One function.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
    pub(crate) syntax: &'static str,
    pub(crate) gives: &'static str,
}

/// Groups in the order of the documentation.
pub(crate) const GROUPS: [&str; 5] = ["Choice", "Text", "Patterns", "Numbers", "Dates and times"];

const CHOICE: &str = GROUPS[0];
const TEXT: &str = GROUPS[1];
const PATTERN: &str = GROUPS[2];
const NUMBER: &str = GROUPS[3];
const TIME: &str = GROUPS[4];

/// Those that are not functions of DataFusion's but forms of our own.
pub(crate) fn is_built_in(name: &str) -> bool {
    matches!(name, "coalesce" | "ifnull" | "nvl" | "nvl2" | "nullif" | "position" | "extract" | "mod")
}

const fn f(group: &'static str, name: &'static str, syntax: &'static str, gives: &'static str) -> Function {
    Function { name, group, syntax, gives }
}

pub(crate) const FUNCTIONS: &[Function] = &[
    f(CHOICE, "coalesce", "coalesce(a, b, …)", "the first that is not null"),
    f(CHOICE, "ifnull", "ifnull(a, b)", "`a`, or `b` when `a` is null; also `nvl`"),
    f(CHOICE, "nvl", "nvl(a, b)", "as `ifnull`"),
    f(CHOICE, "nvl2", "nvl2(a, b, c)", "`b` when `a` is not null, else `c`"),
    f(CHOICE, "nullif", "nullif(a, b)", "null when both are equal, else `a`"),
    f(CHOICE, "greatest", "greatest(a, b, …)", "the largest that is not null"),
    f(CHOICE, "least", "least(a, b, …)", "the smallest that is not null"),
    f(TEXT, "upper", "upper(text)", "in capitals"),
    f(TEXT, "lower", "lower(text)", "in small letters"),
    f(TEXT, "initcap", "initcap(text)", "each word with a capital"),
    f(TEXT, "trim", "trim(text), trim(both 'x' from text)", "without blanks, or those characters, at both ends"),
    f(TEXT, "btrim", "btrim(text[, characters])", "as `trim`"),
    f(TEXT, "ltrim", "ltrim(text[, characters])", "without blanks, or those characters, at the start"),
    f(TEXT, "rtrim", "rtrim(text[, characters])", "without blanks, or those characters, at the end"),
    f(TEXT, "length", "length(text)", "number of characters; also `char_length`"),
    f(TEXT, "char_length", "char_length(text)", "as `length`"),
    f(TEXT, "octet_length", "octet_length(text)", "number of bytes in UTF-8"),
    f(TEXT, "bit_length", "bit_length(text)", "number of bits in UTF-8"),
    f(
        TEXT,
        "substr",
        "substr(text, start[, length])",
        "a part; the first character is 1; also `substring(text from 2 for 3)`",
    ),
    f(TEXT, "left", "left(text, count)", "the first characters"),
    f(TEXT, "right", "right(text, count)", "the last characters"),
    f(TEXT, "lpad", "lpad(text, length[, fill])", "filled at the start, or cut, to a length"),
    f(TEXT, "rpad", "rpad(text, length[, fill])", "filled at the end, or cut, to a length"),
    f(TEXT, "replace", "replace(text, from, to)", "every `from` as `to`"),
    f(TEXT, "translate", "translate(text, from, to)", "each character of `from` as the one at its place in `to`"),
    f(TEXT, "reverse", "reverse(text)", "backwards"),
    f(TEXT, "repeat", "repeat(text, count)", "several times"),
    f(TEXT, "concat", "concat(a, b, …)", "one after the other, nulls left out; `a || b` is null when one is"),
    f(TEXT, "concat_ws", "concat_ws(separator, a, b, …)", "with a separator, nulls left out"),
    f(TEXT, "split_part", "split_part(text, separator, index)", "a part between separators; the first is 1"),
    f(TEXT, "strpos", "strpos(text, part)", "where a part begins, 0 when nowhere; also `position(part in text)`"),
    f(TEXT, "position", "position(part in text)", "as `strpos`"),
    f(TEXT, "starts_with", "starts_with(text, part)", "whether it begins so"),
    f(TEXT, "ends_with", "ends_with(text, part)", "whether it ends so"),
    f(TEXT, "contains", "contains(text, part)", "whether the part is in it"),
    f(TEXT, "find_in_set", "find_in_set(text, list)", "place in a list of texts with commas between, 0 when nowhere"),
    f(
        TEXT,
        "substr_index",
        "substr_index(text, separator, count)",
        "all before, or with a negative count after, that separator",
    ),
    f(TEXT, "levenshtein", "levenshtein(a, b)", "how many letters differ"),
    f(TEXT, "ascii", "ascii(text)", "code of the first character"),
    f(TEXT, "chr", "chr(code)", "the character of a code"),
    f(TEXT, "to_hex", "to_hex(number)", "a whole number in base 16"),
    f(PATTERN, "regexp_like", "regexp_like(text, pattern[, flags])", "whether a regular expression is found"),
    f(
        PATTERN,
        "regexp_replace",
        "regexp_replace(text, pattern, to[, flags])",
        "what is found, the first or with flag `g` all, as `to`",
    ),
    f(PATTERN, "regexp_count", "regexp_count(text, pattern[, start[, flags]])", "how often it is found"),
    f(PATTERN, "regexp_instr", "regexp_instr(text, pattern)", "where it is found, 0 when nowhere"),
    f(NUMBER, "abs", "abs(number)", "without its sign"),
    f(NUMBER, "signum", "signum(number)", "-1, 0 or 1"),
    f(
        NUMBER,
        "round",
        "round(number[, digits])",
        "with so many digits after the point, half away from zero; a decimal stays one",
    ),
    f(NUMBER, "trunc", "trunc(number[, digits])", "cut off after so many digits"),
    f(NUMBER, "ceil", "ceil(number)", "the next whole number above"),
    f(NUMBER, "floor", "floor(number)", "the next whole number below"),
    f(NUMBER, "mod", "mod(a, b)", "what is left of a division; as `a % b`"),
    f(NUMBER, "power", "power(base, exponent)", "a power"),
    f(NUMBER, "sqrt", "sqrt(number)", "square root"),
    f(NUMBER, "cbrt", "cbrt(number)", "cube root"),
    f(NUMBER, "exp", "exp(number)", "e to the power of it"),
    f(NUMBER, "ln", "ln(number)", "natural logarithm"),
    f(NUMBER, "log", "log([base, ]number)", "logarithm, to base 10 without a base"),
    f(NUMBER, "log2", "log2(number)", "logarithm to base 2"),
    f(NUMBER, "log10", "log10(number)", "logarithm to base 10"),
    f(NUMBER, "gcd", "gcd(a, b)", "greatest common divisor"),
    f(NUMBER, "lcm", "lcm(a, b)", "least common multiple"),
    f(NUMBER, "factorial", "factorial(number)", "1 × 2 × … × the number"),
    f(NUMBER, "pi", "pi()", "3.14159…"),
    f(NUMBER, "degrees", "degrees(radians)", "an angle in degrees"),
    f(NUMBER, "radians", "radians(degrees)", "an angle in radians"),
    f(NUMBER, "sin", "sin(radians)", "sine; also `cos`, `tan`, `asin`, `acos`, `atan`, `atan2`"),
    f(NUMBER, "cos", "cos(radians)", "cosine"),
    f(NUMBER, "tan", "tan(radians)", "tangent"),
    f(NUMBER, "asin", "asin(number)", "inverse sine"),
    f(NUMBER, "acos", "acos(number)", "inverse cosine"),
    f(NUMBER, "atan", "atan(number)", "inverse tangent"),
    f(NUMBER, "atan2", "atan2(y, x)", "angle of a point"),
    f(
        TIME,
        "extract",
        "extract(year from time)",
        "a part of it: year, quarter, month, week, day, dow, doy, hour, minute, second, epoch",
    ),
    f(TIME, "date_part", "date_part('year', time)", "as `extract`"),
    f(
        TIME,
        "date_trunc",
        "date_trunc('month', time)",
        "its beginning of year, quarter, month, week, day, hour, minute or second",
    ),
    f(TIME, "make_date", "make_date(year, month, day)", "a date of three numbers"),
    f(TIME, "to_date", "to_date(text[, format, …])", "a date of a text; formats as in `%d.%m.%Y`"),
    f(
        TIME,
        "to_timestamp",
        "to_timestamp(text[, format, …])",
        "a timestamp of a text, UTC unless the text says otherwise",
    ),
    f(TIME, "to_timestamp_seconds", "to_timestamp_seconds(seconds)", "a timestamp of seconds since 1970"),
    f(TIME, "to_timestamp_millis", "to_timestamp_millis(milliseconds)", "a timestamp of milliseconds since 1970"),
    f(TIME, "to_timestamp_micros", "to_timestamp_micros(microseconds)", "a timestamp of microseconds since 1970"),
    f(TIME, "from_unixtime", "from_unixtime(seconds)", "a timestamp of seconds since 1970"),
    f(TIME, "to_unixtime", "to_unixtime(time)", "seconds since 1970"),
    f(TIME, "to_char", "to_char(time, format)", "a text of it, such as `%d.%m.%Y`"),
];
