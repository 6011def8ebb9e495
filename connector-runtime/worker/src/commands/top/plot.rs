//! A series of numbers in one line of text.

const UNICODE: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 8] = ['_', '.', '-', ':', '=', '+', '*', '#'];

/// The series in `cells` characters, the newest at the right end, the greatest as the highest. Several numbers that share a
/// character are added; where there is none yet, the line is blank. Only nothing is drawn as nothing.
pub(super) fn line(series: &[u64], cells: usize, slices_max: usize, unicode: bool) -> String {
    if cells == 0 {
        return String::new();
    }
    let shared = slices_max.div_ceil(cells).max(1);
    let mut sums: Vec<u64> = series.rchunks(shared).map(|chunk| chunk.iter().sum()).collect();
    sums.truncate(cells);
    sums.reverse();
    let levels = if unicode { UNICODE } else { ASCII };
    let greatest = sums.iter().copied().max().unwrap_or(0);
    // seven steps above nothing
    let level = |sum: u64| levels[(u128::from(sum) * 7).div_ceil(u128::from(greatest.max(1))) as usize];
    let drawn: String = sums.iter().map(|sum| level(*sum)).collect();
    format!("{}{drawn}", " ".repeat(cells - sums.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stands_right_and_only_nothing_looks_like_nothing() {
        assert_eq!(line(&[0, 1, 50, 100], 6, 6, true), "  ▁▂▅█");
        assert_eq!(line(&[0, 1, 50, 100], 6, 6, false), "  _.=#");
        assert_eq!(line(&[0, 0], 4, 4, true), "  ▁▁");
        assert_eq!((line(&[], 3, 60, true).as_str(), line(&[1], 0, 60, true).as_str()), ("   ", ""));
        assert_eq!(line(&[u64::MAX, 1], 2, 2, true), "█▂");
    }

    #[test]
    fn what_has_no_room_is_added_up() {
        // six numbers in two characters: three each
        assert_eq!(line(&[9, 1, 1, 1, 2, 2, 2], 2, 6, true), "▅█");
        assert_eq!(line(&[5; 60], 100, 60, true).trim_start().chars().count(), 60);
    }
}
