use super::*;

/// Kind, time and payload.
type Found = (Kind, i64, Vec<u8>);

fn entries(path: &Path) -> io::Result<(RequestLog, Vec<Found>)> {
    let mut found = Vec::new();
    let log = RequestLog::open(path, true, |e| {
        found.push((e.kind, e.time_ms, e.payload.to_vec()));
        Ok(())
    })?;
    Ok((log, found))
}

fn written(path: &Path) -> Vec<Found> {
    let (mut log, found) = entries(path).unwrap();
    assert!(found.is_empty());
    log.append(Kind::Request, 10, &[b"first"]).unwrap();
    log.append(Kind::Append, 20, &[b"sec", b"ond"]).unwrap();
    log.append(Kind::Cleaned, 30, &[]).unwrap();
    log.sync().wait().unwrap();
    vec![
        (Kind::Request, 10, b"first".to_vec()),
        (Kind::Append, 20, b"second".to_vec()),
        (Kind::Cleaned, 30, Vec::new()),
    ]
}

#[test]
fn entries_come_back_in_order_with_the_same_cluster_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let all = written(&path);
    let (log, found) = entries(&path).unwrap();
    assert_eq!(found, all);
    let id = log.cluster_id();
    drop(log);
    assert_eq!(entries(&path).unwrap().0.cluster_id(), id);
}

#[test]
fn wherever_a_crash_cuts_the_file_the_whole_entries_before_it_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let all = written(&path);
    let bytes = std::fs::read(&path).unwrap();
    for cut in 0..bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let (mut log, found) = entries(&path).unwrap();
        assert_eq!(found, all[..found.len()], "cut at {cut}");
        // and the log goes on right after them
        log.append(Kind::Request, 40, &[b"new"]).unwrap();
        drop(log);
        let (_, again) = entries(&path).unwrap();
        assert_eq!(again.len(), found.len() + 1, "cut at {cut}");
        assert_eq!(again.last().unwrap().2, b"new", "cut at {cut}");
    }
}

#[test]
fn zeros_at_the_end_are_cut_off_and_other_damage_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let all = written(&path);
    let bytes = std::fs::read(&path).unwrap();

    std::fs::write(&path, [bytes.clone(), vec![0; 5000]].concat()).unwrap();
    assert_eq!(entries(&path).unwrap().1, all);

    for at in HEADER_BYTES..bytes.len() - PREFIX_BYTES - BODY_START_BYTES {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        std::fs::write(&path, damaged).unwrap();
        let error = entries(&path).err().unwrap_or_else(|| panic!("damage at {at} went unseen"));
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "at {at}: {error}");
    }
}

#[test]
fn a_foreign_file_and_another_version_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    std::fs::write(&path, b"some notes of mine").unwrap();
    let error = entries(&path).err().unwrap();
    assert!(error.to_string().contains("is not a log"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"some notes of mine");

    let mut other = header(Uuid::from_u128(1));
    other[11] = 9;
    std::fs::write(&path, other).unwrap();
    let error = entries(&path).err().unwrap();
    assert!(error.to_string().contains("has version 9"), "{error}");
}

#[test]
fn a_second_owner_is_refused_also_after_a_replacement() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let (mut log, _) = entries(&path).unwrap();
    let refused = |why: &str| {
        let error = entries(&path).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{why}: {error}");
    };
    refused("while it is open");
    log.append(Kind::Request, 1, &[b"old"]).unwrap();
    log.replace(|out| out.append(Kind::Snapshot, 2, &[b"state"])).unwrap();
    refused("after it was replaced");
    log.append(Kind::Request, 3, &[b"new"]).unwrap();
    drop(log);
    let (_, found) = entries(&path).unwrap();
    assert_eq!(found, vec![(Kind::Snapshot, 2, b"state".to_vec()), (Kind::Request, 3, b"new".to_vec())]);
}
