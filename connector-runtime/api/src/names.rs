//! Names of what is durable. They are narrow (`[a-z0-9-]`) so that ids built from them can never collide.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Partitions of the internal topics `<deployment>.lanes` and `<deployment>.state`, frozen at the deployment's first start.
pub const LANES: u32 = 128;

/// `[a-z0-9]+(-[a-z0-9]+)*`, at most 12 characters; prefix of everything durable, so that staging and production never meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct DeploymentName(Arc<str>);

/// `[a-z0-9]+(-[a-z0-9]+)*`, at most 40 characters; equal to the name of the pipeline's file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PipelineName(Arc<str>);

/// A table, a file set, a topic: what fills `{stream}` in a sink's names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamName(Arc<str>);

/// Which of a pipeline's splits. Replay of quarantined rows is a split of its own, with its own id and fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SplitIndex {
    Number(u32),
    Replay,
}

/// The unit of ownership, fencing and parallelism: one source, one sink, one state record. Printed `shop-cdc/0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SplitId {
    pub pipeline: PipelineName,
    pub index: SplitIndex,
}

impl DeploymentName {
    pub const LENGTH_MAX: usize = 12;
    pub fn parse(text: &str) -> Result<Self, String> {
        check_name(text, Self::LENGTH_MAX).map(|()| Self(text.into()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PipelineName {
    pub const LENGTH_MAX: usize = 40;
    pub fn parse(text: &str) -> Result<Self, String> {
        check_name(text, Self::LENGTH_MAX).map(|()| Self(text.into()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StreamName {
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SplitId {
    pub fn new(pipeline: PipelineName, index: u32) -> Self {
        Self { pipeline, index: SplitIndex::Number(index) }
    }
    /// The lane that carries this split: `(murmur2(pipeline) + index) mod lanes`; replay goes with split 0.
    pub fn lane(&self, lanes: u32) -> u32 {
        let index = match self.index {
            SplitIndex::Number(n) => n,
            SplitIndex::Replay => 0,
        };
        (murmur2(self.pipeline.as_str().as_bytes()) & 0x7fff_ffff).wrapping_add(index) % lanes
    }
}

impl fmt::Display for DeploymentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Display for PipelineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Display for SplitIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SplitIndex::Number(n) => write!(f, "{n}"),
            SplitIndex::Replay => f.write_str("replay"),
        }
    }
}
impl fmt::Display for SplitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pipeline, self.index)
    }
}

fn check_name(text: &str, length_max: usize) -> Result<(), String> {
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if text.len() > length_max {
        return Err(format!("has {} characters, at most {length_max} are allowed", text.len()));
    }
    if !text.split('-').all(word) {
        return Err("must be lowercase letters and digits in words joined by single dashes, like `stock-counts`".into());
    }
    Ok(())
}

/// Kafka's own hash, as Java's `org.apache.kafka.common.utils.Utils.murmur2`: 32-bit MurmurHash2 with seed 0x9747b28c.
/// The Java partitioner uses `(murmur2(key) & 0x7fffffff) % partitions`.
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h: u32 = 0x9747_b28c ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_equals_the_values_of_javas_own_unit_test() {
        // org.apache.kafka.common.utils.UtilsTest.testMurmur2
        let cases: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in cases {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn names_are_narrow() {
        for good in ["a", "stock-counts", "a1-b2-c3"] {
            assert!(PipelineName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a_b", "a.b", &"x".repeat(41)] {
            assert!(PipelineName::parse(bad).is_err(), "{bad}");
        }
        assert!(DeploymentName::parse("abcdefghijklm").is_err());
    }

    #[test]
    fn neighbouring_splits_have_neighbouring_lanes() {
        let name = PipelineName::parse("shop-cdc").unwrap();
        let lane = |i| SplitId::new(name.clone(), i).lane(LANES);
        assert_eq!((lane(0) + 1) % LANES, lane(1));
        assert_eq!(lane(0), lane(LANES));
    }
}
