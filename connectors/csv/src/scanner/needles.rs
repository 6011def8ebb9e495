//! Which of 64 bytes are among four.

/// One bit for each byte of `chunk` that is one of the needles.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn find(chunk: &[u8; 64], needles: [u8; 4]) -> u64 {
    // SAFETY: SSE2, the only feature it asks for, is part of every x86_64.
    unsafe { find_sse2(chunk, needles) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub fn find(chunk: &[u8; 64], needles: [u8; 4]) -> u64 {
    find_in_words(chunk, needles)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
fn find_sse2(chunk: &[u8; 64], needles: [u8; 4]) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8};
    let [a, b, c, d] = needles.map(|n| _mm_set1_epi8(n as i8));
    let mut mask = 0;
    let (quarters, _) = chunk.as_chunks::<16>();
    for (i, quarter) in quarters.iter().enumerate() {
        let halves = quarter.as_chunks::<8>().0;
        let bytes = _mm_set_epi64x(i64::from_le_bytes(halves[1]), i64::from_le_bytes(halves[0]));
        let ab = _mm_or_si128(_mm_cmpeq_epi8(bytes, a), _mm_cmpeq_epi8(bytes, b));
        let cd = _mm_or_si128(_mm_cmpeq_epi8(bytes, c), _mm_cmpeq_epi8(bytes, d));
        mask |= (_mm_movemask_epi8(_mm_or_si128(ab, cd)) as u32 as u64) << (16 * i);
    }
    mask
}

/// The same with plain 64-bit words, for machines of other kinds.
#[cfg(any(test, not(target_arch = "x86_64")))]
pub fn find_in_words(chunk: &[u8; 64], needles: [u8; 4]) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const LOW: u64 = ONES * 0x7f;
    let splats = needles.map(|n| ONES * u64::from(n));
    let mut mask = 0;
    for (i, word) in chunk.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // the high bit of each byte that equals the needle; exact, no borrow runs into a neighbour
        let hits = splats.iter().fold(0, |hits, splat| {
            let x = word ^ splat;
            hits | !(((x & LOW) + LOW) | x | LOW)
        });
        mask |= ((hits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    mask
}
