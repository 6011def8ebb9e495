//! Any bytes as a file in any dialect; what is promised is said in `unbatch_csv::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| unbatch_csv::fuzz::read_any(data));
