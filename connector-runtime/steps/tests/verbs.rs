//! What each step makes of a batch: columns, key, marks, old images, operations, and the rows that it refuses.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;

use bench::{apply, change, marked, misfit, rows, rows_of, table};
use serde_json::json;
use unbatch_api::{Batch, Mark, Op, Ops};
use unbatch_steps::{Cast, Derive, Drop, Filter, Mask, Rename, Route, Select};

const COLUMNS: &str = "id: int64, sku: string, price: decimal(12,2)";

fn prices() -> Batch {
    table(COLUMNS, &["id"], &["1 NL-1 12.50", "2 NL-2 0.00", "3 ∅ ∅"])
}

#[test]
fn columns_are_chosen_renamed_and_dropped() {
    let batch = apply::<Select>(json!([{"number": "id"}, "price", {"name": "upper(sku)"}]), prices());
    assert_eq!(
        rows(&batch),
        ["number=1 price=12.50 name=NL-1", "number=2 price=0.00 name=NL-2", "number=3 price=∅ name=∅"]
    );
    assert_eq!(batch.schema.key(), ["number"]);
    let batch = apply::<Rename>(json!({"id": "sku", "sku": "id"}), prices());
    assert_eq!(rows(&batch)[0], "sku=1 id=NL-1 price=12.50");
    assert_eq!(batch.schema.key(), ["sku"]);
    let batch = apply::<Drop>(json!(["price"]), prices());
    assert_eq!(rows(&batch)[1], "id=2 sku=NL-2");
}

#[test]
fn columns_that_cannot_be_chosen_are_told_at_their_place() {
    let key = "column `id` is part of the key, and would be lost";
    for (found, path, code, message) in [
        (misfit::<Drop>(json!(["sku", "id"]), &prices()), "[1]", "U0611", key),
        (misfit::<Select>(json!(["sku"]), &prices()), "", "U0611", key),
        (misfit::<Drop>(json!(["prise"]), &prices()), "[0]", "U0601", "there is no column `prise`"),
        (misfit::<Rename>(json!({"sku": "price"}), &prices()), "sku", "U0612", "there would be two columns `price`"),
        (misfit::<Select>(json!(["id", {"id": "1"}]), &prices()), "[1]", "U0612", "there would be two columns `id`"),
        (
            misfit::<Derive>(json!({"id": "1"}), &prices()),
            "id",
            "U0611",
            "column `id` is part of the key, and would become another",
        ),
        (misfit::<Derive>(json!({"x": "prize + 1"}), &prices()), "x", "U0601", "there is no column `prize`"),
        (misfit::<Derive>(json!({}), &prices()), "", "U0613", "no column is named"),
        (
            misfit::<Cast>(json!({"price": "timestamp"}), &prices()),
            "price",
            "U0614",
            "a decimal(12,2) cannot be cast to timestamp",
        ),
        (
            misfit::<Filter>(json!("price"), &prices()),
            "",
            "U0607",
            "a condition must be a bool, and this is a decimal(12,2)",
        ),
        (
            misfit::<Mask>(json!({"id": "redact"}), &prices()),
            "id",
            "U0611",
            "column `id` is part of the key, and different rows would get the same key",
        ),
        (
            misfit::<Mask>(json!({"sku": {"keep_last": 0}}), &prices()),
            "sku.keep_last",
            "U0615",
            "`keep_last` must be 1 to 64",
        ),
        (
            misfit::<Route>(json!({"to": "a b"}), &prices()),
            "to",
            "U0616",
            "a stream's name has letters, digits, `.`, `_` and `-`, at most 200",
        ),
        (
            misfit::<Route>(json!([{"to": "a"}, {"to": "b"}]), &prices()),
            "[0].to",
            "U0616",
            "the cases after this one are never reached: it takes every row",
        ),
        (
            misfit::<Route>(json!([{"to": "a", "when": "pri > 1"}]), &prices()),
            "[0].when",
            "U0601",
            "there is no column `pri`",
        ),
    ] {
        let first = &found[0];
        assert_eq!((first.path.as_str(), first.code, first.message.as_str()), (path, code, message), "{found:?}");
    }
    // all at once
    assert_eq!(misfit::<Derive>(json!({"a": "b", "c": "d", "e": "1"}), &prices()).len(), 2);
}

