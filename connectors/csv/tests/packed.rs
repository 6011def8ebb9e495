//! Files that are packed, or written in another encoding than UTF-8: each row once, whatever stands in between.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod harness;

use harness::{Drops, numbered, rows_of};
use serde_json::json;
use std::io::Write;
use unbatch_api::testkit::rows::row_texts;
use unbatch_api::{Bound, Checkpoint, Kind};

fn gz(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zst(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).unwrap()
}

fn at_once() -> Drops {
    Drops::new().with("match", json!("*.csv*")).with("ready_when", json!({"stable_for": "1ms"}))
}

/// Committed after every batch and opened anew there, so that every place in the file is one to go on from.
async fn in_pieces(drops: &Drops) -> Vec<String> {
    let (mut at, mut rows) = (Checkpoint::default(), Vec::new());
    loop {
        let mut run = drops.open_with(at, Bound::Once, |s| s.rows(700)).await.unwrap();
        let is_more = run.next().await.unwrap();
        run.commit().await.unwrap();
        rows.append(&mut run.rows);
        at = run.committed.clone();
        if !is_more {
            return rows;
        }
    }
}

#[tokio::test]
async fn a_packed_file_is_gone_on_with_at_any_place() {
    // several pieces of the decoder, so that a thread decodes ahead
    let text = numbered(0..2_500);
    for (name, content) in [
        ("a.csv.gz", gz(text.as_bytes())),
        ("a.csv.zst", zst(text.as_bytes())),
        ("a.csv.gz", [gz(&text.as_bytes()[..7_000]), gz(&text.as_bytes()[7_000..])].concat()),
    ] {
        let drops = at_once();
        drops.deliver(name, content);
        assert_eq!(in_pieces(&drops).await, rows_of(name, 0..2_500), "{name}");
    }
}

#[tokio::test]
async fn a_packed_file_is_known_by_its_content_and_moved_when_it_is_done() {
    let drops = at_once().with("after", json!({"move_to": "file:done/"}));
    drops.deliver("a.csv.gz", gz(numbered(0..3).as_bytes()));
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!(run.rows, rows_of("a.csv.gz", 0..3));
    assert_eq!(drops.names_in("drops").iter().filter(|name| !name.starts_with('.')).count(), 0);
    let moved = drops.names_in("done");
    assert!(moved.len() == 1 && moved[0].starts_with("a~") && moved[0].ends_with(".csv.gz"), "{moved:?}");
    // packed otherwise it is the same delivery
    drops.deliver(
        "a.csv.gz",
        [gz(b"id,text\n"), gz(numbered(0..3).trim_start_matches("id,text\n").as_bytes())].concat(),
    );
    let again = drops.once(&run.committed).await;
    assert!(again.rows.is_empty() && again.has_notice("duplicate", "a.csv.gz"), "{:?}", again.notices());
    drops.deliver("a.csv.gz", gz(numbered(3..5).as_bytes()));
    assert_eq!(drops.once(&again.committed).await.rows, rows_of("a.csv.gz", 3..5));
}

#[tokio::test]
async fn a_damaged_file_gives_its_whole_rows_and_is_parked() {
    let text = numbered(0..40_000);
    let whole = gz(text.as_bytes());
    let drops = at_once();
    drops.deliver("a.csv.gz", &whole[..whole.len() * 2 / 3]);
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!(run.codes(), ["truncated_content"]);
    let taken = run.rows.len() as u64;
    assert!(taken > 1_000 && taken < 40_000, "{taken}");
    assert_eq!(run.rows, rows_of("a.csv.gz", 0..taken));
    assert_eq!(run.reports.parked_count(), 1);

    // delivered again, whole: what was taken is a part of another delivery
    drops.deliver("a.csv.gz", &whole);
    let mended = drops.once(&run.committed).await;
    assert_eq!(mended.rows, rows_of("a.csv.gz", 0..40_000));
    assert_eq!(mended.replayed.len(), 1, "its entry is settled");

    for (name, content, code) in [
        ("b.csv.gz", text.as_bytes().to_vec(), "compression_mismatch"),
        ("c.csv.gz", gz(&whole), "nested_compression"),
        ("d.csv.gz", [&whole[..], b"id,text"].concat(), "trailing_bytes"),
        ("e.csv.tar", b"x".to_vec(), "compression_unsupported"),
    ] {
        let drops = at_once();
        drops.deliver(name, content);
        let run = drops.once(&Checkpoint::default()).await;
        assert_eq!(run.codes(), [code], "{name}");
        let again = drops.once(&run.committed).await;
        assert!(again.rows.is_empty() && again.rejected.is_empty(), "{name} is known");
    }
}

