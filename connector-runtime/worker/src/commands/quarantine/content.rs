//! The content of a refused row for a person: as text where it is text, else a short dump of its bytes.

use std::fmt::Write;
use unbatch_api::figures::bytes;

/// Of more text only the beginning is shown.
const TEXT_MAX: usize = 4 * 1024;
const DUMPED_MAX: usize = 128;
const DUMPED_BY_LINE: usize = 16;
/// With one escape in so many characters it is no text.
const CHARS_FOR_AN_ESCAPE: usize = 8;

/// Its lines set in, with what would steer the terminal escaped, and bytes that are no text as `\xff`. What is left out is told.
pub(super) fn content(row: &[u8]) -> String {
    let head = beginning(row);
    match text_of(head) {
        None => dump(row),
        Some(text) if head.len() == row.len() => text,
        Some(text) => format!("{text}\n  … the first {} of {}; --json has all", bytes(head.len() as u64), all(row)),
    }
}

/// Not past [`TEXT_MAX`], nor in the middle of a character.
fn beginning(row: &[u8]) -> &[u8] {
    if row.len() <= TEXT_MAX {
        return row;
    }
    let is_inside = |at: &usize| row[*at] & 0xc0 == 0x80;
    let end = (TEXT_MAX - 3..=TEXT_MAX).rev().find(|at| !is_inside(at)).unwrap_or(TEXT_MAX);
    &row[..end]
}

/// `None`: it would be escapes for the most part.
fn text_of(row: &[u8]) -> Option<String> {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    let row = row.strip_suffix(b"\r").unwrap_or(row);
    let (mut text, mut escapes, mut chars) = (String::with_capacity(row.len()), 0, 0);
    for chunk in row.utf8_chunks() {
        for line in chunk.valid().split_inclusive('\n') {
            let (line, is_ended) = line.strip_suffix('\n').map_or((line, false), |line| (line, true));
            let line = line.strip_suffix('\r').filter(|_| is_ended).unwrap_or(line);
            for c in line.chars() {
                chars += 1;
                if c.is_control() {
                    escapes += usize::from(c != '\t');
                    text.extend(c.escape_default());
                } else {
                    text.push(c);
                }
            }
            text.push_str(if is_ended { "\n  " } else { "" });
        }
        for byte in chunk.invalid() {
            (escapes, chars) = (escapes + 1, chars + 1);
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    // one or two are readable in however short a row
    (escapes <= 2 || escapes * CHARS_FOR_AN_ESCAPE <= chars).then_some(text)
}

/// As `hexdump -C` has it.
fn dump(row: &[u8]) -> String {
    let mut text = format!("{}, no text", all(row));
    for (i, line) in row[..row.len().min(DUMPED_MAX)].chunks(DUMPED_BY_LINE).enumerate() {
        let hex: String = line.iter().map(|byte| format!("{byte:02x} ")).collect();
        let seen: String = line.iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '.' }).collect();
        let _ = write!(text, "\n  {:08x}  {hex:48} |{seen}|", i * DUMPED_BY_LINE);
    }
    if row.len() > DUMPED_MAX {
        let _ = write!(text, "\n  … the first {DUMPED_MAX} B; --json has all");
    }
    text
}

fn all(row: &[u8]) -> String {
    bytes(row.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_it_is_with_what_is_no_text_escaped() {
        assert_eq!(content(b"a\x1b[2Jb\r\nc\n"), "a\\u{1b}[2Jb\n  c");
        assert_eq!(content("1\tM\u{fc}ller".as_bytes()), "1\\tM\u{fc}ller");
        assert_eq!(content(b"1;M\xfcller\n"), "1;M\\xfcller");
        assert_eq!(content(b""), "");
    }

    #[test]
    fn bytes_that_are_no_text_are_a_short_dump_with_their_length() {
        let utf16: Vec<u8> = "id;text;price\r\n".repeat(30).encode_utf16().flat_map(u16::to_le_bytes).collect();
        let text = content(&utf16);
        assert!(text.starts_with("900 B, no text\n  00000000  69 00 64 00 3b 00 "), "{text}");
        assert!(
            text.contains(" |i.d.;.t.e.x.t.;.|") && text.ends_with("\n  … the first 128 B; --json has all"),
            "{text}"
        );
        assert_eq!((text.lines().count(), text.contains("\\u{0}")), (10, false), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(content(&[0; 40]).starts_with("40 B, no text\n"));
    }

    #[test]
    fn long_text_is_cut_between_two_characters_and_says_so() {
        for shift in 0..3 {
            let row = "x".repeat(shift) + &"\u{20ac}".repeat(3_000);
            let text = content(row.as_bytes());
            let (shown, note) = text.split_once('\n').unwrap();
            assert!(row.starts_with(shown) && shown.len() > TEXT_MAX - 3, "{}", shown.len());
            assert!(note.starts_with("  … the first 4.0 KiB of 8.8 KiB"), "{note}");
        }
    }
}
