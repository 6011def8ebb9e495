//! The rules, applied to this checkout.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use unbatch_tidy_tests::{
    Allowed, Tree, arrows, connector_files, forbidden_calls, links, machine_places, one_arrow, own_folders, reasons,
    sizes,
};

/// Places that are larger than the rule says, with the reason. This list only ever gets shorter.
const ALLOWED: &[Allowed] = &[];

#[track_caller]
fn holds(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}: broken in {} places\n  {}", broken.len(), broken.join("\n  "));
}

fn tree() -> Tree {
    Tree::checkout().unwrap()
}

#[test]
fn crates_lean_only_on_what_architecture_allows() {
    holds("allowed arrows", &arrows(&tree()));
}

#[test]
fn files_and_functions_can_be_read() {
    holds("sizes", &sizes(&tree(), ALLOWED));
}

#[test]
fn no_forbidden_calls() {
    holds("forbidden calls", &forbidden_calls(&tree()));
}

#[test]
fn every_connector_has_the_same_files() {
    holds("files of connectors", &connector_files(&tree()));
}

#[test]
fn the_project_stands_alone() {
    holds("places of a machine", &machine_places(&tree(), &own_folders()));
}

#[test]
fn every_dependency_has_a_reason() {
    holds("reasons in Cargo.toml", &reasons(&tree()));
}

#[test]
fn links_lead_somewhere() {
    holds("links in Markdown", &links(&tree()));
}

#[test]
fn there_is_one_arrow() {
    holds("one Arrow", &one_arrow(&tree()));
}