/// Nothing of a dump is told before all of it was decoded, so a damaged one tells nothing; and what goes on decodes it anew.
#[tokio::test]
async fn a_packed_full_dump_is_gone_on_with_in_the_middle() {
    let drops = at_once().with("mode", json!({"full_dump": {"key": ["id"], "baseline": "baselines"}}));
    drops.deliver("1.csv.gz", gz(format!("{}x,bad\n,bad\n", numbered(0..9_000)).as_bytes()));
    let mut at = Checkpoint::default();
    for stop in [1, 3_000] {
        let mut first = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(700)).await.unwrap();
        while first.rows.len() + first.rejected.len() < stop {
            assert!(first.next().await.unwrap());
        }
        first.commit().await.unwrap();
        // what was handed on was counted in another text
        let otherwise = drops.beside("stock-counts").with("dialect", json!({"encoding": "windows-1252"}));
        let mut other = otherwise.open_at(first.committed.clone(), Bound::Once).await.unwrap();
        let error = other.read_all().await.unwrap_err();
        assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0245")), "{error}");
        drop(other);
        let second = drops.once(&first.committed).await;
        assert_eq!([first.rows, second.rows].concat(), rows_of("1.csv.gz", 0..9_000), "stopped at {stop}");
        assert_eq!(first.rejected.len() + second.rejected.len(), 2);
        at = second.committed;
    }
    // the next night is packed in another way, and cut off at first
    let whole = zst(numbered(1..9_001).replace("5,row-5\n", "5,other\n").as_bytes());
    drops.deliver("2.csv.zst", &whole[..whole.len() / 2]);
    let run = drops.once(&at).await;
    assert_eq!((run.rows.len(), run.codes()), (0, vec!["truncated_content"]));
    drops.deliver("2.csv.zst", &whole);
    let run = drops.once(&run.committed).await;
    assert_eq!((run.ops, run.replayed.len()), (vec!["d", "u", "c"], 1));
    assert_eq!(run.rows[1..], ["2.csv.zst:6 5|other", "2.csv.zst:9001 9000|row-9000"]);
}

#[tokio::test]
async fn a_packed_log_that_grows_is_read_on_when_that_is_asked_for() {
    let grow = |drops: &Drops| {
        let more = gz(b"3,row-3\n4,row-4\n");
        std::fs::File::options().append(true).open(drops.path("a.csv.gz")).unwrap().write_all(&more).unwrap();
    };
    let alarmed = at_once();
    alarmed.deliver("a.csv.gz", gz(numbered(0..3).as_bytes()));
    let run = alarmed.once(&Checkpoint::default()).await;
    grow(&alarmed);
    let again = alarmed.once(&run.committed).await;
    assert!(again.rows.is_empty() && again.has_notice("grown", "a.csv.gz"), "{:?}", again.notices());

    let read_on = at_once().with("on_growth", json!("continue"));
    read_on.deliver("a.csv.gz", gz(numbered(0..3).as_bytes()));
    let run = read_on.once(&Checkpoint::default()).await;
    grow(&read_on);
    let again = read_on.once(&run.committed).await;
    assert_eq!(again.rows, ["a.csv.gz:5 3|row-3", "a.csv.gz:6 4|row-4"]);
}

#[tokio::test]
async fn a_small_file_cannot_become_a_large_one() {
    let drops = at_once().with("decompressed_max", json!("64KiB"));
    drops.deliver("a.csv.gz", gz(numbered(0..50_000).as_bytes()));
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!(run.codes(), ["content_too_large"]);
    assert_eq!(run.rows, rows_of("a.csv.gz", 0..run.rows.len() as u64), "what came before it is good");
}

