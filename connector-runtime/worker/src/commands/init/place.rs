//! Where a drafted pipeline goes: its name, its file, and the schema file that its first line leads editors to.

use crate::dev;
use crate::failure::Outcome;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use unbatch_api::draft::{absolute, way};
use unbatch_api::{Error, PipelineName};

/// Where pipelines are looked for first.
const USUAL_FOLDER: &str = "pipelines";
const SCHEMA: &str = "pipeline.schema.json";

/// What `--output` says.
pub(super) enum Place {
    Stdout,
    /// This file, whose name is the pipeline's.
    File {
        file: PathBuf,
        name: PipelineName,
        base: PathBuf,
    },
    /// A file of the pipeline's name in this folder.
    Folder {
        folder: PathBuf,
        base: PathBuf,
    },
}

/// Files to be written.
pub(super) struct Target {
    pub(super) file: PathBuf,
    pub(super) schema: PathBuf,
    /// The way from the first to the second.
    pub(super) modeline: String,
}

impl Place {
    pub(super) fn of(output: Option<&Path>) -> Outcome<Self> {
        let Some(path) = output else {
            let folder = usual_folder();
            return Ok(Place::Folder { base: absolute(&folder), folder });
        };
        if path == Path::new("-") {
            return Ok(Place::Stdout);
        }
        if path.is_dir() {
            return Ok(Place::Folder { base: absolute(path), folder: path.to_owned() });
        }
        let odd = |help: String| {
            Error::misconfigured("naming the pipeline file failed, the name of a pipeline file is PIPELINE.yaml")
                .code("U0737")
                .with("path", path.display())
                .help(help)
        };
        let stem = match (path.extension().and_then(|e| e.to_str()), path.file_stem().and_then(|s| s.to_str())) {
            (Some("yaml"), Some(stem)) => stem,
            _ => return Err(odd("end it in .yaml; - is standard output".into()).into()),
        };
        let name = PipelineName::parse(stem).map_err(|why| odd(format!("the name {why}; `{}` would do", fit(stem))))?;
        let base = absolute(path).parent().map(Path::to_owned).unwrap_or_default();
        // a slip in the path would make folders that nobody looks into; the usual one is made as it is without --output
        if !base.is_dir() && path.parent() != Some(Path::new(USUAL_FOLDER)) {
            return Err(Error::misconfigured("naming the pipeline file failed, its folder is not there")
                .code("U0737")
                .with("folder", base.display())
                .help("make the folder first, or mend the path; without --output it is pipelines/")
                .into());
        }
        Ok(Place::File { file: path.to_owned(), name, base })
    }

    /// Absolute folder of the file, when there will be one.
    pub(super) fn base(&self) -> Option<&Path> {
        match self {
            Place::Stdout => None,
            Place::File { base, .. } | Place::Folder { base, .. } => Some(base),
        }
    }
    /// The file, when it is known before the pipeline has a name.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Place::File { file, .. } => Some(file),
            _ => None,
        }
    }
    /// The pipeline's name: as the file is called, else made of what was found.
    pub(super) fn pipeline(&self, found: &str) -> Outcome<PipelineName> {
        match self {
            Place::File { name, .. } => Ok(name.clone()),
            _ => Ok(PipelineName::parse(&fit(found))
                .map_err(|why| Error::bug(format!("naming the pipeline failed: the name {why}")).code("U0738"))?),
        }
    }
    pub(super) fn target(&self, name: &PipelineName) -> Option<Target> {
        let file = match self {
            Place::Stdout => return None,
            Place::File { file, .. } => file.clone(),
            Place::Folder { folder, .. } => folder.join(format!("{name}.yaml")),
        };
        let schema = Path::new(dev::FOLDER).join(SCHEMA);
        let modeline = way(self.base()?, &absolute(&schema)).display().to_string();
        Some(Target { file, schema, modeline })
    }
}

pub(super) fn refuse_existing(file: &Path, force: bool) -> Outcome<()> {
    if force || !file.exists() {
        return Ok(());
    }
    Err(Error::misconfigured("writing the pipeline file failed, there is one already")
        .code("U0736")
        .with("file", file.display())
        .help(
            "give another name with --output, or replace it with --force; --output - only shows what would be written",
        )
        .into())
}

