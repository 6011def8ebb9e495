//! What is looked at of a file: its beginning and its end, and whether that is text.

use crate::content::BOM;
use crate::folder::matcher;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use unbatch_api::{Error, Result};
use unbatch_object_files::{Fault, Layers, RawFile, RawRead, TextEncoding, TextError, TextReader, local_error};

/// Most that is read of a file from its beginning, and of what is behind that from its end.
pub const HEAD_BYTES: u64 = 1 << 20;
pub const TAIL_BYTES: u64 = 64 << 10;
/// How much of a file tells UTF-16 without a mark.
const WIDE_BYTES: usize = 4096;

/// Parts of one file.
#[derive(Clone, Debug)]
pub struct Excerpt {
    /// As it was given.
    pub path: PathBuf,
    /// The name in its folder.
    pub name: String,
    /// What the file seems to be written in, if it is neither UTF-8 nor says it itself.
    pub encoding: Option<TextEncoding>,
    /// Text from the beginning, without a byte order mark. Ends anywhere unless `is_whole`.
    pub head: Vec<u8>,
    pub is_whole: bool,
    /// From the beginning of a line to the end of the file; empty when there is nothing behind the head.
    pub tail: Vec<u8>,
}

impl Excerpt {
    /// Reads the file's two ends.
    pub fn read(path: &Path) -> Result<Self> {
        let name = name_of(path)?;
        let metadata = std::fs::metadata(path).map_err(|e| unreadable(path, e))?;
        if metadata.is_dir() {
            return Err(Error::misconfigured("sampling a file failed: it is a folder")
                .code("U0230")
                .with("path", path.display())
                .help("name files in it, such as its newest: the pipeline reads the whole folder then"));
        }
        if !metadata.is_file() {
            return Err(Error::misconfigured("sampling a file failed: it is no regular file")
                .code("U0230")
                .with("path", path.display())
                .help("write its content into a file and name that"));
        }
        let open = || -> Result<Box<dyn RawRead>> {
            let file = File::open(path).map_err(|e| unreadable(path, e))?;
            Ok(Box::new(RawFile::new(file, path)?))
        };
        let excerpt = Self { path: path.to_owned(), name, ..Self::empty() };
        excerpt.filled(&open, |head, tail| {
            let mut file = File::open(path)?;
            Self::ends(&mut file, metadata.len(), head, tail)
        })
    }

    /// A whole file that is in memory.
    #[cfg(test)]
    pub fn of(name: &str, bytes: &[u8]) -> Result<Self> {
        let open = || -> Result<Box<dyn RawRead>> { Ok(Box::new(unbatch_object_files::RawBytes::new(bytes.to_vec()))) };
        let excerpt = Self { path: name.into(), name: name.into(), ..Self::empty() };
        excerpt.filled(&open, |head, _| {
            head.extend_from_slice(bytes);
            Ok(true)
        })
    }

    fn empty() -> Self {
        Self { path: PathBuf::new(), name: String::new(), encoding: None, head: vec![], is_whole: true, tail: vec![] }
    }

