//! The checkpoint in a person's words: `offsets get` and `offsets set`.

use crate::file_stat::FileStat;
use crate::ledger::{Entry, Ledger, Outcome, is_ledger_key};
use crate::notes::{OpenFile, open_files, open_key};
use crate::position::part_of;
use unbatch_api::{Checkpoint, Error, Jump, PartView, Result};

/// Finished files that are shown, the newest ones.
const FINISHED_SHOWN_MAX: usize = 20;
const WORDS: &str = "give a file's name and `again` (forget it, so that it is read again from its beginning) \
                     or `done` (never read it, or not the rest of it): FILE=again";

/// A line for each open file, then the newest finished ones.
pub fn describe(checkpoint: &Checkpoint) -> Vec<PartView> {
    let (open, ledger) = match (open_files(checkpoint), Ledger::read(checkpoint)) {
        (Ok(open), Ok(ledger)) => (open, ledger),
        (Err(error), _) | (_, Err(error)) => return unreadable(checkpoint, &error),
    };
    let mut views: Vec<PartView> = open.iter().map(open_view).collect();
    let mut finished: Vec<&Entry> = ledger.files().collect();
    finished.sort_by_key(|e| std::cmp::Reverse(e.seq));
    views.extend(finished.into_iter().take(FINISHED_SHOWN_MAX).map(finished_view));
    views
}

/// Forgets files or marks them as done.
pub fn jump(checkpoint: &Checkpoint, jumps: &[Jump]) -> Result<Checkpoint> {
    let mut to = checkpoint.clone();
    for jump in jumps {
        let open = open_files(&to)?;
        let ledger = Ledger::read(&to)?;
        let name = name_of(&open, &ledger, jump.part.as_str());
        let is_done = match jump.position.as_str() {
            "again" => false,
            "done" => true,
            other => return Err(refused(format!("`{other}` is not a position that a file can be set to"))),
        };
        let is_known = open.iter().any(|o| o.note.path == name) || ledger.of(&name).next().is_some();
        if !is_done && !is_known {
            return Err(refused(format!("`{name}` is neither open nor done")));
        }
        for file in open.iter().filter(|o| o.note.path == name) {
            to.parts.remove(&part_of(&file.id));
            to.notes.remove(&open_key(&file.id));
        }
        to.notes.retain(|key, _| !is_ledger_key(key));
        let mut files: Vec<Entry> = ledger.files().filter(|e| is_done || e.path != name).cloned().collect();
        if is_done && !ledger.of(&name).any(|e| e.outcome == Outcome::Marked) {
            files.push(marked(&name, ledger.next_seq()));
        }
        to.notes.extend(Ledger::notes_of(files)?);
    }
    Ok(to)
}

/// Whatever stands under this name when it is seen next is done.
fn marked(name: &str, seq: u64) -> Entry {
    Entry {
        path: name.into(),
        id: String::new(),
        seq,
        stat: FileStat { size: 0, mtime: 0, ctime: 0, inode: 0 },
        digest: String::new(),
        outcome: Outcome::Marked,
        code: None,
        rows: 0,
        rejected: 0,
        line: 0,
        archive: None,
    }
}

/// Parts may be named as `offsets get` shows them, or by the file's name.
fn name_of(open: &[OpenFile], ledger: &Ledger, part: &str) -> String {
    let id = part.strip_prefix(crate::position::PART_PREFIX);
    let by_id = id.and_then(|id| {
        let open = open.iter().find(|o| o.id == id).map(|o| o.note.path.clone());
        open.or_else(|| ledger.files().find(|e| e.id == id).map(|e| e.path.clone()))
    });
    by_id.unwrap_or_else(|| part.to_owned())
}

fn open_view(open: &OpenFile) -> PartView {
    let place = open.place;
    PartView {
        part: part_of(&open.id).to_string(),
        position: place.to_position().to_string(),
        meaning: format!(
            "{}, {} rows read, {} of {}{}",
            open.note.path,
            grouped(place.row),
            size(place.byte),
            size(open.note.stat.size),
            rejected(open.note.rejected)
        ),
    }
}

fn finished_view(entry: &Entry) -> PartView {
    let rows = || format!("{} rows, {}{}", grouped(entry.rows), size(entry.stat.size), rejected(entry.rejected));
    let (position, meaning) = match entry.outcome {
        Outcome::Loaded => ("done", rows()),
        Outcome::Failed => ("failed", format!("{} after {}", entry.code.as_deref().unwrap_or("parked"), rows())),
        Outcome::Skipped => ("done", "set by hand, not read".into()),
        Outcome::Grown => ("grown", "what was appended after it was read is not read".into()),
        Outcome::Marked => ("done", "set by hand, not seen yet".into()),
    };
    PartView { part: entry.path.clone(), position: position.into(), meaning }
}

fn unreadable(checkpoint: &Checkpoint, error: &Error) -> Vec<PartView> {
    let view = |(part, position): (&unbatch_api::Part, &unbatch_api::Position)| PartView {
        part: part.to_string(),
        position: position.to_string(),
        meaning: error.one_line(),
    };
    checkpoint.parts.iter().map(view).collect()
}

fn refused(message: String) -> Error {
    Error::misconfigured(format!("setting the position of a file failed: {message}")).code("U0226").help(WORDS)
}

fn rejected(rows: u64) -> String {
    if rows == 0 { String::new() } else { format!(", {} rejected", grouped(rows)) }
}

/// 1234567 as 1,234,567.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}
