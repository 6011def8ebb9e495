//! The entry point of the fuzz target with random bytes that are dense in what matters. `UNBATCH_SEED` repeats a run.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const PIECES: [&[u8]; 20] = [
    b"\"",
    b",",
    b"\n",
    b"\r",
    b"\r\n",
    b"||",
    b"|",
    b"|\n",
    b"\\",
    b"\\\"",
    b"\\N",
    b"a",
    b"1",
    b"23",
    b" ",
    b"T",
    b"T,2,",
    b".",
    "\u{20ac}".as_bytes(),
    b"\0",
];

#[test]
fn any_bytes_are_read_as_promised() {
    let seed = std::env::var("UNBATCH_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("UNBATCH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut read = 0;
    for _ in 0..600 {
        let mut data = vec![random.random::<u8>(), random.random::<u8>()];
        for _ in 0..random.random_range(0..60) {
            match random.random_range(0..20) {
                0 => data.push(random.random::<u8>()),
                _ => data.extend_from_slice(PIECES[random.random_range(0..PIECES.len())]),
            }
        }
        unbatch_csv::fuzz::read_any(&data);
        read += data.len();
    }
    assert!(read > 8_000, "only {read} bytes were tried");
}

#[test]
fn files_of_a_few_bytes_are_read() {
    for which in 0..9u8 {
        for byte in
            [0, b'\t', b'\n', b'\r', 0x1a, b' ', b'"', b',', b'1', b'T', b'\\', b'a', b'|', 0x7f, 0xc3, 0xef, 0xff]
        {
            unbatch_csv::fuzz::read_any(&[which, 0, byte]);
            unbatch_csv::fuzz::read_any(&[which, 1, b'a', byte, b'\n', byte]);
        }
        unbatch_csv::fuzz::read_any(&[which, 1]);
    }
}