    /// Reads the text by what the file says of itself; if that gives no text, by the encoding that it then has as a rule.
    fn filled(
        mut self,
        open: &dyn Fn() -> Result<Box<dyn RawRead>>,
        ends: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>) -> std::io::Result<bool>,
    ) -> Result<Self> {
        let text = self.text(open, TextEncoding::default())?;
        if text.is_plain() {
            let (mut head, mut tail) = (Vec::new(), Vec::new());
            self.is_whole = ends(&mut head, &mut tail).map_err(|e| unreadable(&self.path, e))?;
            (self.head, self.tail) = (head, tail);
        } else {
            self.take(text)?;
        }
        let guess = match is_wide(&self.head) {
            Some(label) => Some(label),
            None if !self.is_utf8() && !self.head.contains(&0) => Some("windows-1252"),
            None => None,
        };
        if let Some(encoding) = guess.and_then(|label| TextEncoding::parse(label).ok()) {
            let text = self.text(open, encoding)?;
            self.take(text)?;
            self.encoding = Some(encoding);
        }
        self.checked()
    }

    fn text(&self, open: &dyn Fn() -> Result<Box<dyn RawRead>>, encoding: TextEncoding) -> Result<TextReader> {
        let layers = Layers { encoding, ..Layers::default() };
        TextReader::open(open()?, &self.name, &layers).map_err(|error| self.no_content(error))
    }

    /// The beginning of a text that has no end to look at before it is decoded.
    fn take(&mut self, mut text: TextReader) -> Result<()> {
        let most = (HEAD_BYTES + TAIL_BYTES) as usize;
        let (mut head, mut done) = (vec![0; most], 0);
        self.is_whole = loop {
            match text.read_text(&mut head[done..]).map_err(|error| self.no_content(error))? {
                0 => break done < most,
                n => done += n,
            }
        };
        head.truncate(done);
        (self.head, self.tail) = (head, Vec::new());
        Ok(())
    }

    fn no_content(&self, error: TextError) -> Error {
        match error {
            TextError::Failed(error) => error,
            TextError::Bad(Fault { code, message, .. }) => {
                let help = "a workbook (.xlsx) has to be saved as CSV; `unbatch explain` has more on the reason";
                self.no_text(&message).with("reason", code).help(help)
            }
        }
    }

    fn is_utf8(&self) -> bool {
        // a character may be cut where the excerpt ends
        let head = match std::str::from_utf8(&self.head) {
            Ok(_) => true,
            Err(e) => !self.is_whole && e.error_len().is_none(),
        };
        head && std::str::from_utf8(&self.tail).is_ok()
    }

    /// Nothing but white space.
    pub fn is_blank(&self) -> bool {
        self.is_whole && self.head.iter().all(u8::is_ascii_whitespace)
    }

    /// Whether the head is all.
    fn ends(file: &mut File, size: u64, head: &mut Vec<u8>, tail: &mut Vec<u8>) -> std::io::Result<bool> {
        let most = if size <= HEAD_BYTES + TAIL_BYTES { HEAD_BYTES + TAIL_BYTES } else { HEAD_BYTES };
        file.by_ref().take(most).read_to_end(head)?;
        if size <= most {
            return Ok(true);
        }
        file.seek(SeekFrom::Start(size - TAIL_BYTES))?;
        file.take(TAIL_BYTES).read_to_end(tail)?;
        // it begins anywhere in a line
        let begin = memchr::memchr(b'\n', tail).map_or(tail.len(), |at| at + 1);
        tail.drain(..begin);
        Ok(false)
    }

    /// Refuses what is no text, with the place of the first byte that is none.
    fn checked(mut self) -> Result<Self> {
        if let Some(at) = memchr::memchr(0, &self.head) {
            let help =
                "if it is a CSV file, it is damaged: deliver it again; other kinds of files have to be exported as CSV";
            return Err(self.at(self.no_text("there is a zero byte, which no text has"), at).help(help));
        }
        if let Err(e) = std::str::from_utf8(&self.head) {
            // a character may be cut where the excerpt ends
            if self.is_whole || e.error_len().is_some() {
                return Err(self.at(self.not_utf8(), e.valid_up_to()));
            }
            self.head.truncate(e.valid_up_to());
        }
        if memchr::memchr(0, &self.tail).is_some() || std::str::from_utf8(&self.tail).is_err() {
            return Err(self.not_utf8().with("place", "within its last 64 KiB"));
        }
        if self.head.starts_with(BOM) {
            self.head.drain(..BOM.len());
        }
        Ok(self)
    }

    fn not_utf8(&self) -> Error {
        self.no_text("it has bytes that are no characters in the encoding that it seems to have")
            .help("if it is a CSV file, it is damaged, or put together of several; otherwise export it as CSV")
    }

    fn no_text(&self, message: &str) -> Error {
        Error::misconfigured(format!("sampling a file failed: {message}"))
            .code("U0231")
            .with("file", self.path.display())
    }

    /// With line and offset of a byte of the head.
    fn at(&self, error: Error, byte: usize) -> Error {
        let line = memchr::memchr_iter(b'\n', &self.head[..byte]).count() + 1;
        error.with("line", line).with("byte", byte)
    }
}

/// Every second byte of the beginning is zero, more or less: which UTF-16 that is.
fn is_wide(bytes: &[u8]) -> Option<&'static str> {
    let start = &bytes[..bytes.len().min(WIDE_BYTES)];
    let zeros = |from: usize| start.iter().skip(from).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    (even.max(odd) * 5 > start.len()).then_some(if odd > even { "utf-16le" } else { "utf-16be" })
}

/// As the source will know it.
fn name_of(path: &Path) -> Result<String> {
    let odd = |why: &str, help: &str| {
        let message = format!("sampling a file failed: {why}");
        Err(Error::misconfigured(message).code("U0230").with("path", path.display()).help(help))
    };
    match path.file_name().map(|name| name.to_str()) {
        None => odd("there is no file name in the path", "name a CSV file"),
        Some(None) => odd("its name is not UTF-8, and such files are never read", "rename it"),
        Some(Some(name)) if name.starts_with('.') => {
            odd("its name begins with a dot, and such files are never read", "rename it")
        }
        Some(Some(name)) => Ok(name.to_owned()),
    }
}

