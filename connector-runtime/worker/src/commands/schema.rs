//! `unbatch schema`: what editors complete and check files with.

use super::Context;
use crate::answer::Answer;
use crate::arguments::{Schema, SchemaOf};
use crate::runtime_file::RuntimeConfig;
use serde_json::Value;
use unbatch_engine::config::{pipeline_schema, schema_of};

pub(crate) fn schema(args: &Schema, cx: &Context) -> Answer {
    let schema = match args.file {
        SchemaOf::Pipeline => pipeline_schema(&cx.registry),
        SchemaOf::Runtime => runtime_schema(),
    };
    Answer::new(format!("{schema:#}"), schema)
}

fn runtime_schema() -> Value {
    schema_of::<RuntimeConfig>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_schema_names_every_key_and_refuses_others() {
        let schema = runtime_schema();
        for key in ["deployment", "kafka", "http", "memory", "secrets"] {
            assert!(schema["properties"][key].is_object(), "{key}");
        }
        assert_eq!(schema["additionalProperties"], false);
    }
}
