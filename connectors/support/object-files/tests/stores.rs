//! What every store promises, on a folder and on real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod servers;

use bytes::Bytes;
use servers::{Place, check_error, open, options, places, runtime};
use unbatch_api::Kind;
use unbatch_object_files::{
    Layers, Look, ObjectStat, Placed, RawRead, Removed, Store, StoreOptions, TextReader, is_changed, list_all,
    read_small,
};
use unbatch_test_harness::{S3, unique_name};

fn put(store: &dyn Store, name: &str, content: &[u8]) -> ObjectStat {
    assert_eq!(store.put_if_absent(name, Bytes::copy_from_slice(content)).unwrap(), Placed::Done, "{name}");
    store.head(name).unwrap().unwrap()
}

/// Another file under the same name.
fn replace(store: &dyn Store, name: &str, content: &[u8]) -> ObjectStat {
    let before = store.head(name).unwrap().unwrap();
    assert_eq!(store.delete(name, &before).unwrap(), Removed::Done);
    put(store, name, content)
}

fn read_raw(raw: &mut dyn RawRead) -> unbatch_api::Result<Vec<u8>> {
    let (mut content, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        match raw.read(&mut buffer)? {
            0 => return Ok(content),
            n => content.extend_from_slice(&buffer[..n]),
        }
    }
}

fn names(store: &dyn Store, after: Option<&str>) -> Vec<String> {
    let mut listing = store.list(after, &|_| false).unwrap();
    let mut names = Vec::new();
    while let Some(page) = listing.next_page().unwrap() {
        assert!(page.files.len() <= 1_000, "a page is bounded");
        names.extend(page.files.into_iter().map(|file| file.name));
    }
    let sorted = {
        let mut sorted = names.clone();
        sorted.sort();
        sorted
    };
    assert!(!store.guarantees().lists_in_order || names == sorted, "in the order that is promised");
    sorted
}

#[test]
fn odd_names_are_listed_read_and_deleted_as_they_are() {
    let odd = [
        "a b.csv",
        "a+b.csv",
        "a%20b.csv",
        "größe.csv",
        "日本.csv",
        "x=1&y=2.csv",
        "~tilde.csv",
        "(1).csv",
        "a'b\"c.csv",
        "#1.csv",
        "a?b.csv",
        "a*b.csv",
        "a:b.csv",
        "a;b,c.csv",
        "back\\slash.csv",
        "{1}.csv",
        "[1].csv",
        "<a>.csv",
        "a|b^c`.csv",
        ".hidden",
    ];
    for Place { store, archive, .. } in places("odd_names_are_listed_read_and_deleted_as_they_are") {
        let is_azure = store.location().to_string().starts_with("az:");
        let odd: Vec<&str> = odd.into_iter().filter(|name| !is_azure || !name.contains('\\')).collect();
        for name in &odd {
            put(&*store, name, name.as_bytes());
        }
        put(&*archive, "not-looked-into.csv", b"x");
        let mut listed = list_all(&*store, &|_| true).unwrap();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let mut want = odd.clone();
        want.sort_unstable();
        let files: Vec<_> = listed.iter().filter(|file| matches!(file.look, Look::File(_))).collect();
        assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), want, "{store:?}");
        for file in files {
            let Look::File(stat) = &file.look else { continue };
            assert!(store.head(&file.name).unwrap().unwrap() == *stat, "{}: a listing and a look agree", file.name);
            let content = read_raw(&mut *store.open_read(&file.name, stat).unwrap()).unwrap();
            assert_eq!(content, file.name.as_bytes());
            assert_eq!(store.delete(&file.name, stat).unwrap(), Removed::Done);
            assert_eq!(store.delete(&file.name, stat).unwrap(), Removed::Gone);
        }
        assert!(list_all(&*store, &|_| true).unwrap().iter().all(|file| matches!(file.look, Look::NoFile)));
    }
}

#[test]
fn many_files_come_in_pages() {
    for Place { store, .. } in places("many_files_come_in_pages") {
        let name = |n: usize| format!("{n:05}.csv");
        std::thread::scope(|scope| {
            for first in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    (first..2_500).step_by(8).for_each(|n| assert_eq!(put_only(&**store, &name(n)), Placed::Done))
                });
            }
        });
        assert_eq!(names(&*store, None), (0..2_500).map(name).collect::<Vec<_>>(), "{store:?}");
        assert_eq!(names(&*store, Some("02100.csv")), (2_101..2_500).map(name).collect::<Vec<_>>());
        assert_eq!(names(&*store, Some("zzz")), [""; 0]);
    }
}

fn put_only(store: &dyn Store, name: &str) -> Placed {
    store.put_if_absent(name, Bytes::from_static(b"x")).unwrap()
}