#[test]
fn columns_are_derived_from_the_row_as_it_was() {
    let batch = apply::<Derive>(json!({"sku": "'x' || sku", "copy": "sku", "gross": "price * 1.19"}), prices());
    assert_eq!(rows(&batch)[0], "id=1 sku=xNL-1 price=12.50 copy=NL-1 gross=14.8750");
    assert_eq!(rows(&batch)[2], "id=3 sku=∅ price=∅ copy=∅ gross=∅");
}

#[test]
fn rows_that_fail_are_refused_alone_with_code_and_without_values() {
    let batch = apply::<Derive>(json!({"each": "100 / price"}), prices());
    assert_eq!(rows(&batch), ["id=1 sku=NL-1 price=12.50 each=8.000000", "id=3 sku=∅ price=∅ each=∅"]);
    let refused = &batch.rejected[0];
    assert_eq!(
        (refused.code.as_ref(), refused.message.as_str()),
        ("division_by_zero", "`derive` of `each`: division by zero")
    );
    assert_eq!(refused.origin.to_string(), "prices#2");
    let batch = apply::<Cast>(json!({"sku": "int64"}), prices());
    assert_eq!((rows(&batch).len(), batch.rejected.len()), (1, 2));
    assert!(batch.rejected.iter().all(|r| r.code == "bad_cast" && !r.message.contains("NL-")), "{:?}", batch.rejected);
}

#[test]
fn a_filter_leaves_out_what_is_false_or_null() {
    let stepped = bench::stepped::<Filter>(json!("price > 0"), prices());
    assert_eq!((rows(&stepped.batches[0]).len(), stepped.filtered), (1, 2));
    let stepped = bench::stepped::<Filter>(json!("10 / price > 0"), prices());
    let batch = &stepped.batches[0];
    assert_eq!((rows(batch).len(), stepped.filtered, batch.rejected.len()), (1, 1, 1));
    assert_eq!(batch.rejected[0].message, "`filter`: division by zero");
}

#[test]
fn an_update_that_no_longer_fits_becomes_a_delete_of_the_key_that_readers_know() {
    let batch = change(COLUMNS, &["id"], &["u 7 A 0.00", "u 8 B 1.00", "d 9 ∅ ∅", "c 10 D 0.00", "r 11 E 2.00"]);
    let old = rows_of(COLUMNS, &["1 A 5.00", "8 B 3.00", "9 C 1.00", "∅ ∅ ∅", "∅ ∅ ∅"]);
    let stepped = bench::stepped::<Filter>(json!("price > 0"), Batch { before: Some(old), ..batch });
    let batch = &stepped.batches[0];
    assert_eq!(batch.ops, Ops::PerRow(vec![Op::Delete, Op::Update, Op::Delete, Op::Read]));
    // the row was known as 1 before it became 7
    assert_eq!(rows(batch)[0], "id=1 sku=A price=5.00");
    assert_eq!((stepped.filtered, batch.rejected.len()), (1, 0));
    batch.check().unwrap();
}

