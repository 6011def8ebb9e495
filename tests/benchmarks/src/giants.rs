//! Odd giants: what no nightly job should deliver, and one does. Each must end with a clear outcome within the memory limit.

use crate::Scale;
use crate::throughput::{DEADLINE, wait_for_end};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Instant;
use unbatch_test_harness::{Broker, Launch, unique_name};

/// What one costs at most, MiB.
const PEAK_MAX: f64 = 256.0;
const COLUMNS: usize = 100_000;
const ROWS_OF_WIDE: usize = 100;

type Writes = dyn Fn(&mut dyn Write) -> std::io::Result<()>;

struct Giant {
    what: String,
    /// More options of the source, as JSON that begins with a comma.
    options: &'static str,
    write: Box<Writes>,
}

/// One after the other, so that only one of them lies on the disk.
pub fn measure(broker: &Broker, scale: Scale) -> String {
    let mut text =
        format!("| file | bytes | outcome | seconds | peak MiB (aim: {PEAK_MAX:.0}) |\n|---|---|---|---|---|\n");
    for giant in giants(scale.giant_bytes) {
        let home = tempfile::tempdir().expect("a temporary folder");
        let (pipeline, drops) = (unique_name("giant").to_lowercase(), home.path().join("drops"));
        std::fs::create_dir(&drops).expect("a folder for drops");
        let path = drops.join("giant.csv");
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path).expect("a file to drop"));
        (giant.write)(&mut out).and_then(|()| out.flush()).expect("writing a giant");
        drop(out);
        let bytes = std::fs::metadata(&path).expect("the file that was just written").len();
        let yaml = format!(
            r#"{{"version": 1, "pipeline": "{pipeline}", "source": {{"csv_drops": {{"url": "file:drops/", "match": "*.csv",
  "ready_when": {{"stable_for": "1ms"}}, "columns": [{{"name": "id", "type": "int64", "required": true}}]{}}}}},
 "sink": {{"topic": {{"name": "{pipeline}", "key": ["id"], "partitions": 1}}}}}}"#,
            giant.options
        );
        let file = home.path().join(format!("{pipeline}.yaml"));
        std::fs::write(&file, yaml).expect("a pipeline file");
        let started = Instant::now();
        let launch = Launch::unbatch().arg("run").arg(&file).arg("--once").args(["--brokers", broker.bootstrap()]);
        let mut run = launch.arg("--no-http").current_dir(home.path()).start();
        let peak = wait_for_end(&mut run);
        let (seconds, status) = (started.elapsed().as_secs_f64(), run.wait(DEADLINE));
        let code = status.code().map_or_else(|| "killed".into(), |code| format!("exit {code}"));
        let outcome = format!("{code}: {}", outcome(&run.stdout(), &pipeline));
        eprintln!("{}: {outcome}, {peak:.0} MiB", giant.what);
        let too_much = if peak > PEAK_MAX { " **too much**" } else { "" };
        let _ = writeln!(text, "| {} | {bytes} | {outcome} | {seconds:.1} | {peak:.0}{too_much} |", giant.what);
    }
    text
}

/// Why the file was parked, else how many rows were read and written.
fn outcome(stdout: &str, pipeline: &str) -> String {
    let parked = format!("{pipeline}: parked: ");
    if let Some(why) = stdout.lines().find_map(|line| line.strip_prefix(&parked)) {
        return format!("parked, {}", why.split_once(": ").map_or(why, |(_, why)| why));
    }
    let row = stdout.lines().find(|line| line.trim_start().starts_with(pipeline) && line.contains("finished"));
    let Some(row) = row else { return "no summary".into() };
    let fields: Vec<&str> = row.split_whitespace().collect();
    format!("read {}, written {}", fields.get(2).unwrap_or(&"?"), fields.get(3).unwrap_or(&"?"))
}

fn giants(bytes: u64) -> Vec<Giant> {
    let giant = |what: &str, options, write| Giant { what: what.into(), options, write };
    let wide = || Box::new(|out: &mut dyn Write| wide(out));
    vec![
        giant("one line, never ended: the header", "", Box::new(move |out| one_line(out, "id,", bytes))),
        giant("one line behind two good ones", "", Box::new(move |out| one_line(out, "id,text\n1,a\n2,", bytes))),
        giant("a quote that is never closed", "", Box::new(move |out| quoted_lines(out, bytes))),
        giant("100,000 columns", "", wide()),
        giant("100,000 columns, `columns_max: 100000`", r#", "columns_max": 100000"#, wide()),
        giant("0 bytes", "", Box::new(|_| Ok(()))),
        giant("1 byte, a letter", "", Box::new(|out| out.write_all(b"a"))),
        giant("1 byte, a line feed", "", Box::new(|out| out.write_all(b"\n"))),
    ]
}

fn one_line(out: &mut dyn Write, beginning: &str, bytes: u64) -> std::io::Result<()> {
    out.write_all(beginning.as_bytes())?;
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b'x'), bytes), out).map(|_| ())
}

/// The first quote never closes, so the whole rest of the file is one field of many lines.
fn quoted_lines(out: &mut dyn Write, bytes: u64) -> std::io::Result<()> {
    out.write_all(b"id,text\n1,\"swallows all\n")?;
    let line = "2,a line that looks like a row\n";
    (0..bytes / line.len() as u64).try_for_each(|_| out.write_all(line.as_bytes()))
}

fn wide(out: &mut dyn Write) -> std::io::Result<()> {
    let row = |out: &mut dyn Write, first: &str, cell: &dyn Fn(usize) -> String| {
        out.write_all(first.as_bytes())?;
        (1..COLUMNS).try_for_each(|n| write!(out, ",{}", cell(n)))?;
        out.write_all(b"\n")
    };
    row(out, "id", &|n| format!("column_{n}"))?;
    (0..ROWS_OF_WIDE).try_for_each(|id| row(out, &id.to_string(), &|n| n.to_string()))
}