#[test]
fn one_of_many_gets_the_name() {
    for Place { store, .. } in places("one_of_many_gets_the_name") {
        for round in 0..3 {
            let name = format!("claim-{round}");
            let placed: Vec<Placed> = std::thread::scope(|scope| {
                let claims: Vec<_> = (0..12u8)
                    .map(|n| {
                        let (store, name) = (&store, &name);
                        scope.spawn(move || store.put_if_absent(name, Bytes::from(vec![n; 1000])).unwrap())
                    })
                    .collect();
                claims.into_iter().map(|claim| claim.join().unwrap()).collect()
            });
            assert_eq!(placed.iter().filter(|placed| **placed == Placed::Done).count(), 1, "{store:?} {placed:?}");
            let winner = placed.iter().position(|placed| *placed == Placed::Done).unwrap() as u8;
            let stat = store.head(&name).unwrap().unwrap();
            assert_eq!(read_raw(&mut *store.open_read(&name, &stat).unwrap()).unwrap(), vec![winner; 1000]);
        }
        assert!(
            list_all(&*store, &|_| true).unwrap().iter().all(|file| !file.name.starts_with('.')),
            "nothing is left over"
        );
    }
}

#[test]
fn small_files_of_our_own_are_made_replaced_and_read() {
    for Place { store, archive, .. } in places("small_files_of_our_own_are_made_replaced_and_read") {
        assert!(store.is_there().unwrap());
        assert_eq!(read_small(&*store, ".owner", 100).unwrap(), None);
        for text in ["one", "another"] {
            store.put(".owner", Bytes::from(text)).unwrap();
            assert_eq!(read_small(&*store, ".owner", 100).unwrap().unwrap(), text);
        }
        assert!(read_small(&*store, ".owner", 3).is_err());
        assert_eq!(store.put_if_absent(".owner", Bytes::from("late")).unwrap(), Placed::Taken);
        assert_eq!(read_small(&*store, ".owner", 100).unwrap().unwrap(), "another");
        assert_eq!(names(&*store, None).iter().filter(|name| *name != "archive").count(), 1, "no draft is left");
        archive.make().unwrap();
        for name in ["", "..", "a/b", "../drops/.owner"] {
            assert_eq!(store.head(name).unwrap_err().code_text(), Some("U0317"), "{store:?} {name}");
        }
    }
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let path = folder.path().join("a/b");
    let store = open(path.to_str().unwrap(), &StoreOptions::default(), &runtime);
    assert!(!store.is_there().unwrap());
    check_error(list_all(&*store, &|_| true), Kind::Transient, "U0217", "it is not there");
    store.make().unwrap();
    assert!(store.is_there().unwrap() && list_all(&*store, &|_| true).unwrap().is_empty());
    std::fs::write(path.join("file"), "x").unwrap();
    let file = open(path.join("file").to_str().unwrap(), &StoreOptions::default(), &runtime);
    check_error(file.is_there(), Kind::Misconfigured, "U0217", "it is a file");
}

#[test]
fn a_file_that_was_replaced_is_not_read_as_the_one_that_was_seen() {
    for Place { store, .. } in places("a_file_that_was_replaced_is_not_read_as_the_one_that_was_seen") {
        let stat = put(&*store, "a.csv", b"first");
        replace(&*store, "a.csv", b"other");
        let error = store.open_read("a.csv", &stat).and_then(|mut raw| read_raw(&mut *raw)).unwrap_err();
        assert!(is_changed(&error) && error.kind() == Kind::Lost, "{error:?}");
        assert!(error.one_line().contains("a.csv"), "{error:?}");
        assert!(is_changed(&store.read_range("a.csv", &stat, 1..3).unwrap_err()));
        assert_eq!(store.delete("a.csv", &stat).unwrap(), Removed::Changed);
        let now = store.head("a.csv").unwrap().unwrap();
        assert_eq!(store.delete("a.csv", &now).unwrap(), Removed::Done);
        let error = store.open_read("a.csv", &now).and_then(|mut raw| read_raw(&mut *raw)).unwrap_err();
        assert!(is_changed(&error), "{error:?}");
        assert!(store.head("a.csv").unwrap().is_none());
    }
}

#[test]
fn an_object_that_is_replaced_in_the_middle_never_mixes() {
    let Some(s3) = S3::from_env("an_object_that_is_replaced_in_the_middle_never_mixes") else { return };
    let runtime = runtime();
    let store = open(&format!("s3://{}/{}/", s3.bucket(), unique_name("mix")), &options(&s3), &runtime);
    let size = 30 << 20;
    let stat = put(&*store, "big.csv", &vec![b'1'; size]);
    let mut raw = store.open_read("big.csv", &stat).unwrap();
    let mut buffer = vec![0; 1000];
    assert!(raw.read(&mut buffer).unwrap() > 0);
    replace(&*store, "big.csv", &vec![b'2'; size]);
    let mut seen = 0;
    let error = loop {
        match raw.read(&mut buffer) {
            Ok(0) => panic!("the end of a file that is not there any more"),
            Ok(n) => {
                assert!(buffer[..n].iter().all(|byte| *byte == b'1'), "bytes of the other version at {seen}");
                seen += n;
            }
            Err(error) => break error,
        }
    };
    assert!(is_changed(&error), "{error:?}");
    assert!(raw.read(&mut buffer).is_err(), "and it stays so");
}

