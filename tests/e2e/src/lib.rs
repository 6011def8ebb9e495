//! The examples as a user runs them, on the embedded broker and on Apache Kafka; see `tests/`.
