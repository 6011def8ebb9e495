//! What a record looks like: key and value, written straight from Arrow columns.

mod calendar;
mod cell;
mod encoder;

pub(crate) use cell::write_text;
pub(crate) use encoder::{RowEncoder, RowText};

/// Microseconds since 1970 as RFC 3339, in UTC.
pub(crate) fn write_timestamp_utc(micros: i64, out: &mut Vec<u8>) {
    calendar::write_timestamp(micros, 6, out);
    out.push(b'Z');
}