#[test]
fn blocks_seeks_and_text_of_a_large_object() {
    let name = "blocks_seeks_and_text_of_a_large_object";
    for Place { store, .. } in places(name) {
        let content: Vec<u8> = (0..1_500_000u32).flat_map(|n| format!("{n};{}\n", n % 7).into_bytes()).collect();
        let stat = put(&*store, "big.csv", &content);
        assert_eq!(stat.size, content.len() as u64);
        let mut raw = store.open_read("big.csv", &stat).unwrap();
        assert!(read_raw(&mut *raw).unwrap() == content, "{store:?}");
        for at in [0, 1, 1 << 20, content.len() - 10, content.len(), content.len() + 5, 300] {
            raw.seek(at as u64).unwrap();
            let mut part = vec![0; 5];
            let n = raw.read(&mut part).unwrap();
            let from = at.min(content.len());
            assert_eq!(part[..n], content[from..(from + n)], "at {at}");
            assert_eq!(n == 0, at >= content.len(), "at {at}");
        }
        let mut text =
            TextReader::open(store.open_read("big.csv", &stat).unwrap(), "big.csv", &Layers::default()).unwrap();
        assert_eq!(text.skip_to(12_000_000).unwrap(), 12_000_000);
        let mut part = vec![0; 100];
        let n = text.read_text(&mut part).unwrap();
        assert_eq!(part[..n], content[12_000_000..12_000_000 + n]);
        let empty = put(&*store, "empty.csv", b"");
        assert_eq!(read_raw(&mut *store.open_read("empty.csv", &empty).unwrap()).unwrap(), b"");
    }
}

#[test]
fn files_are_moved_without_ever_replacing_one() {
    for Place { store, archive, .. } in places("files_are_moved_without_ever_replacing_one") {
        for size in [0, 10, 6 << 20] {
            let (name, content) = (format!("{size}.csv"), vec![b'x'; size]);
            let stat = put(&*store, &name, &content);
            assert_eq!(store.copy_if_absent(&name, &stat, &*archive, "copied").unwrap(), Placed::Done, "{store:?}");
            assert_eq!(store.rename_if_absent(&name, &stat, &*archive, "copied").unwrap(), Placed::Taken);
            assert_eq!(store.rename_if_absent(&name, &stat, &*archive, "moved").unwrap(), Placed::Done);
            assert!(store.head(&name).unwrap().is_none());
            assert_eq!(store.rename_if_absent(&name, &stat, &*archive, "again").unwrap(), Placed::Changed);
            for name in ["copied", "moved"] {
                let stat = archive.head(name).unwrap().unwrap();
                assert!(read_raw(&mut *archive.open_read(name, &stat).unwrap()).unwrap() == content);
                archive.delete(name, &stat).unwrap();
            }
            let old = put(&*store, &name, &content);
            let new = replace(&*store, &name, b"another one");
            assert_eq!(store.copy_if_absent(&name, &old, &*archive, "a").unwrap(), Placed::Changed);
            assert_eq!(store.rename_if_absent(&name, &old, &*archive, "a").unwrap(), Placed::Changed);
            assert!(store.head(&name).unwrap().unwrap() == new && archive.head("a").unwrap().is_none());
            assert_eq!(store.delete(&name, &new).unwrap(), Removed::Done);
        }
        let elsewhere = tempfile::tempdir().unwrap();
        let runtime = runtime();
        let folder = open(elsewhere.path().to_str().unwrap(), &StoreOptions::default(), &runtime);
        if !store.guarantees().renames {
            let stat = put(&*store, "b.csv", b"x");
            let error = store.copy_if_absent("b.csv", &stat, &*folder, "b.csv").unwrap_err();
            assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0311")), "{error:?}");
        }
    }
}

#[test]
fn a_server_that_goes_away_in_the_middle_of_a_read_is_waited_for() {
    let Some(mut s3) = S3::own_from_env("a_server_that_goes_away_in_the_middle_of_a_read_is_waited_for") else {
        return;
    };
    let runtime = runtime();
    let store = open(&format!("s3://{}/", s3.bucket()), &options(&s3), &runtime);
    let content: Vec<u8> = (0..4_000_000u32).flat_map(|n| n.to_le_bytes()).collect();
    let stat = put(&*store, "big.csv", &content);
    let mut raw = store.open_read("big.csv", &stat).unwrap();
    let (mut seen, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    while seen.len() < 1 << 20 {
        let n = raw.read(&mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..n]);
    }
    s3.kill();
    let error = loop {
        match raw.read(&mut buffer) {
            Ok(0) => panic!("the end of a file without its server"),
            Ok(n) => seen.extend_from_slice(&buffer[..n]),
            Err(error) => break error,
        }
        // what was on its way may still have come
        if seen.len() > content.len() - 10 {
            return;
        }
    };
    check_error::<()>(Err(error), Kind::Transient, "U0312", "big.csv");
    s3.revive();
    while seen.len() < content.len() {
        let n = raw.read(&mut buffer).unwrap();
        assert!(n > 0);
        seen.extend_from_slice(&buffer[..n]);
    }
    assert!(seen == content, "the same reader goes on where it stood");
}