#[test]
fn a_cell_that_was_not_sent_is_taken_from_the_old_row_or_the_row_is_refused() {
    let updates = || marked(change(COLUMNS, &["id"], &["u 1 A ∅", "u 2 B ∅"]), &[(2, 0), (2, 1)]);
    let old = rows_of(COLUMNS, &["1 A 5.00", "∅ ∅ ∅"]);
    let stepped = bench::stepped::<Filter>(json!("price > 0"), Batch { before: Some(old.clone()), ..updates() });
    let batch = &stepped.batches[0];
    assert_eq!((rows(batch).len(), batch.rejected[0].code.as_ref()), (1, "old_row_needed"));
    // what follows from nothing but cells that did not change did not change either
    let batch = apply::<Derive>(json!({"double": "price * 2"}), Batch { before: Some(old), ..updates() });
    assert_eq!(rows(&batch), ["id=1 sku=A price=∅ double=10.00", "id=2 sku=B price=∅ double=∅"]);
    assert_eq!(batch.marks.as_ref().unwrap().at(3, 1), Some(&Mark::Unchanged));
    assert_eq!(batch.marks.as_ref().unwrap().at(3, 0), None);
    let batch = apply::<Derive>(json!({"both": "sku || price"}), updates());
    assert_eq!((rows(&batch).len(), batch.rejected.len()), (0, 2));
    // marks go with their cells
    let batch = apply::<Drop>(json!(["sku"]), updates());
    assert_eq!(batch.marks.as_ref().unwrap().at(1, 1), Some(&Mark::Unchanged));
}

#[test]
fn a_delete_needs_its_key_and_nothing_else() {
    let batch = || marked(change(COLUMNS, &["id"], &["d 1 ∅ ∅"]), &[(1, 0), (2, 0)]);
    let derived = apply::<Derive>(json!({"each": "id / price"}), batch());
    assert_eq!((rows(&derived), derived.rejected.len()), (vec!["id=1 sku=∅ price=∅ each=∅".to_owned()], 0));
    assert_eq!(rows(&apply::<Filter>(json!("price > 0"), batch())).len(), 1);
    assert_eq!(rows(&apply::<Cast>(json!({"sku": "int64", "id": "string"}), batch())), ["id=1 sku=∅ price=∅"]);
    // but to find the stream that it is in, the column that tells it
    let routed = apply::<Route>(json!({"to": "a", "when": "price > 0"}), batch());
    assert_eq!(routed.rejected[0].code, "old_row_needed");
}

#[test]
fn a_value_that_is_no_number_is_passed_on_but_not_computed_with() {
    let mut batch = prices();
    batch.marks.get_or_insert_default().set(2, 2, Mark::NotANumber);
    let derived = apply::<Derive>(json!({"more": "price + 1"}), batch.clone());
    assert_eq!(derived.rejected[0].code, "unusable_value");
    let renamed = apply::<Rename>(json!({"price": "p"}), batch);
    assert_eq!(renamed.marks.unwrap().at(2, 2), Some(&Mark::NotANumber));
}

#[test]
fn old_images_go_the_same_way() {
    let batch = change(COLUMNS, &["id"], &["u 1 A 2.00", "c 2 B 3.00", "u 3 C 4.00"]);
    let old = rows_of(COLUMNS, &["1 A 1.00", "∅ ∅ ∅", "3 C 0.00"]);
    let batch = apply::<Derive>(
        json!({"each": "6 / price", "flag": "coalesce(sku, 'none')"}),
        Batch { before: Some(old), ..batch },
    );
    let before = batch.before.as_ref().unwrap();
    assert_eq!(
        bench::texts(before),
        [
            "id=1 sku=A price=1.00 each=6.000000 flag=A",
            "id=∅ sku=∅ price=∅ each=∅ flag=∅",
            "id=3 sku=C price=0.00 each=∅ flag=C"
        ]
    );
    // an old value that fails costs nobody the row
    assert_eq!(batch.before_marks.as_ref().unwrap().at(3, 2), Some(&Mark::Unchanged));
    assert_eq!((rows(&batch).len(), batch.rejected.len()), (3, 0));
}

