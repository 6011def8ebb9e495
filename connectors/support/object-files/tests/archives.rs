//! Zip archives, honest and not, and what Python's standard library packs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod packing;

use packing::{Dribble, Packed, ZipEntry, pack, read_in_pieces, zip};
use std::process::Command;
use unbatch_object_files::{Fault, Layers, RawBytes, RawFile, TextError, TextReader};
use unbatch_test_harness::not_run;

fn open(archive: &[u8], entry: Option<&str>) -> Result<TextReader, TextError> {
    let layers = Layers { entry: entry.map(str::to_owned), ..Layers::default() };
    TextReader::open(Box::new(RawBytes::new(archive.to_vec())), "a.zip", &layers)
}

/// The text, or code and message of the fault.
fn read(archive: &[u8], entry: Option<&str>) -> Result<String, (&'static str, String)> {
    let done = open(archive, entry).map_err(|e| (vec![], e)).and_then(|reader| read_in_pieces(reader, 11));
    match done {
        Ok(text) => Ok(String::from_utf8(text).unwrap()),
        Err((_, TextError::Bad(Fault { code, message, .. }))) => Err((code, message)),
        Err((_, TextError::Failed(error))) => Err((error.code_text().unwrap(), error.one_line())),
    }
}

#[track_caller]
fn check_fault(archive: &[u8], entry: Option<&str>, code: &str, words: &str) {
    let (got, message) = read(archive, entry).expect_err(words);
    assert!(got == code && message.contains(words), "{got}: {message}");
}

fn data(name: &str) -> ZipEntry {
    ZipEntry::deflated(name, format!("in {name}\n").as_bytes())
}

#[test]
fn the_only_data_entry_or_the_one_that_is_named() {
    let folder = ZipEntry::stored("prices/", b"");
    let mac = data("__MACOSX/prices/._a.csv");
    let one = zip(&[folder.clone(), data("prices/a.csv"), mac, data("prices/.DS_Store")]);
    assert_eq!(read(&one, None).unwrap(), "in prices/a.csv\n");
    assert_eq!(open(&one, None).unwrap().found().entry.as_deref(), Some("prices/a.csv"));
    let three = zip(&[folder, data("prices/a.csv"), data("prices/b.csv"), data("readme.txt")]);
    check_fault(&three, None, "archive_entries", "has 3 entries of data (prices/a.csv, prices/b.csv, readme.txt)");
    assert_eq!(read(&three, Some("*/b.csv")).unwrap(), "in prices/b.csv\n");
    assert_eq!(read(&three, Some("*.txt")).unwrap(), "in readme.txt\n");
    assert_eq!(read(&three, Some("prices/a.csv")).unwrap(), "in prices/a.csv\n");
    check_fault(&three, Some("*.csv"), "archive_entries", "has 2 entries that `entry` takes");
    check_fault(&three, Some("c.csv"), "archive_entries", "no entry that `entry` takes");
    check_fault(&three, Some("["), "U0311", "`entry` is not a pattern");
    check_fault(&zip(&[]), None, "archive_entries", "no entry of data");
}

#[test]
fn every_method_that_is_read() {
    let content = b"a,b\n1,2\n";
    for kind in [Packed::Bz2, Packed::Zst, Packed::Xz] {
        assert_eq!(read(&zip(&[ZipEntry::packed("a.csv", kind, content)]), None).unwrap().as_bytes(), content);
    }
    assert_eq!(read(&zip(&[ZipEntry::stored("a.csv", content)]), None).unwrap().as_bytes(), content);
    assert_eq!(read(&zip(&[ZipEntry::stored("a.csv", b"")]), None).unwrap(), "");
    assert_eq!(read(&zip(&[ZipEntry::deflated("a.csv", b"")]), None).unwrap(), "");
    let implode = ZipEntry { method: 6, ..ZipEntry::stored("a.csv", content) };
    check_fault(&zip(&[implode]), None, "compression_unsupported", "method 6");
}

