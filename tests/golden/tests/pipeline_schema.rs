//! The JSON Schema of pipeline files, which editors use; a change of it is a change for every user.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

use std::path::Path;

#[test]
fn the_schema_of_pipeline_files_is_the_kept_one() {
    let schema = unbatch_engine::config::pipeline_schema(&unbatch::connectors::built_in());
    let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipeline.schema.json");
    if std::env::var_os("UNBATCH_BLESS").is_some() {
        std::fs::write(&kept, &text).unwrap();
    }
    let before = std::fs::read_to_string(&kept).unwrap_or_default();
    assert!(before == text, "the schema changed; look at the change and take it over with UNBATCH_BLESS=1");
}