#[tokio::test]
async fn other_encodings_are_read_strictly() {
    let read = async |encoding: &str, content: Vec<u8>| {
        let drops = at_once().with("dialect", json!({"encoding": encoding}));
        drops.deliver("a.csv", content);
        drops.once(&Checkpoint::default()).await
    };
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let run = read("windows-1252", b"id,text\n1,gr\xfc\xdfe \x80\n2,\"a\nb\"\n".to_vec()).await;
    assert_eq!(run.rows, ["a.csv:2 1|gr\u{fc}\u{df}e \u{20ac}", "a.csv:3 2|a\nb"]);
    let run = read("utf-16le", wide("id,text\r\n1,größe\r\n")).await;
    assert_eq!(run.rows, ["a.csv:2 1|größe"]);
    // the mark says more than the configuration, and that is told
    let run = read("windows-1252", wide("\u{feff}id,text\n1,größe\n")).await;
    assert!(run.rows == ["a.csv:2 1|größe"] && run.has_notice("byte_order_mark", "a.csv"), "{:?}", run.notices());
    // half a surrogate spoils its row and no other
    let mut broken = wide("id,text\n1,a\n2,");
    broken.extend([0x00, 0xd8]);
    broken.extend(wide("\n3,c\n"));
    let run = read("utf-16le", broken).await;
    assert_eq!(
        (run.rows, run.rejected[0].code.as_ref()),
        (vec!["a.csv:2 1|a".into(), "a.csv:4 3|c".into()], "invalid_encoding")
    );
    let run = read("utf-8", b"\xef\xbb\xbfid,text\n1,a\n".to_vec()).await;
    assert_eq!((run.rows, run.rejected.len()), (vec!["a.csv:2 1|a".to_owned()], 0));
}

#[tokio::test]
async fn a_row_that_was_refused_is_replayed_as_text() {
    use unbatch_api::{PipelineName, SourceConnector, SplitId};
    let drops = at_once().with("dialect", json!({"encoding": "windows-1252"}));
    drops.deliver("a.csv.gz", gz(b"id,text\nx1,gr\xfc\xdfe\n"));
    let mut run = drops.once(&Checkpoint::default()).await;
    let refused = run.rejected.remove(0);
    let entry = refused.into_entry(&SplitId::new(PipelineName::parse("stock-counts").unwrap(), 0), 1);
    let edit = unbatch_api::quarantine::Edit { column: "id".into(), text: "1".into() };
    let batch = unbatch_csv::CsvDrops::parse_raw(&drops.config(), &entry, &[edit]).unwrap();
    assert_eq!(row_texts(&batch.rows), ["1|gr\u{fc}\u{df}e"]);
}

#[tokio::test]
async fn a_file_that_was_too_large_goes_on_once_more_is_allowed() {
    let drops = at_once().with("decompressed_max", json!("64KiB"));
    drops.deliver("a.csv.gz", gz(numbered(0..50_000).as_bytes()));
    let run = drops.once(&Checkpoint::default()).await;
    let taken = run.rows.len() as u64;
    assert!(run.codes() == ["content_too_large"] && taken > 0, "{:?}", run.codes());
    let allowed = drops.with("decompressed_max", json!("64MiB"));
    let rest = allowed.once(&run.committed).await;
    assert_eq!(rest.rows, rows_of("a.csv.gz", 0..50_000)[taken as usize..], "behind the rows that were taken");
    assert_eq!(rest.replayed.len(), 1, "its entry is settled");
}

#[tokio::test]
async fn another_encoding_never_doubles_what_was_read_under_the_first() {
    let stop = |s: &mut harness::Settings| s.stop_after.count = Some(0);
    let text = b"id,text\n1,caf\xc3\xa9\n2,a\n3,b\n4,\xff\n5,c\n";
    let drops = at_once();
    drops.deliver("a.csv", text);
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, stop).await.unwrap();
    run.finish().await.unwrap();
    assert_eq!((run.rows.len(), run.reports.parked_count()), (3, 1), "{:?}", run.codes());
    // read so, its first rows are others than those that were taken
    let otherwise = drops.with("dialect", json!({"encoding": "windows-1252"}));
    let again = otherwise.once(&run.committed).await;
    assert!(
        again.rows.is_empty() && again.has_notice("stays_parked", "a.csv"),
        "{:?} {:?}",
        again.rows,
        again.notices()
    );
    assert!(otherwise.once(&again.committed).await.rows.is_empty(), "and it is not looked at again and again");

    // what was read to its end is the same file although its rights changed
    let drops = at_once();
    drops.deliver("b.csv", &b"id,text\n1,caf\xc3\xa9\n"[..]);
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!(run.rows.len(), 1);
    std::fs::hard_link(drops.path("b.csv"), drops.base.path().join("backup")).unwrap();
    let otherwise = drops.with("dialect", json!({"encoding": "windows-1252"}));
    assert!(otherwise.once(&run.committed).await.rows.is_empty());
}

