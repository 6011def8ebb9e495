//! `unbatch schema`: what editors complete and check files with.

use super::Context;
use crate::answer::Answer;
use crate::arguments::{Schema, SchemaOf};
use crate::runtime_file::RuntimeConfig;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use unbatch_engine::config::pipeline_schema;

pub(crate) fn schema(args: &Schema, cx: &Context) -> Answer {
    let schema = match args.file {
        SchemaOf::Pipeline => pipeline_schema(&cx.registry),
        SchemaOf::Runtime => runtime_schema(),
    };
    Answer::new(format!("{schema:#}"), schema)
}

fn runtime_schema() -> Value {
    let generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    generator.into_root_schema_for::<RuntimeConfig>().to_value()
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
