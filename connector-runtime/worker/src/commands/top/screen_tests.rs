//! The screen as a terminal would show it, without one.

use super::*;
use crate::commands::top::view::Press;
use crate::http::report::WorkerReport;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

const NOW_MS: u64 = 1_000_000;
const PLAIN: Look = Look { unicode: true, colour: false };
const ASCII: Look = Look { unicode: false, colour: false };
const COLOUR: Look = Look { unicode: true, colour: true };

fn view() -> View {
    let recent: Vec<u64> = (0..60).map(|n| if n < 30 { 0 } else { n * 100 }).collect();
    let report = WorkerReport::of(&json!({
        "version": "0.1.0", "started_ms": NOW_MS - 300_000, "resident_bytes": 117_440_512,
        "pipelines": [
            {"pipeline": "supplier-prices", "source": "csv_drops", "sink": "topic", "state": "running", "freshness_goal_ms": 30_000,
             "splits": [{"split": "supplier-prices/0", "state": "running", "written_ever": 1_234_567, "quarantined_ever": 17,
                "rows_per_second": 12_345.4, "recent_rows": recent, "freshness_ms": 1_240, "last_commit_ms": NOW_MS - 700,
                "epoch": 812, "owner": 3, "numbers": {"backlog_files": 3, "backlog_bytes": 1_300_000},
                "position": [{"part": "prices_7.csv", "position": "row 1200", "meaning": "1,200 rows read"}],
                "last_trouble": {"at_ms": NOW_MS - 240_000, "code": "U0250", "message": "connecting failed"}}]},
            {"pipeline": "stock-counts", "source": "csv_drops", "sink": "topic", "state": "retrying", "freshness_goal_ms": 30_000,
             "splits": [{"split": "stock-counts/0", "state": "retrying", "attempt": 4, "freshness_ms": 95_000, "parked": 1,
                "trouble": {"code": "U0250", "message": "connecting to the Kafka cluster failed", "help": "is Kafka running there?"},
                "last_trouble": {"at_ms": NOW_MS - 2_000, "code": "U0250", "message": "connecting to the Kafka cluster failed"}}]},
            {"pipeline": "a-name-that-is-longer-than-there-is-room", "source": "csv_drops", "sink": "topic",
             "state": "failed", "splits": []},
        ],
    }));
    View::new("127.0.0.1:8083".into(), report, NOW_MS)
}

fn drawn(view: &View, look: Look, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(view, NOW_MS, look, frame.area(), frame.buffer_mut())).unwrap();
    terminal
}

fn lines(view: &View, look: Look, width: u16, height: u16) -> Vec<String> {
    let terminal = drawn(view, look, width, height);
    let buffer = terminal.backend().buffer();
    let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    cells.chunks(width.into()).map(|line| line.concat().trim_end().to_owned()).collect()
}

#[test]
fn in_80_columns_what_matters_most_is_there() {
    let got = lines(&view(), PLAIN, 80, 12);
    assert_eq!(got[0], "unbatch 0.1.0 127.0.0.1:8083 · 3 pipelines, 2 not running · 12,345 rows/s");
    for word in ["PIPELINE", "STATE", "FRESH", "ROWS/S", "ERROR"] {
        assert!(got[2].contains(word), "{got:#?}");
    }
    assert!(got[3].starts_with(">a-name-that-is-longer-than-…"), "{got:#?}");
    assert!(got[4].contains("retrying") && got[4].contains("!95 s") && got[4].contains("U0250"), "{got:#?}");
    assert!(got[5].contains("12,345") && got[5].contains("U0250, 4 min ago"), "{got:#?}");
    assert!(got[11].starts_with("q quit  s sorted by name  ↑↓ select  Enter details  p pause"), "{got:#?}");
    assert_eq!(got.len(), 12);
}

#[test]
fn in_200_columns_everything_is_there_with_a_plot_of_five_minutes() {
    let got = lines(&view(), PLAIN, 200, 12);
    assert!(got[0].ends_with("1,234,567 written · 17 quarantined · up 5 min · 112.0 MiB"), "{got:#?}");
    for word in ["5 MIN", "WRITTEN", "QUARANTINED", "COMMIT", "TO READ", "PARKED"] {
        assert!(got[2].contains(word), "{word}: {got:#?}");
    }
    assert!(got[5].contains("▁▁▁▁") && got[5].contains('█') && got[5].contains("3 files, 1.2 MiB"), "{got:#?}");
    assert!(got.iter().all(|line| line.chars().count() <= 200));
}

#[test]
fn without_unicode_only_ascii_is_drawn_and_without_colour_none() {
    let mut view = view();
    let _ = view.press(Press::Details);
    for width in [80, 200] {
        let got = lines(&view, ASCII, width, 30);
        assert!(got.iter().all(|line| line.is_ascii()), "{got:#?}");
        let terminal = drawn(&view, PLAIN, width, 30);
        assert!(terminal.backend().buffer().content().iter().all(|c| c.fg == Color::Reset && c.bg == Color::Reset));
    }
}

