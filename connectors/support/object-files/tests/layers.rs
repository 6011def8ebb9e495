//! From packed bytes to text: what comes out is what went in, or an error, and never less in silence.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod packing;

use packing::{Dribble, KINDS, Packed, lines, pack, read_all, read_in_pieces, text_of};
use rand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use unbatch_object_files::{
    Compression, Fault, Layers, Limits, RawBytes, RawRead, TextEncoding, TextError, TextReader,
};
use unbatch_test_harness::{seed, wait_until};

fn code(result: &Result<Vec<u8>, (Vec<u8>, TextError)>) -> &str {
    match result {
        Ok(_) => "ok",
        Err((_, TextError::Bad(Fault { code, .. }))) => code,
        Err((_, TextError::Failed(error))) => panic!("not a fault: {error:?}"),
    }
}

#[test]
fn every_kind_gives_back_what_went_in_whatever_the_pieces() {
    let mut rng = seed().rng();
    for size in [0, 1, 15, 16, 17, 5_000, 70_000, 3_000_000] {
        let content = lines(&mut rng, size);
        for kind in KINDS {
            let packed = pack(kind, &content);
            assert_eq!(text_of(kind, &packed), content, "{kind:?} {size}");
            if size < 100_000 {
                let raw = Dribble::new(packed, rng.random_range(1..9));
                let reader = TextReader::open(Box::new(raw), kind.name(), &Layers::default()).unwrap();
                assert_eq!(
                    read_in_pieces(reader, rng.random_range(1..3000)).unwrap(),
                    content,
                    "{kind:?} {size} dribbled"
                );
            }
        }
    }
}

#[test]
fn several_members_are_one_file() {
    let mut rng = seed().rng();
    for kind in KINDS.into_iter().filter(|kind| *kind != Packed::Zip && *kind != Packed::Plain) {
        let parts: Vec<Vec<u8>> = [3_000, 0, 200_000, 1].into_iter().map(|size| lines(&mut rng, size)).collect();
        let packed: Vec<u8> = parts.iter().flat_map(|part| pack(kind, part)).collect();
        assert_eq!(text_of(kind, &packed), parts.concat(), "{kind:?}");
        for garbage in [&b"\0"[..], b"x", b"\x1f", b"some text that follows\n"] {
            let got = read_all(kind, &[packed.as_slice(), garbage].concat());
            assert_eq!(code(&got), "trailing_bytes", "{kind:?} and {garbage:?}");
            assert_eq!(got.unwrap_err().0, parts.concat(), "what is before it is handed out");
        }
    }
    let xz = pack(Packed::Xz, b"a\n");
    let padded = [xz.as_slice(), &[0; 8], &xz, &[0; 4]].concat();
    assert_eq!(text_of(Packed::Xz, &padded), b"a\na\n", "xz may be padded by fours");
    assert_eq!(code(&read_all(Packed::Xz, &[xz.as_slice(), &[0; 6]].concat())), "trailing_bytes");
}

/// Property: cut anywhere, the text so far is a beginning of the content, and the end is an error.
#[test]
fn a_file_that_is_cut_off_is_never_short_in_silence() {
    let mut rng = seed().rng();
    for kind in KINDS.into_iter().filter(|kind| *kind != Packed::Plain) {
        let small = lines(&mut rng, 300);
        let packed = pack(kind, &small);
        let large = lines(&mut rng, 400_000);
        let packed_large = pack(kind, &large);
        let cuts = (0..packed.len()).map(|cut| (&packed, &small, cut));
        let random: Vec<_> = (0..8).map(|_| rng.random_range(0..packed_large.len())).collect();
        for (packed, content, cut) in cuts.chain(random.into_iter().map(|cut| (&packed_large, &large, cut))) {
            let got = read_all(kind, &packed[..cut]);
            let (text, error) = got.expect_err(&format!("{kind:?} cut at {cut} of {} is an error", packed.len()));
            assert!(content.starts_with(&text), "{kind:?} cut at {cut}: {error}");
        }
    }
}

/// Property: with any bit turned, what comes out is the content (the bit meant nothing, as in a time) or an error.
#[test]
fn a_damaged_file_is_never_read_as_another() {
    let mut rng = seed().rng();
    for kind in KINDS.into_iter().filter(|kind| *kind != Packed::Plain) {
        let small = lines(&mut rng, 200);
        let packed = pack(kind, &small);
        let large = lines(&mut rng, 100_000);
        let packed_large = pack(kind, &large);
        let bits = (rng.random_range(0..5)..packed.len() * 8).step_by(5).map(|bit| (&packed, &small, bit));
        let random: Vec<_> = (0..20).map(|_| rng.random_range(0..packed_large.len() * 8)).collect();
        for (packed, content, bit) in bits.chain(random.into_iter().map(|bit| (&packed_large, &large, bit))) {
            let mut turned = packed.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            if let Ok(text) = read_all(kind, &turned) {
                assert!(text == *content, "{kind:?} with bit {bit} turned gives other text");
            }
        }
    }
}