/// Whole or not at all; without `force` nothing is replaced, whoever was faster.
pub(super) fn write(file: &Path, text: &str, force: bool) -> Outcome<()> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| unwritable(folder, e))?;
    if !force {
        return match File::create_new(file) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => refuse_existing(file, false),
            made => Ok(made.and_then(|f| fill(f, file, text)).map_err(|e| unwritable(file, e))?),
        };
    }
    Ok(replace(file, text).map_err(|e| unwritable(file, e))?)
}

/// What could not be written whole, on a full disk, is taken away again.
fn fill(mut made: File, file: &Path, text: &str) -> std::io::Result<()> {
    let written = made.write_all(text.as_bytes());
    if written.is_err() {
        let _ = fs::remove_file(file);
    }
    written
}

/// Makes the schema file that editors read, new with each draft: it belongs to this binary.
pub(super) fn write_schema(file: &Path, text: &str) -> Outcome<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| schema_unwritable(folder, e))?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        // nothing in here belongs into a repository
        fs::write(&ignore, "*\n").map_err(|e| schema_unwritable(&ignore, e))?;
    }
    Ok(replace(file, text).map_err(|e| schema_unwritable(file, e))?)
}

fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(format!(".{}~", std::process::id()));
    let draft = PathBuf::from(draft);
    let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, file));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

/// The schema has one place, whatever --output says.
fn schema_unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::misconfigured("writing the schema that editors read failed")
        .code("U0737")
        .with("path", path.display())
        .help("it stands beside what `run --dev` keeps in the current folder: give this user the right to write there, or make room; --output - writes no file")
        .caused_by(cause)
}

fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::misconfigured("writing the pipeline file failed")
        .code("U0737")
        .with("path", path.display())
        .help("work in a folder that can be written to and has room, or name another place with --output; - is standard output")
        .caused_by(cause)
}

/// `pipelines/`, unless pipelines lie in the current folder, which nobody would find any more beside that.
fn usual_folder() -> PathBuf {
    let usual = Path::new(USUAL_FOLDER);
    let is_pipeline = |path: &Path| {
        let is_yaml = path.extension().is_some_and(|e| e == "yaml");
        is_yaml && fs::read_to_string(path).is_ok_and(|text| text.lines().any(|l| l.starts_with("pipeline:")))
    };
    let here = fs::read_dir(".").into_iter().flatten().flatten().any(|e| is_pipeline(&e.path()));
    if here && !usual.is_dir() { PathBuf::new() } else { usual.to_owned() }
}

/// Makes a pipeline's name of any text.
fn fit(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => name.push(c),
            'ä' => name.push_str("ae"),
            'ö' => name.push_str("oe"),
            'ü' => name.push_str("ue"),
            'ß' => name.push_str("ss"),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
    }
    name.truncate(PipelineName::LENGTH_MAX);
    let name = name.trim_matches('-');
    if name.is_empty() { "pipeline".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_the_name_of_a_pipeline() {
        for (text, name) in [
            ("stock_HAM_ ", "stock-ham"),
            ("Größe & Maße", "groesse-masse"),
            ("--", "pipeline"),
            ("日本", "pipeline"),
            ("a..b", "a-b"),
            ("x".repeat(60).as_str(), "x".repeat(40).as_str()),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ] {
            assert_eq!(fit(text), name, "{text}");
            assert!(PipelineName::parse(&fit(text)).is_ok());
        }
    }

    #[test]
    fn an_output_is_a_yaml_file_of_the_pipelines_name() {
        let code = |path: &str| match Place::of(Some(Path::new(path))) {
            Err(crate::failure::Failure::Error(error)) => error.code_text(),
            _ => None,
        };
        assert_eq!((code("a.yml"), code("A_b.yaml"), code("a")), (Some("U0737"), Some("U0737"), Some("U0737")));
        let place = Place::of(Some(Path::new("pipelines/prices.yaml"))).ok().unwrap();
        let name = place.pipeline("other").ok().unwrap();
        let target = place.target(&name).unwrap();
        assert_eq!((name.as_str(), target.modeline.as_str()), ("prices", "../.unbatch/pipeline.schema.json"));
        assert!(matches!(Place::of(Some(Path::new("-"))), Ok(Place::Stdout)));
    }

    #[test]
    fn nothing_is_replaced_without_force() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/prices.yaml");
        assert!(write(&file, "a", false).is_ok());
        assert!(write(&file, "b", false).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "a");
        assert!(write(&file, "b", true).is_ok());
        assert_eq!(fs::read_to_string(&file).unwrap(), "b");
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }
}
