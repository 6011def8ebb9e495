//! Which files hold pipelines: those the command names, else the folder `pipelines/`, else the *.yaml of the current folder.

use crate::failure::{Failure, Outcome};
use std::path::{Path, PathBuf};
use unbatch_api::Error;
use unbatch_engine::Registry;
use unbatch_engine::config::{PipelineSpec, RUNTIME_FILE, load};

/// Looked into when a command names no path.
const USUAL_FOLDER: &str = "pipelines";

/// All pipeline files under `paths`, in order of their names within a folder; never none.
///
/// # Errors
///
/// Misconfigured when there is no such path or no file in it.
pub(crate) fn find(paths: &[PathBuf], runtime_file: Option<&Path>) -> Outcome<Vec<PathBuf>> {
    let usual = Path::new(USUAL_FOLDER);
    let places = match paths {
        [] if usual.is_dir() => vec![usual.to_owned()],
        [] => vec![PathBuf::from(".")],
        given => given.to_vec(),
    };
    let mut files = Vec::new();
    for place in &places {
        if place.is_dir() {
            files.extend(yaml_files(place, runtime_file)?);
        } else if place.exists() {
            files.push(place.clone());
        } else {
            return Err(Error::misconfigured("finding the pipeline files failed, there is no such path")
                .code("U0720")
                .with("path", place.display())
                .help(match file_of(place) {
                    Some(file) => format!("did you mean {}?", file.display()),
                    None => "name a pipeline file or a folder of them".to_owned(),
                })
                .into());
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    files.retain(|file| seen.insert(file.clone()));
    if files.is_empty() {
        let mut looked: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
        if paths.is_empty() && !usual.is_dir() {
            looked = vec![format!("{USUAL_FOLDER}/ (not there)"), "this folder".to_owned()];
        }
        return Err(Error::misconfigured("finding the pipeline files failed, there is none")
            .code("U0721")
            .with("looked in", looked.join(", "))
            .help("pipeline files end in .yaml: name one, or write one with `unbatch init --from csv FILE`")
            .into());
    }
    Ok(files)
}

/// The file of a pipeline whose name was given where a path is wanted.
fn file_of(name: &Path) -> Option<PathBuf> {
    let file = name.with_extension("yaml");
    [Path::new(USUAL_FOLDER).join(&file), file].into_iter().find(|file| file.is_file())
}

/// The pipeline of that name; it stands in the file of that name, so that no other file is read.
pub(crate) fn find_one(
    name: &str,
    paths: &[PathBuf],
    runtime: Option<&Path>,
    registry: &Registry,
) -> Outcome<PipelineSpec> {
    let files = find(paths, runtime)?;
    let Some(file) = files.iter().find(|file| stem(file) == name) else {
        let known: Vec<String> = files.iter().map(|f| stem(f)).collect();
        return Err(Error::misconfigured("finding the pipeline failed, no file has its name")
            .code("U0722")
            .with("pipeline", name)
            .with("there are", known.join(", "))
            .help("name one of these, or give its file with --path")
            .into());
    };
    let (specs, found) = load(std::slice::from_ref(file), registry);
    match specs.into_iter().find(|spec| spec.name.as_str() == name) {
        Some(spec) if !found.has_errors() => Ok(spec),
        _ => Err(Failure::Files { found, files: 1 }),
    }
}

/// The name of the pipeline that the file must hold.
pub(crate) fn stem(file: &Path) -> String {
    file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
}

fn yaml_files(folder: &Path, runtime_file: Option<&Path>) -> Outcome<Vec<PathBuf>> {
    let failed = |cause: std::io::Error| {
        Error::misconfigured("listing the pipeline files failed")
            .code("U0723")
            .with("folder", folder.display())
            .help("check that this user may read the folder")
            .caused_by(cause)
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.ends_with(".yaml") || name.starts_with('.') || name == RUNTIME_FILE {
            continue;
        }
        // `./a.yaml` reads as `a.yaml` in messages
        let path = if folder == Path::new(".") { PathBuf::from(name.as_ref()) } else { entry.path() };
        if path.is_file() && Some(path.as_path()) != runtime_file {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Outcome<Vec<PathBuf>>) -> Option<&'static str> {
        match result {
            Err(Failure::Error(error)) => error.code_text(),
            _ => None,
        }
    }

    #[test]
    fn a_folder_gives_its_yaml_files_in_order_without_the_runtime_file() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yaml", "c.yml", ".hidden.yaml", "unbatch.yaml", "other.yaml", "readme.md"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = find(&[folder.path().to_owned()], Some(&folder.path().join("other.yaml")));
        let names: Vec<_> = found.ok().unwrap().iter().map(|f| f.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["a.yaml", "b.yaml"]);
    }

    #[test]
    fn nothing_there_is_said_with_what_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(code(find(&[folder.path().join("no")], None)), Some("U0720"));
        assert_eq!(code(find(&[folder.path().to_owned()], None)), Some("U0721"));
    }
}