/// White, black, yellow, cyan, green, blue and the bright ones are hard to read on one background or the other; a background of
/// ours could hide any.
#[test]
fn colours_are_readable_on_light_and_dark() {
    let mut view = view();
    let _ = view.press(Press::Details);
    let terminal = drawn(&view, COLOUR, 200, 30);
    let readable = [Color::Reset, Color::Red, Color::Magenta];
    let cells = terminal.backend().buffer().content();
    assert!(cells.iter().all(|cell| readable.contains(&cell.fg) && cell.bg == Color::Reset));
    assert!(cells.iter().any(|cell| cell.fg == Color::Red) && cells.iter().any(|cell| cell.fg == Color::Magenta));
}

#[test]
fn details_tell_the_error_what_to_do_and_where_it_stands() {
    let mut view = view();
    for press in [Press::Down, Press::Details] {
        let _ = view.press(press);
    }
    let text = lines(&view, PLAIN, 80, 24).join("\n");
    for part in [
        "stock-counts  csv_drops → topic  retrying",
        "error[U0250] 2.0 s ago: connecting to the Kafka cluster failed",
        "help: is Kafka running there?",
        "split stock-counts/0: retrying, attempt 4, epoch 0, owner 0",
        "Enter close",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let _ = view.press(Press::Down);
    let text = lines(&view, PLAIN, 200, 24).join("\n");
    for part in [
        "at most 1,180 rows/s",
        "error[U0250] over, 4 min ago: connecting failed",
        "  prices_7.csv at row 1200: 1,200 rows read",
        "  backlog_bytes 1,300,000 · backlog_files 3",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}

#[test]
fn after_a_restart_of_the_worker_what_was_before_is_shown() {
    let report = WorkerReport::of(&json!({"pipelines": [
        {"pipeline": "a", "state": "running", "splits": [{"generation": 1, "epoch": 3, "written_ever": 20,
            "quarantined_ever": 1, "numbers": {"files_parked": 1}}]},
        {"pipeline": "b", "state": "starting", "splits": [{"generation": 0}]},
    ]}));
    let got = lines(&View::new("h:1".into(), report, NOW_MS), PLAIN, 200, 12);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert!(words(&got[3]).ends_with("20 1 before start 1 1 file parked ,"), "{got:#?}");
    assert!(words(&got[4]).ends_with("- - - 0 - ,"), "{got:#?}");
}

#[test]
fn paused_and_lost_are_said_and_an_empty_worker_too() {
    let mut view = view();
    view.take(Err(unbatch_api::Error::transient("asking the worker failed")), NOW_MS - 5_000);
    assert!(lines(&view, PLAIN, 80, 12)[1].starts_with("no answer for 5.0 s, asking again"));
    let _ = view.press(Press::Pause);
    assert_eq!(lines(&view, PLAIN, 80, 12)[1], "paused, 0.0 s old; p goes on");
    let empty = View::new("h:1".into(), WorkerReport::default(), NOW_MS);
    assert_eq!(lines(&empty, PLAIN, 80, 12)[2], "the worker runs no pipeline");
}

#[test]
fn more_pipelines_than_lines_scroll_with_the_selection() {
    let pipelines: Vec<_> = (0..40).map(|n| json!({"pipeline": format!("p{n:02}"), "state": "running"})).collect();
    let mut view = View::new("h:1".into(), WorkerReport::of(&json!({"pipelines": pipelines})), NOW_MS);
    for _ in 0..39 {
        let _ = view.press(Press::Down);
    }
    let got = lines(&view, PLAIN, 80, 12);
    assert!(got[10].starts_with(">p39") && got[3].starts_with(" p32"), "{got:#?}");
}

#[test]
fn no_size_is_too_small() {
    let mut view = view();
    for _ in 0..2 {
        for (width, height) in (1..40).flat_map(|w| (1..12).map(move |h| (w * 3, h))) {
            assert_eq!(lines(&view, COLOUR, width, height).len(), usize::from(height));
        }
        let _ = view.press(Press::Details);
    }
}

#[test]
fn a_broker_that_is_away_is_said_above_the_table() {
    let mut view = view();
    let broker = json!({"addresses": "kafka-1:9092", "away_since_ms": 7_000, "why": "connection refused"});
    view.report.broker = WorkerReport::of(&json!({"broker": broker})).broker;
    let got = lines(&view, PLAIN, 80, 12);
    assert!(
        got[1].starts_with("broker kafka-1:9092 away since ") && got[1].ends_with("(connection refused)"),
        "{got:#?}"
    );
}
