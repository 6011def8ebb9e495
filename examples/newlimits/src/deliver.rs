use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::truth::FileTruth;

/// What to do when a file of this name still lies in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SameName {
    /// Replace it, as a plain job does; what nobody has read by then is gone.
    Replace,
    /// Wait up to a minute until a reader has taken it away, else fail. For readers that move or delete what they have
    /// read; a parked file stays where it is, so the one that replaces it never comes.
    Wait,
}

/// Drops files into a folder as a careful nightly job does: written whole under a hidden name, then renamed.
#[derive(Clone, Debug)]
pub struct DropFolder {
    folder: PathBuf,
    marker: Option<String>,
    same_name: SameName,
}

const WAIT_MAX: Duration = Duration::from_secs(60);
const WAIT_STEP: Duration = Duration::from_millis(20);

impl DropFolder {
    /// With a `marker` such as `.done`, an empty file `NAME.done` appears after each file.
    pub fn new(folder: impl Into<PathBuf>, marker: Option<String>, same_name: SameName) -> Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|error| Error::at("creating", &folder, error))?;
        Ok(Self { folder, marker, same_name })
    }

    /// Drops one generated file; `generated` is the folder of its truth file.
    pub fn drop_file(&self, generated: &Path, file: &FileTruth) -> Result<PathBuf> {
        let target = self.folder.join(&file.name);
        if self.same_name == SameName::Wait {
            wait_until_gone(&target)?;
        }
        let marker = self.marker.as_ref().map(|suffix| self.folder.join(format!("{}{suffix}", file.name)));
        if let Some(marker) = &marker
            && marker.exists()
        {
            fs::remove_file(marker).map_err(|error| Error::at("removing", marker, error))?;
        }
        let from = generated.join(&file.path);
        let content = fs::read(&from).map_err(|error| Error::at("reading", &from, error))?;
        self.put(&target, &content)?;
        if let Some(marker) = &marker {
            self.put(marker, b"")?;
        }
        Ok(target)
    }

    fn put(&self, target: &Path, content: &[u8]) -> Result<()> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let hidden = self.folder.join(format!(".{name}.part"));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&hidden)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&hidden, target)
        };
        write().map_err(|error| Error::at("dropping", target, error))
    }
}

fn wait_until_gone(target: &Path) -> Result<()> {
    let begun = Instant::now();
    while target.exists() {
        if begun.elapsed() > WAIT_MAX {
            return Err(Error::new(format!("waiting for a reader to take {} away", target.display())));
        }
        thread::sleep(WAIT_STEP);
    }
    Ok(())
}
