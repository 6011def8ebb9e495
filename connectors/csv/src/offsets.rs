//! The checkpoint in a person's words: `offsets get` and `offsets set`.

use crate::config::CsvDropsConfig;
use crate::dump::give_up;
use crate::folder::split_of;
use crate::ledger::{Entry, Ledger, Outcome, is_ledger_key};
use crate::notes::{OpenFile, open_files, open_key};
use crate::position::part_of;
use unbatch_api::figures::{bytes, grouped};
use unbatch_api::{Checkpoint, Error, Jump, PartView, Result};
use unbatch_object_files::ObjectStat;

/// Finished files that are shown, the newest ones.
const FINISHED_SHOWN_MAX: usize = 20;
const WORDS: &str = "give a file's name and `again` (forget it, so that it is read again from its beginning) \
                     or `done` (never read it, or not the rest of it): FILE=again. The next file under that name is another one: \
                     `done` is not for it; move away what is not to be read";

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

/// Forgets files or marks them as done. `done` is for the file that is open, parked or grown under the name, and not for what
/// is delivered under it later; only where nothing is known of the name it is for the first file that is seen there.
pub fn jump(config: &CsvDropsConfig, checkpoint: &Checkpoint, jumps: &[Jump]) -> Result<Checkpoint> {
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
        check_split(config, &open, &ledger, &name)?;
        let is_known = open.iter().any(|o| o.note.path == name) || ledger.of(&name).next().is_some();
        if !is_done && !is_known {
            return Err(refused(format!("`{name}` is neither open nor done")));
        }
        let marks = if is_done { marks(&open, &ledger, &name)? } else { vec![] };
        for file in open.iter().filter(|o| o.note.path == name) {
            if let Some(handed) = &file.note.dump {
                let (key, note) = give_up(&to, config, handed)?;
                to.notes.insert(key, note);
            }
            to.parts.remove(&part_of(&file.id));
            to.notes.remove(&open_key(&file.id));
        }
        to.notes.retain(|key, _| !is_ledger_key(key));
        let is_kept = |e: &&Entry| (is_done || e.path != name) && marks.iter().all(|mark| mark.seq != e.seq);
        let mut files: Vec<Entry> = ledger.files().filter(is_kept).cloned().collect();
        files.extend(marks);
        to.notes.extend(Ledger::notes_of(files)?);
    }
    Ok(to)
}

/// The entries that make a name done: of the open file; else of what is parked or grown, in place of their old ones; and for a
/// name of which nothing is known, of the first file that is seen there.
fn marks(open: &[OpenFile], ledger: &Ledger, name: &str) -> Result<Vec<Entry>> {
    let of_open = open.iter().filter(|o| o.note.path == name);
    let marks: Vec<Entry> = of_open.zip(ledger.next_seq()..).map(|(open, seq)| marked(name, seq, Some(open))).collect();
    if !marks.is_empty() {
        return Ok(marks);
    }
    if ledger.of(name).next().is_none() {
        return Ok(vec![marked(name, ledger.next_seq(), None)]);
    }
    let given_up = ledger.of(name).filter(|e| matches!(e.outcome, Outcome::Failed | Outcome::Grown));
    let marks: Vec<Entry> = given_up.map(|e| Entry { outcome: Outcome::Skipped, ..e.clone() }).collect();
    if marks.is_empty() {
        return Err(refused(format!("`{name}` is done")));
    }
    Ok(marks)
}

/// Of a file that is open, this file; else the first one of this name that is seen.
fn marked(name: &str, seq: u64, open: Option<&OpenFile>) -> Entry {
    Entry {
        path: name.into(),
        id: open.map(|o| o.id.clone()).unwrap_or_default(),
        seq,
        stat: open.map(|o| o.note.stat.clone()).unwrap_or_default(),
        digest: String::new(),
        text_bytes: None,
        way: open.and_then(|o| o.note.way.clone()),
        outcome: Outcome::Marked,
        code: None,
        rows: open.map_or(0, |o| o.place.row),
        rejected: open.map_or(0, |o| o.note.rejected),
        line: open.map_or(0, |o| o.place.line),
        archive: None,
        came: None,
        came_again: None,
        read_to: None,
    }
}

impl Entry {
    /// Whether the mark of this entry is for the file as it stands there now.
    pub fn marks(&self, now: &ObjectStat) -> bool {
        let is_of_any = self.stat == ObjectStat::default();
        // the same file, also when somebody wrote on in it, or one that was put back with its time
        let is_this = self.stat.is_same_file(now) || (self.stat.size, self.stat.mtime) == (now.size, now.mtime);
        self.outcome == Outcome::Marked && (is_of_any || is_this)
    }
}

/// A checkpoint does not say which split it is of, but the files in it do.
fn check_split(config: &CsvDropsConfig, open: &[OpenFile], ledger: &Ledger, name: &str) -> Result<()> {
    let known = open.iter().map(|o| o.note.path.as_str()).chain(ledger.files().map(|e| e.path.as_str())).next();
    let (wanted, Some(found)) = (split_of(name, config.splits), known.map(|k| split_of(k, config.splits))) else {
        return Ok(());
    };
    if wanted == found {
        return Ok(());
    }
    let message = format!("`{name}` is a file of split {wanted}, and this is split {found}");
    Err(refused(message).help(format!("say which split is meant: `--split {wanted}`")))
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
    if let Some(handed) = &open.note.dump {
        let (row, all) = (grouped(place.row), grouped(handed.through));
        return PartView {
            part: open.note.path.clone(),
            position: place.to_position().to_string(),
            meaning: format!("a full dump, {row} of {all} changes and refused rows handed on"),
        };
    }
    let read = match open.note.is_packed {
        false => format!("{} of {}", bytes(place.byte), bytes(open.note.stat.size)),
        // how much text there is nobody knows before its end
        true => format!("{} of its text", bytes(place.byte)),
    };
    PartView {
        // by its name, as the finished ones; two files under one name are not open at once
        part: open.note.path.clone(),
        position: place.to_position().to_string(),
        meaning: format!("{} read, {read}{}", rows(place.row), rejected(open.note.rejected)),
    }
}

fn rows(count: u64) -> String {
    format!("{} row{}", grouped(count), if count == 1 { "" } else { "s" })
}

fn finished_view(entry: &Entry) -> PartView {
    let rows = || format!("{}, {}{}", rows(entry.rows), bytes(entry.stat.size), rejected(entry.rejected));
    let (position, meaning) = match entry.outcome {
        Outcome::Loaded => ("done", rows()),
        Outcome::Failed => ("failed", format!("{} after {}", entry.code.as_deref().unwrap_or("parked"), rows())),
        Outcome::Skipped => ("done", by_hand(entry, "not read")),
        Outcome::Grown => ("grown", "what was appended after it was read is not read".into()),
        Outcome::Marked => ("done", by_hand(entry, "not seen yet")),
    };
    PartView { part: entry.path.clone(), position: position.into(), meaning }
}

fn by_hand(entry: &Entry, unread: &str) -> String {
    match entry.rows {
        0 => format!("set by hand, {unread}"),
        rows => format!("set by hand, the rest after {} rows is not read", grouped(rows)),
    }
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
