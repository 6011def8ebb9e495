//! Where an open file stands: text that sorts as the rows do.

use unbatch_api::{Error, Part, Position, Result};

/// After how many records, physical lines and bytes; the next record begins exactly there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Records read, the header not counted, rejected ones counted.
    pub row: u64,
    /// Physical line of the next record, from 1.
    pub line: u64,
    /// Offset of the next record.
    pub byte: u64,
}

pub const PART_PREFIX: &str = "file/";

impl Place {
    /// The beginning of a file.
    pub const START: Place = Place { row: 0, line: 1, byte: 0 };

    /// `row 000000001200 line 000000001201 byte 000000000049152`.
    pub fn to_position(self) -> Position {
        Position::from(format!("row {:012} line {:012} byte {:015}", self.row, self.line, self.byte))
    }

    pub fn parse(position: &Position) -> Result<Self> {
        let mut words = position.as_str().split(' ');
        let mut number = |name: &str| {
            let named = words.next() == Some(name);
            words.next().filter(|_| named)?.parse::<u64>().ok()
        };
        match (number("row"), number("line"), number("byte")) {
            (Some(row), Some(line), Some(byte)) => Ok(Place { row, line, byte }),
            _ => Err(Error::lost("reading the position of a file failed")
                .code("U0225")
                .with("position", position)
                .help("it was not written by this connector; `unbatch offsets set` can forget the file")),
        }
    }
}

pub fn part_of(id: &str) -> Part {
    Part::from(format!("{PART_PREFIX}{id}"))
}

/// The id in a part's name; `None` when it is not a part of ours.
pub fn id_in(part: &Part) -> Option<&str> {
    part.as_str().strip_prefix(PART_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_round_trip_and_sort() {
        let small = Place { row: 9, line: 12, byte: 900 };
        let large = Place { row: 10, line: 13, byte: 1_000_000 };
        assert_eq!(Place::parse(&large.to_position()).unwrap(), large);
        assert!(small.to_position() < large.to_position());
        assert_eq!(small.to_position().as_str(), "row 000000000009 line 000000000012 byte 000000000000900");
        assert!(Place::parse(&Position::from("0/16B3748")).is_err());
    }
}
