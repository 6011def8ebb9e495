//! The demo, played as a user plays it. The figures are counted by its own reader; here only its verdict is looked at.

use crate::workshop::Workshop;

#[test]
fn nothing_is_lost_or_doubled_although_the_worker_is_killed() {
    let workshop = Workshop::new();
    let temporary = workshop.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let output = workshop.command(&["demo", "--json"]).env("TMPDIR", &temporary).output().unwrap();
    let ended = crate::workshop::Ended::from(output);
    let envelope = ended.envelope();
    assert_eq!((ended.code, envelope["ok"].as_bool()), (Some(0), Some(true)), "{ended}");
    let result = &envelope["result"];
    let figure = |name: &str| result[name].as_u64().unwrap();
    assert_eq!(
        (figure("duplicates"), figure("missing"), figure("altered"), figure("quarantined")),
        (0, 0, 0, 1),
        "{ended}"
    );
    assert_eq!(figure("rows_in"), figure("rows_in_topic") + 1, "{ended}");
    assert_eq!(result["quarantine"][0]["place"], "stock_BER.csv:117", "{ended}");
    let is_caught = ended.stderr.contains("kill -9: ") || ended.stderr.contains("too fast to be caught");
    assert!(is_caught, "{ended}");
    let left: Vec<_> = std::fs::read_dir(&temporary).unwrap().collect();
    assert!(left.is_empty(), "the demo left {left:?}");
}
