//! The table of types is true: each of its lines is read from a file and compared with its record.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

use std::fs;
use std::path::Path;
use std::time::Duration;
use unbatch_api::ColumnType;
use unbatch_docs_tests::root;
use unbatch_test_harness::{Finished, Launch};

const DEADLINE: Duration = Duration::from_secs(120);

/// One line of the table.
#[derive(Debug)]
struct Line {
    column_type: String,
    arrow: String,
    options: String,
    cell: String,
    record: String,
}

#[test]
fn each_line_of_the_table_of_types_is_what_comes_out() {
    let page = fs::read_to_string(root().join("docs/src/record-format.md")).unwrap();
    let lines = table(&page);
    let (refused, good): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(|l| l.record.starts_with("refused"));
    assert!(good.len() > 20 && refused.len() > 3, "{} and {}", good.len(), refused.len());
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "good", &good.iter().collect::<Vec<_>>());
    for (n, line) in refused.iter().enumerate() {
        write(folder.path(), &format!("refused-{n}"), &[line]);
    }
    let run = unbatch(folder.path(), &["run", "--dev", "--once", "--no-http"]);
    assert!(run.status.success(), "{}{}", run.stdout, run.stderr);

    let read = unbatch(folder.path(), &["topics", "read", "--dev", "good"]);
    for (n, line) in good.iter().enumerate() {
        let [with_comma, at_end] = [",", "}"].map(|end| format!("\"v{n}\":{}{end}", line.record));
        assert!(read.stdout.contains(&with_comma) || read.stdout.contains(&at_end), "{line:?}\n{}", read.stdout);
    }
    for (n, line) in refused.iter().enumerate() {
        let list = unbatch(folder.path(), &["quarantine", "list", "--dev", &format!("refused-{n}")]);
        let code = line.record.trim_start_matches("refused: ").trim_matches('`');
        assert!(list.stdout.contains(code), "{line:?}\n{}", list.stdout);
    }
    for line in good.iter().chain(&refused) {
        let column_type: ColumnType = line.column_type.parse().unwrap();
        assert_eq!(column_type.to_arrow().to_string(), line.arrow, "{line:?}");
    }
    for name in ColumnType::NAMES {
        let start = name.split('(').next().unwrap();
        assert!(good.iter().any(|l| l.column_type.starts_with(start)), "the table has no line for {name}");
    }
}

/// The rows of the table below the heading, without backticks.
fn table(page: &str) -> Vec<Line> {
    let (_, rest) = page.split_once("## Types").unwrap();
    let rows = rest.lines().skip_while(|l| !l.starts_with("|---")).skip(1).take_while(|l| l.starts_with('|'));
    rows.map(|row| {
        let inside = row.trim().strip_prefix('|').and_then(|r| r.strip_suffix('|')).unwrap_or(row);
        let cells: Vec<&str> = inside.split('|').map(str::trim).collect();
        let [column_type, arrow, options, cell, record] = cells[..] else { panic!("not five cells: {row}") };
        let code = |text: &str| text.strip_prefix('`').and_then(|t| t.strip_suffix('`')).unwrap_or(text).to_owned();
        Line {
            column_type: code(column_type),
            arrow: code(arrow),
            options: code(options),
            cell: code(cell),
            record: code(record),
        }
    })
    .collect()
}

/// A pipeline with a column for each line, and its file with one row.
fn write(folder: &Path, name: &str, lines: &[&Line]) {
    let column = |(n, line): (usize, &&Line)| {
        let options = if line.options.is_empty() { String::new() } else { format!(", {}", line.options) };
        format!("      - {{name: v{n}, type: \"{}\"{options}}}\n", line.column_type)
    };
    let columns: String = lines.iter().enumerate().map(column).collect();
    let yaml = format!(
        "version: 1\npipeline: {name}\nsource:\n  csv_drops:\n    url: file:../drops/\n    match: \"{name}.csv\"\n    \
         ready_when: {{stable_for: 100ms}}\n    dialect: {{delimiter: \";\"}}\n    columns:\n      - {{name: id, type: int32}}\n{columns}sink:\n  topic: {{name: {name}}}\n",
    );
    let names: Vec<String> = (0..lines.len()).map(|n| format!("v{n}")).collect();
    let cells: Vec<&str> = lines.iter().map(|l| l.cell.as_str()).collect();
    fs::create_dir_all(folder.join("pipelines")).unwrap();
    fs::create_dir_all(folder.join("drops")).unwrap();
    fs::write(folder.join(format!("pipelines/{name}.yaml")), yaml).unwrap();
    let file = format!("id;{}\n1;{}\n", names.join(";"), cells.join(";"));
    fs::write(folder.join(format!("drops/{name}.csv")), file).unwrap();
}

fn unbatch(folder: &Path, arguments: &[&str]) -> Finished {
    Launch::unbatch().args(arguments).current_dir(folder).run(DEADLINE)
}