/// Property: who reads a bad file again, in other pieces and from a store that gives others, gets the same text before the error.
#[test]
fn the_text_before_an_error_is_always_the_same() {
    let mut rng = seed().rng();
    for kind in KINDS.into_iter().filter(|kind| *kind != Packed::Plain) {
        let mut packed = pack(kind, &lines(&mut rng, 1_500_000));
        let at = rng.random_range(packed.len() / 4..packed.len() * 3 / 4);
        packed[at] ^= 0x55;
        let first = read_all(kind, &packed).expect_err("a damaged file is an error");
        for _ in 0..3 {
            let raw = Dribble::new(packed.clone(), rng.random_range(1_000..100_000));
            let reader = TextReader::open(Box::new(raw), kind.name(), &Layers::default()).unwrap();
            let again = read_in_pieces(reader, rng.random_range(100..2_000_000)).unwrap_err();
            assert!(first.0 == again.0, "{kind:?}: {} bytes and {} bytes", first.0.len(), again.0.len());
            assert_eq!(first.1.to_string(), again.1.to_string(), "{kind:?}");
        }
    }
}

/// Property: nothing that is not packed at all makes a decoder panic or go on for ever.
#[test]
fn noise_is_an_error() {
    let mut rng = seed().rng();
    for kind in KINDS.into_iter().filter(|kind| *kind != Packed::Plain) {
        let good = pack(kind, b"a,b\n1,2\n");
        for _ in 0..200 {
            let mut noise = vec![0; rng.random_range(0..400)];
            rng.fill(noise.as_mut_slice());
            let keep = rng.random_range(0..=good.len().min(12));
            let noisy = [&good[..keep], noise.as_slice()].concat();
            if let Ok(text) = read_all(kind, &noisy) {
                panic!("{kind:?}: {keep} good bytes and noise gave {} bytes of text", text.len());
            }
        }
    }
}

#[test]
fn limits_stop_bombs_and_say_so() {
    let zeros = vec![b'0'; 4 << 20];
    let limits = |change: fn(&mut Limits)| {
        let mut layers = Layers::default();
        change(&mut layers.limits);
        layers
    };
    let read = |kind: Packed, layers: &Layers| {
        let raw = RawBytes::new(pack(kind, &zeros));
        let opened = TextReader::open(Box::new(raw), kind.name(), layers).map_err(|e| (vec![], e));
        code(&opened.and_then(|reader| read_in_pieces(reader, 1 << 16))).to_owned()
    };
    for kind in [Packed::Gz, Packed::Zst, Packed::Bz2, Packed::Xz, Packed::Zip] {
        assert_eq!(read(kind, &Layers::default()), "ok", "{kind:?}: small ones pass");
        let low = limits(|l| (l.ratio_floor, l.ratio_max) = (1 << 20, 100));
        assert_eq!(read(kind, &low), "ratio_too_large", "{kind:?}");
        assert_eq!(read(kind, &limits(|l| l.decoded_bytes_max = 1 << 20)), "content_too_large", "{kind:?}");
    }
    let small_window = limits(|l| l.window_bytes_max = 64 << 10);
    for kind in [Packed::Zst, Packed::Xz] {
        assert_eq!(read(kind, &small_window), "window_too_large", "{kind:?}");
    }
}

#[test]
fn layers_are_chosen_by_configuration_name_and_content() {
    let open = |name: &str, bytes: &[u8], compression| {
        let layers = Layers { compression, ..Layers::default() };
        TextReader::open(Box::new(RawBytes::new(bytes.to_vec())), name, &layers)
            .map_err(|e| (vec![], e))
            .and_then(|reader| read_in_pieces(reader, 7))
    };
    let gz = pack(Packed::Gz, b"a\n");
    assert_eq!(open("x.csv", &gz, Compression::Gz).unwrap(), b"a\n");
    assert_eq!(code(&open("x.csv", &gz, Compression::Auto)), "compression_mismatch");
    assert_eq!(code(&open("x.gz", b"a\n", Compression::Auto)), "compression_mismatch");
    assert_eq!(code(&open("x.gz", b"a\n", Compression::Gz)), "damaged_content");
    assert_eq!(open("x.gz", b"a\n", Compression::None).unwrap(), b"a\n");
    assert_eq!(code(&open("x.gz", &pack(Packed::Gz, &gz), Compression::Auto)), "nested_compression");
    assert_eq!(
        code(&open("x.gz", &pack(Packed::Gz, &pack(Packed::Zip, b"a")), Compression::Auto)),
        "nested_compression"
    );
}