/// A pattern reaches us when it stands in quotes, or when the shell found no file for it.
fn not_there(path: &Path) -> &'static str {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.contains(['*', '?', '[', '{']) {
        return "check its spelling and the current folder";
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let takes = |found: &str| matcher(name).is_ok_and(|glob| glob.is_match(found));
    let mut names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    match names.any(|found| found.to_str().is_some_and(takes)) {
        true => "write it without quotes so that the shell expands it",
        false => "it is a pattern that no file fits: check its spelling and the current folder",
    }
}

fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    match cause.kind() {
        ErrorKind::NotFound => Error::misconfigured("sampling a file failed: it is not there")
            .code("U0230")
            .with("path", path.display())
            .help(not_there(path)),
        ErrorKind::PermissionDenied => Error::misconfigured("sampling a file failed: this user may not read it")
            .code("U0230")
            .with("path", path.display())
            .help("give this user, and the one that will run the worker, the right to read it"),
        _ => local_error("sampling a file failed", path, cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &[&str]) {
        let error = Excerpt::of("a.csv", bytes).unwrap_err();
        assert_eq!(error.code_text(), Some("U0231"));
        let text = format!("{error:?}");
        for part in expected {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_place_and_a_remedy() {
        check(b"a,b\n1,\x002\n", &["zero byte", "line 2", "byte 6", "damaged"]);
        check(b"\x1f\x8b\x08\0\0", &["compression_mismatch"]);
        check(b"PK\x03\x04\x14\0", &["zip", ".xlsx"]);
        check(b"a\0,\0b\0\n\0\0\xd8\0\xd8", &["damaged"]);
    }

    #[test]
    fn other_encodings_are_found() {
        let read = |bytes: &[u8]| {
            let excerpt = Excerpt::of("a.csv", bytes).unwrap();
            (String::from_utf8(excerpt.head).unwrap(), excerpt.encoding.map(TextEncoding::name))
        };
        assert_eq!(read(b"a,b\n1,gr\xfc\xdfe\n"), ("a,b\n1,gr\u{fc}\u{df}e\n".into(), Some("windows-1252")));
        assert_eq!(read(b"\xff\xfea\0,\0b\0"), ("a,b".into(), None), "it says it itself");
        assert_eq!(read(b"a\0,\0b\0\n\0"), ("a,b\n".into(), Some("UTF-16LE")));
        assert_eq!(read(b"\0a\0,\0b\0\n"), ("a,b\n".into(), Some("UTF-16BE")));
    }

    #[test]
    fn a_mark_of_byte_order_is_skipped() {
        assert_eq!(Excerpt::of("a.csv", b"\xef\xbb\xbfa,b\n1,2\n").unwrap().head, b"a,b\n1,2\n");
    }

    #[test]
    fn only_the_ends_of_a_large_file_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.csv");
        // rows of 11 bytes; the head ends inside a character
        let row = "1234567,é\n";
        let count = 3 * HEAD_BYTES as usize / row.len();
        std::fs::write(&path, row.repeat(count)).unwrap();
        let excerpt = Excerpt::read(&path).unwrap();
        assert!(!excerpt.is_whole && excerpt.head.len() as u64 <= HEAD_BYTES);
        assert!(excerpt.tail.len() as u64 <= TAIL_BYTES && excerpt.tail.starts_with(b"1234567"));
        std::fs::write(&path, row.repeat(10)).unwrap();
        let excerpt = Excerpt::read(&path).unwrap();
        assert!(excerpt.is_whole && excerpt.tail.is_empty() && excerpt.head.len() == 10 * row.len());
    }

    #[test]
    fn what_cannot_be_looked_at_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let code = |path: &Path| {
            let error = Excerpt::read(path).unwrap_err();
            assert_eq!(error.code_text(), Some("U0230"), "{error:?}");
            assert!(error.remedy().is_some());
            error.message().to_owned()
        };
        assert!(code(&folder.path().join("no.csv")).contains("not there"));
        let helped = |name: &str| Excerpt::read(&folder.path().join(name)).unwrap_err().remedy().unwrap().to_owned();
        std::fs::write(folder.path().join("a_1.csv"), "a,b\n").unwrap();
        assert_eq!(helped("a_*.csv"), "write it without quotes so that the shell expands it");
        assert!(helped("b_*.csv").contains("a pattern that no file fits"));
        assert!(helped("b_1.csv").starts_with("check its spelling"));
        assert!(code(folder.path()).contains("a folder") || code(folder.path()).contains("dot"));
        assert!(code(&folder.path().join(".hidden.csv")).contains("dot"));
    }
}
