//! Where the files of a round come from, and in which form.

use rand::Rng;
use rand::rngs::StdRng;

/// What the pipeline of a round reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Plain files in a folder.
    Folder,
    /// The same packed: gz of one member or several, zst, a few left plain, some damaged and delivered again whole.
    Packed,
    /// Each file the whole table as it stands that night: in a folder or on the S3 server, packed or not.
    Dump,
    /// An S3 server, which is killed and frozen in some rounds; plain files, or packed ones.
    S3,
}

impl Source {
    pub const ALL: [Source; 4] = [Source::Folder, Source::Packed, Source::Dump, Source::S3];

    /// As it is printed, and given in `UNBATCH_KILL_SOURCE`.
    pub fn name(self) -> &'static str {
        match self {
            Source::Folder => "folder",
            Source::Packed => "packed",
            Source::Dump => "dump",
            Source::S3 => "s3",
        }
    }

    pub fn by_name(name: &str) -> Option<Source> {
        Source::ALL.into_iter().find(|source| source.name() == name)
    }

    /// The source of a mixed round.
    pub fn draw(rng: &mut StdRng) -> Source {
        [Source::Folder, Source::Folder, Source::Packed, Source::Dump, Source::S3][rng.random_range(0..5)]
    }
}
