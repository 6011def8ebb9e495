#![allow(clippy::unwrap_used, clippy::print_stdout)]
use std::sync::Arc;
use std::time::Instant;
use unbatch_api::arrow::array::*;
use unbatch_api::arrow::datatypes::*;
use unbatch_api::config::NoSecrets;
use unbatch_api::testkit::context::{admit_all, sink_context};
use unbatch_api::*;
use unbatch_kafka::Topic;
use unbatch_kafka_client::{KafkaSettings, PropertyValue};

fn cpu() -> f64 {
    let t = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = t.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}

fn batch(from: i64, n: i64) -> Batch {
    let f = |n: &str, t| Field::new(n, t, true);
    let schema = Arc::new(Schema::new(vec![
        f("id", DataType::Int64),
        f("order_id", DataType::Int64),
        f("line_no", DataType::Int32),
        f("product_id", DataType::Int32),
        f("quantity", DataType::Int32),
        f("price", DataType::Decimal128(12, 2)),
        f("paid", DataType::Boolean),
        f("status", DataType::Utf8),
        f("tracking", DataType::Utf8),
        f("note", DataType::Utf8),
        f("changed_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
    ]));
    let r = from..from + n;
    let i32s =
        |k: i64| -> ArrayRef { Arc::new(Int32Array::from_iter_values(r.clone().map(|i| ((i * k) % 100_000) as i32))) };
    let text = |f: &dyn Fn(i64) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(r.clone().map(f))) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(r.clone())),
        Arc::new(Int64Array::from_iter_values(r.clone().map(|i| i / 3))),
        i32s(1),
        i32s(7919),
        i32s(31),
        Arc::new(
            Decimal128Array::from_iter_values(r.clone().map(|i| (i * 7919 % 1_000_000) as i128))
                .with_precision_and_scale(12, 2)
                .unwrap(),
        ),
        Arc::new(BooleanArray::from_iter(r.clone().map(|i| Some(i % 3 == 0)))),
        text(&|i| ["new", "paid", "shipped", "returned"][(i % 4) as usize].into()),
        text(&|i| format!("{:016x}", (i as u64).wrapping_mul(0x9E3779B97F4A7C15))),
        text(&|i| {
            format!("note {:x} for the customer, some words of text {}", (i as u64).wrapping_mul(0xD1B54A32D192ED03), i)
        }),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(r.clone().map(|i| 1_700_000_000_000_000 + i * 1_000_003))
                .with_timezone("UTC"),
        ),
    ];
    let rows = RecordBatch::try_new(schema.clone(), columns).unwrap();
    Batch {
        stream: StreamName::new("s"),
        schema: Arc::new(StreamSchema::new(schema, vec!["id".into()])),
        rows,
        marks: None,
        before: None,
        before_marks: None,
        ops: Ops::Append,
        origin: Origin {
            rows: OriginColumns::File {
                file: "orders_2026-01-31.csv".into(),
                lines: r.clone().map(|i| i as u64).collect(),
                bytes: r.map(|i| i as u64 * 150).collect(),
            },
            revision: 3,
        },
        source_time: None,
        rejected: vec![],
        advance: None,
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (boot, rows, per): (&str, i64, i64) = (&a[1], a[2].parse().unwrap(), a[3].parse().unwrap());
    let more = a.get(4).cloned().unwrap_or_default();
    let mut settings = KafkaSettings::plain(boot);
    for p in a.iter().skip(5) {
        let (k, v) = p.split_once('=').unwrap();
        settings.properties.insert(k.into(), PropertyValue::Text(v.into()));
    }
    let mut place = unbatch_api::testkit::context::place("bench");
    place.deployment = DeploymentName::parse(&format!("b{}", std::process::id())).unwrap();
    place.resources.insert(settings);
    let _ = NoSecrets;
    let config = Arc::new(
        serde_json::from_str(&format!(r#"{{"name": "b{}.rows", "partitions": 4{more}}}"#, std::process::id())).unwrap(),
    );
    let batches: Vec<Batch> = (0..16).map(|b| batch(b * 5000, 5000.min(per))).collect();
    let opened = Topic::fence(config, sink_context(place)).await.unwrap().open(admit_all()).await.unwrap();
    let mut sink = opened.sink;
    let (t, c) = (Instant::now(), cpu());
    let (mut done, mut open, mut seq, mut flying) = (0, 0, 0u64, None);
    let mut lat = vec![];
    while done < rows {
        let b = batches[(done / 5000 % 16) as usize].clone();
        let n = b.rows.num_rows() as i64;
        sink.write(b).await.unwrap();
        done += n;
        open += n;
        if open >= per {
            let p = |s: u64| Position::from(format!("{s:09}"));
            let adv = Advance::of("p".into(), (seq > 0).then(|| p(seq)), p(seq + 1));
            seq += 1;
            let f = sink.seal(adv);
            if let Some((s, h)) = flying.take() {
                let h: tokio::task::JoinHandle<Result<Receipt>> = h;
                h.await.unwrap().unwrap();
                let s: Instant = s;
                lat.push(s.elapsed());
            }
            flying = Some((Instant::now(), tokio::spawn(f)));
            open = 0;
        }
    }
    if let Some((s, h)) = flying.take() {
        h.await.unwrap().unwrap();
        lat.push(s.elapsed());
    }
    lat.sort();
    let (s, c) = (t.elapsed().as_secs_f64(), cpu() - c);
    println!(
        "{more} {:?}: {done} rows {s:.2} s {:.0} rows/s cpu {c:.2} s {:.0} rows/cpu-s; seal p50 {:?} p99 {:?}",
        &a[5.min(a.len())..],
        done as f64 / s,
        done as f64 / c,
        lat[lat.len() / 2],
        lat[lat.len() * 99 / 100]
    );
}
