//! A whole table each night: the first file, of which every row is new, and one with a hundredth of its rows changed, gone or new.

use crate::Scale;
use crate::counting;
use crate::drop_folder::{DropFolder, Shape};
use crate::rows::write_file;
use crate::runs::Runs;
use crate::throughput::run_once;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use unbatch_test_harness::Broker;

const MODE: &str = r#"{"full_dump": {"key": ["id"], "baseline": "file:baseline/", "spill": "spill"}}"#;
const FIRST: &str = "first night, every row is new";
const SECOND: &str = "second night, a hundredth of the rows differ";
const SAME: &str = "third night, nothing differs";
/// Of so many rows one is changed, and, of ten times as many, one is gone and one is new.
const CHANGED_OF: usize = 110;
const GONE_OF: usize = 1_100;

/// The nights follow each other in one pipeline, so they are not repeated in turns.
pub fn measure(broker: &Broker, scale: Scale) -> String {
    let home = tempfile::tempdir().expect("a temporary folder");
    let (first, second) = (home.path().join("first.csv"), home.path().join("second.csv"));
    let bytes = write_file(&first, 0, scale.dump_rows);
    let mut table = Runs::new(&format!("A full dump of {} rows and {:.2} GB", scale.dump_rows, bytes as f64 / 1e9));
    table.case(FIRST, &[], "at most 256 MiB");
    table.case(SECOND, &[FIRST], "at most 256 MiB");
    table.case(SAME, &[FIRST], "at most 256 MiB");
    let folder = DropFolder::new(&Shape { mode: MODE, ..Shape::default() });
    std::fs::create_dir(folder.path().join("baseline")).expect("a folder for baselines");
    std::fs::create_dir(folder.path().join("spill")).expect("a folder to sort in");
    let mut records = 0;
    let mut night = |what: &str, name: &str, file: &Path, changes: usize| {
        folder.drop_file(name, file);
        table.add(what, run_once(broker, &folder, scale.dump_rows));
        records += changes;
        assert_eq!(counting::records(broker, &folder.topic), records, "changes in the topic after the {what}");
    };
    night(FIRST, "night_1.csv", &first, scale.dump_rows);
    counting::must_hold(broker, &folder.topic, scale.dump_rows);
    let changes = write_second(&first, &second, scale.dump_rows);
    night(SECOND, "night_2.csv", &second, changes);
    // a link to a file that was read would be seen to change
    let third = home.path().join("third.csv");
    std::fs::copy(&second, &third).expect("the same table again");
    night(SAME, "night_3.csv", &third, 0);
    broker.delete_topic(&folder.topic);
    table.to_markdown()
}

/// Writes the table as it is a night later. Returns how many rows differ.
fn write_second(from: &Path, to: &Path, rows: usize) -> usize {
    let lines = BufReader::with_capacity(1 << 20, File::open(from).expect("the first night")).lines();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(to).expect("the second night"));
    let mut changes = 0;
    for (n, line) in lines.enumerate() {
        let line = line.expect("a line");
        // the first line is the header
        let text = match n {
            _ if n > 0 && n % GONE_OF == 0 => {
                changes += 2;
                let (_, rest) = line.split_once(',').expect("several columns");
                format!("{},{rest}", rows + n)
            }
            _ if n > 0 && n % CHANGED_OF == 0 => {
                changes += 1;
                line.replace("please", "kindly")
            }
            _ => line,
        };
        writeln!(out, "{text}").expect("writing the second night");
    }
    out.flush().expect("writing the second night");
    changes
}