#[test]
fn encodings_and_marks_through_every_kind() {
    let check = |label: &str, bytes: &[u8], want: &[u8], start: u64, notice: bool| {
        let layers = Layers { encoding: TextEncoding::parse(label).unwrap(), ..Layers::default() };
        for kind in KINDS {
            let raw = Box::new(RawBytes::new(pack(kind, bytes)));
            let reader = TextReader::open(raw, kind.name(), &layers).unwrap();
            assert_eq!((reader.found().start, reader.offset()), (start, start), "{label} {kind:?}");
            assert_eq!(reader.found().notice.is_some(), notice, "{label} {kind:?}");
            assert_eq!(read_in_pieces(reader, 3).unwrap(), want, "{label} {kind:?}");
        }
    };
    check("utf-8", "a;é\n".as_bytes(), "a;é\n".as_bytes(), 0, false);
    check("utf-8", b"\xef\xbb\xbfa\n", b"a\n", 3, false);
    check("latin1", b"\xef\xbb\xbf\xc3\xa9\n", "é\n".as_bytes(), 3, true);
    check("utf-8", b"\xff\xfea\0\n\0", b"a\n", 0, true);
    check("utf-16be", b"\xfe\xff\0a\0\n", b"a\n", 0, false);
    check("utf-16be", b"\0a\0\n", b"a\n", 0, false);
    check("windows-1252", b"\x80;\xe9\n", "€;é\n".as_bytes(), 0, false);
    // what is not UTF-8 passes in UTF-8, for the reader above to refuse
    check("utf-8", b"a\xff\n", b"a\xff\n", 0, false);
    check("utf-8", b"", b"", 0, false);
    check("utf-16le", b"", b"", 0, false);
}

#[test]
fn a_place_in_the_middle_is_found_again() {
    let mut rng = seed().rng();
    let text: String = (0..60_000).map(|row| format!("{row};größe;{}\n", row * 7)).collect();
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    for (label, bytes) in [("utf-8", text.as_bytes()), ("windows-1252", latin.as_slice())] {
        let layers = Layers { encoding: TextEncoding::parse(label).unwrap(), ..Layers::default() };
        for kind in KINDS {
            let packed = pack(kind, bytes);
            let open = || TextReader::open(Box::new(RawBytes::new(packed.clone())), kind.name(), &layers).unwrap();
            for _ in 0..4 {
                let at = rng.random_range(0..=text.len() as u64);
                let mut skipped = open();
                let mut head = vec![0; rng.random_range(0..200)];
                let n = skipped.read_text(&mut head).unwrap() as u64;
                let at = at.max(n);
                assert_eq!(skipped.skip_to(at).unwrap(), at);
                assert_eq!(
                    read_in_pieces(skipped, 1 << 18).unwrap(),
                    text.as_bytes()[at as usize..],
                    "{label} {kind:?}"
                );
                let (mut through, mut seen) = (open(), Vec::new());
                assert_eq!(through.read_through(at, &mut |part| seen.extend_from_slice(part)).unwrap(), at);
                assert_eq!(seen, text.as_bytes()[..at as usize]);
            }
            let (mut short, end) = (open(), text.len() as u64);
            assert_eq!(short.skip_to(end + 1).unwrap(), end, "{label} {kind:?}: a shorter text than was read before");
        }
    }
}

/// A raw file that tells when it is dropped, and how much of it was read.
struct Watched(RawBytes, Arc<Seen>);

#[derive(Default)]
struct Seen {
    is_closed: AtomicBool,
    bytes: AtomicUsize,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.1.is_closed.store(true, Ordering::Relaxed);
    }
}

impl RawRead for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> unbatch_api::Result<usize> {
        let n = self.0.read(buffer)?;
        self.1.bytes.fetch_add(n, Ordering::Relaxed);
        Ok(n)
    }
    fn seek(&mut self, offset: u64) -> unbatch_api::Result<()> {
        self.0.seek(offset)
    }
    fn size(&self) -> u64 {
        self.0.size()
    }
    fn is_near(&self) -> bool {
        false
    }
}

#[test]
fn a_reader_that_is_dropped_closes_its_file() {
    let packed = pack(Packed::Gz, &vec![b'a'; 20 << 20]);
    for taken in [0, 10, 100_000, 5 << 20] {
        let seen = Arc::new(Seen::default());
        let raw = Watched(RawBytes::new(packed.clone()), seen.clone());
        let mut reader = TextReader::open(Box::new(raw), "a.gz", &Layers::default()).unwrap();
        reader.skip_to(taken).unwrap();
        drop(reader);
        wait_until(Duration::from_secs(30), "the file to be closed", || seen.is_closed.load(Ordering::Relaxed));
    }
}

#[test]
fn a_reader_that_is_not_asked_reads_two_pieces_ahead_and_no_more() {
    let latin = Layers { encoding: TextEncoding::parse("latin1").unwrap(), ..Layers::default() };
    for layers in [Layers::default(), latin] {
        let seen = Arc::new(Seen::default());
        let raw = Watched(RawBytes::new(vec![b'a'; 20 << 20]), seen.clone());
        let mut reader = TextReader::open(Box::new(raw), "a.csv", &layers).unwrap();
        let mut buffer = vec![0; 100_000];
        while reader.offset() < 100_000 {
            assert!(reader.read_text(&mut buffer).unwrap() > 0);
        }
        let read = || seen.bytes.load(Ordering::Relaxed);
        wait_until(Duration::from_secs(30), "two pieces to be decoded", || read() >= (64 << 10) + (2 << 20));
        drop(reader);
        wait_until(Duration::from_secs(30), "the file to be closed", || seen.is_closed.load(Ordering::Relaxed));
        assert!(read() <= (64 << 10) + (2 << 20) + (320 << 10), "{} bytes were read", read());
    }
}