#[test]
fn lies_are_refused() {
    let good = ZipEntry::deflated("a.csv", b"a,b\n1,2\n");
    let lie = |change: fn(&mut ZipEntry)| {
        let mut entry = good.clone();
        change(&mut entry);
        zip(&[entry])
    };
    check_fault(&lie(|e| e.flags = 1), None, "archive_encrypted", "encrypted");
    check_fault(&lie(|e| e.size -= 1), None, "damaged_content", "length or checksum");
    check_fault(&lie(|e| e.size += 1), None, "damaged_content", "length or checksum");
    check_fault(&lie(|e| e.crc ^= 1), None, "damaged_content", "length or checksum");
    check_fault(&lie(|e| e.packed.push(0)), None, "trailing_bytes", "follows");
    check_fault(&lie(|e| e.packed.truncate(e.packed.len() - 1)), None, "truncated_content", "ends in the middle");
    let stored = ZipEntry { size: 3, ..ZipEntry::stored("a.csv", b"a,b\n") };
    check_fault(&zip(&[stored]), None, "damaged_content", "two sizes");
    check_fault(&zip(&[data("a.csv.gz")]), None, "nested_compression", "once more");
    check_fault(&zip(&[ZipEntry::stored("a.csv", &pack(Packed::Gz, b"a"))]), None, "nested_compression", "once more");
    let archive = zip(std::slice::from_ref(&good));
    check_fault(&[archive.as_slice(), b"\0"].concat(), None, "truncated_content", "cut off, or something follows");
    check_fault(&archive[..archive.len() - 1], None, "truncated_content", "cut off, or something follows");
    // something in front moves everything, which the directory does not know
    let moved = [b"PK\x03\x04".as_slice(), &archive].concat();
    check_fault(&moved, None, "damaged_content", "directory is not where");
    // the directory's own name of the entry is another one than the entry's
    let mut renamed = archive.clone();
    let at = renamed.windows(5).rposition(|w| w == b"a.csv").unwrap();
    renamed[at] = b'b';
    check_fault(&renamed, None, "damaged_content", "disagree");
}

#[test]
fn an_archive_is_read_from_a_slow_store_by_its_parts() {
    let entries: Vec<_> = (0..300).map(|n| data(&format!("{n}.csv"))).collect();
    let layers = Layers { entry: Some("217.csv".into()), ..Layers::default() };
    let reader = TextReader::open(Box::new(Dribble::new(zip(&entries), 5)), "a.zip", &layers).unwrap();
    assert_eq!(read_in_pieces(reader, 4).unwrap(), b"in 217.csv\n");
}

const PYTHON: &str = r#"
import bz2, gzip, io, lzma, sys, zipfile
folder = sys.argv[1]
content = b"".join(b"%d;name of %d;%d.50\n" % (i, i, i) for i in range(40000))
def put(name, data): open(f"{folder}/{name}", "wb").write(data)
put("content", content)
put("1.gz", gzip.compress(content))
put("2.gz", gzip.compress(content[:1000]) + gzip.compress(content[1000:], 1))
put("3.bz2", bz2.compress(content))
put("4.bz2", bz2.compress(content[:7]) + bz2.compress(content[7:]))
put("5.xz", lzma.compress(content, check=lzma.CHECK_SHA256))
put("6.xz", lzma.compress(content[:7], preset=9) + lzma.compress(content[7:], check=lzma.CHECK_CRC32))
for n, method in [(7, zipfile.ZIP_STORED), (8, zipfile.ZIP_DEFLATED), (9, zipfile.ZIP_BZIP2)]:
    with zipfile.ZipFile(f"{folder}/{n}.zip", "w", method) as z:
        z.writestr("folder/", b"")
        z.writestr("folder/größe.csv", content)
        z.comment = b"a comment with PK\x05\x06 in it, and more than 22 bytes"
class Pipe(io.RawIOBase):
    def __init__(self, file): self.file = file
    def writable(self): return True
    def write(self, b): return self.file.write(b)
with open(f"{folder}/a.zip", "wb") as f, zipfile.ZipFile(Pipe(f), "w", zipfile.ZIP_DEFLATED) as z:
    with z.open("streamed.csv", "w", force_zip64=True) as e: e.write(content)
with zipfile.ZipFile(f"{folder}/b.zip", "w", zipfile.ZIP_DEFLATED) as z:
    with z.open("zip64.csv", "w", force_zip64=True) as e: e.write(content)
"#;

#[test]
fn what_python_packs_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("python3").args(["-c", PYTHON]).arg(folder.path()).output();
    match made {
        Ok(made) if made.status.success() => {}
        Ok(made) => panic!("python3 failed: {}", String::from_utf8_lossy(&made.stderr)),
        Err(e) => return not_run("what_python_packs_is_read", &format!("python3 does not start: {e}")),
    }
    let content = std::fs::read(folder.path().join("content")).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 12);
    for name in names.iter().filter(|name| *name != "content") {
        let path = folder.path().join(name);
        let raw = RawFile::new(std::fs::File::open(&path).unwrap(), &path).unwrap();
        let reader = TextReader::open(Box::new(raw), name.to_str().unwrap(), &Layers::default());
        let reader = reader.unwrap_or_else(|e| panic!("{name:?}: {e}"));
        let text = read_in_pieces(reader, 100_000).unwrap_or_else(|(_, e)| panic!("{name:?}: {e}"));
        assert!(text == content, "{name:?} has another content");
    }
}