#[tokio::test]
async fn a_half_read_file_does_not_go_on_in_another_encoding() {
    let drops = at_once();
    drops.deliver("a.csv", numbered(0..2_000));
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(100)).await.unwrap();
    run.next().await.unwrap();
    run.commit().await.unwrap();
    let committed = run.committed.clone();
    drop(run);
    let otherwise = drops.with("dialect", json!({"encoding": "utf-16le"}));
    let mut run = otherwise.open_at(committed, Bound::Once).await.unwrap();
    let error = run.read_all().await.unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (unbatch_api::Kind::Misconfigured, Some("U0224")), "{error}");
}

/// A writer that has only just begun the next member: there is more file and no more text.
#[tokio::test]
async fn a_packed_log_that_grows_by_no_text_is_not_read_again() {
    for growth in ["alarm", "continue"] {
        let drops = at_once().with("on_growth", json!(growth));
        let (first, next) = (gz(numbered(0..3).as_bytes()), gz(b"3,row-3\n"));
        drops.deliver("a.csv.gz", &first);
        let run = drops.once(&Checkpoint::default()).await;
        let append = |bytes: &[u8]| {
            std::fs::File::options().append(true).open(drops.path("a.csv.gz")).unwrap().write_all(bytes).unwrap();
        };
        append(&next[..8]);
        let begun = drops.once(&run.committed).await;
        assert!(begun.rows.is_empty() && begun.rejected.is_empty(), "{growth}: {:?}", begun.rows);
        append(&next[8..]);
        let whole = drops.once(&begun.committed).await;
        let want: &[&str] = if growth == "alarm" { &[] } else { &["a.csv.gz:5 3|row-3"] };
        assert_eq!(whole.rows, want, "{growth}");
    }
}

#[tokio::test]
async fn a_duplicate_that_is_packed_otherwise_leaves_the_folder_too() {
    let drops = at_once().with("after", json!({"move_to": "file:done/"}));
    drops.deliver("a.csv.gz", gz(numbered(0..3).as_bytes()));
    let run = drops.once(&Checkpoint::default()).await;
    let text = numbered(0..3);
    drops.deliver("a.csv.gz", [gz(&text.as_bytes()[..9]), gz(&text.as_bytes()[9..])].concat());
    let again = drops.once(&run.committed).await;
    assert!(again.rows.is_empty());
    assert!(drops.names_in("drops").iter().all(|name| name.starts_with('.')), "{:?}", drops.names_in("drops"));
    assert_eq!(drops.names_in("done").len(), 1);
}

/// What was given up stays given up, also when somebody writes on in the file.
#[tokio::test]
async fn a_packed_file_that_was_given_up_is_not_read_again_when_it_grows() {
    use unbatch_api::{Jump, SourceConnector};
    let text = numbered(0..40_000);
    let whole = gz(text.as_bytes());
    let cut = whole.len() * 2 / 3;
    for is_damaged in [false, true] {
        let drops = at_once().with("on_growth", json!("continue"));
        drops.deliver("a.csv.gz", if is_damaged { &whole[..cut] } else { &whole[..] });
        let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(100)).await.unwrap();
        match is_damaged {
            true => run.finish().await.unwrap(),
            false => {
                run.next().await.unwrap();
                run.commit().await.unwrap();
            }
        }
        assert!(!run.rows.is_empty());
        let committed = run.committed.clone();
        drop(run);
        let jump = Jump { part: "a.csv.gz".into(), position: "done".into() };
        let given_up = unbatch_csv::CsvDrops::jump(&drops.config(), &committed, &[jump]).unwrap();
        let seen = drops.once(&given_up).await;
        assert!(seen.rows.is_empty(), "{is_damaged}");
        let more = if is_damaged { whole[cut..].to_vec() } else { gz(b"40000,row-40000\n") };
        std::fs::File::options().append(true).open(drops.path("a.csv.gz")).unwrap().write_all(&more).unwrap();
        let grown = drops.once(&seen.committed).await;
        assert!(grown.rows.is_empty(), "{is_damaged}: {} rows", grown.rows.len());
    }
}