#[test]
fn masked_values_cannot_be_read() {
    let batch = || {
        table(
            "id: int64, name: string, iban: string, age: int32, born: date",
            &["id"],
            &["1 Ada DE1234567890 36 1815-12-10", "2 ∅ DE12 ∅ ∅"],
        )
    };
    let masked = apply::<Mask>(
        json!({"name": "redact", "iban": {"keep_last": 4}, "age": "redact", "born": {"keep_first": 4}}),
        batch(),
    );
    assert_eq!(
        rows(&masked),
        ["id=1 name=*** iban=********7890 age=∅ born=1815******", "id=2 name=∅ iban=**** age=∅ born=∅"]
    );
    let hashed = |salt: &str| {
        rows(&bench::salted::<Mask>(
            json!({"id": {"hash": {"salt": {"secret": "m/s"}}}, "name": {"hash": {"salt": {"secret": "m/s"}}}}),
            batch(),
            salt,
        ))
    };
    // python3 -c 'import hmac; print(hmac.digest(b"pepper", b"1", "sha256").hex())', and of `Ada`
    assert!(hashed("pepper")[0].starts_with("id=13c71d08eed0daa49c1292d5877aad4b1cbc4707a5c631693fe684ebb7b91ebd name=7c1298a5d30893313a86a773b11c17585155c2acff715b510512e3fb57f9fb9c "), "{:?}", hashed("pepper"));
    assert_ne!(hashed("pepper"), hashed("salt"));
    assert!(hashed("pepper")[1].contains("name=∅"));
    let unreadable = bench::unsalted::<Mask>(json!({"name": {"hash": {"salt": {"secret": "m/s"}}}}), &batch());
    assert!(unreadable.message.starts_with("the salt cannot be read"), "{unreadable:?}");
    // a mark may hold the value as text
    let mut marks = batch();
    marks.marks.get_or_insert_default().set(1, 0, Mark::OutOfRange("Ada".into()));
    assert_eq!(apply::<Mask>(json!({"name": "redact"}), marks).rejected[0].code, "unusable_value");
}

#[test]
fn rows_are_routed_by_the_first_case_that_takes_them() {
    let batch = || table("id: int64, country: string", &["id"], &["1 DE", "2 FR", "3 ∅", "4 DE", "5 d/e"]);
    let cases = json!([{"to": "de", "when": "country = 'DE'"}, {"to": {"expr": "'x.' || lower(country)"}, "when": "id < 4 or id = 5"}]);
    let stepped = bench::stepped::<Route>(cases, Batch { advance: Some(Default::default()), ..batch() });
    let by_stream: Vec<(String, Vec<String>)> =
        stepped.batches.iter().map(|b| (b.stream.to_string(), rows(b))).collect();
    assert_eq!(
        by_stream,
        [
            ("de".to_owned(), vec!["id=1 country=DE".to_owned(), "id=4 country=DE".to_owned()]),
            ("x.fr".to_owned(), vec!["id=2 country=FR".to_owned()])
        ]
    );
    let refused: Vec<(&str, String)> =
        stepped.batches[1].rejected.iter().map(|r| (r.code.as_ref(), r.origin.to_string())).collect();
    assert_eq!(refused, [("no_stream", "prices#3".to_owned()), ("no_stream", "prices#5".to_owned())]);
    // only the last is a safe place to stop
    assert!(stepped.batches[0].advance.is_none() && stepped.batches[1].advance.is_some());
    for part in &stepped.batches {
        part.check().unwrap();
    }
    let stays = apply::<Route>(json!({"to": "de", "when": "false"}), batch());
    assert_eq!((stays.stream.as_str(), rows(&stays).len()), ("prices", 5));
    let emptied = Batch { ops: Ops::Truncate, ..table("id: int64, country: string", &["id"], &[]) };
    let emptied = bench::stepped::<Route>(json!([{"to": "de", "when": "id = 1"}, {"to": "fr"}]), emptied);
    let streams: Vec<&str> = emptied.batches.iter().map(|b| b.stream.as_str()).collect();
    assert_eq!(streams, ["de", "fr"]);
}

#[test]
fn a_case_that_fails_for_a_row_that_is_taken_already_costs_nothing() {
    let batch = table("id: int64, n: int64", &[], &["1 0", "2 1"]);
    let cases = json!([{"to": "zero", "when": "n = 0"}, {"to": "one", "when": "1 / n = 1"}]);
    let stepped = bench::stepped::<Route>(cases, batch);
    assert_eq!(stepped.batches.iter().map(|b| b.rejected.len()).sum::<usize>(), 0);
    assert_eq!(stepped.batches.len(), 2);
}
