//! Which files hold pipelines: those the command names, else the folder `pipelines/`, else the *.yaml of the current folder.

use crate::failure::{Failure, Outcome};
use std::path::{Path, PathBuf};
use unbatch_api::Error;
use unbatch_engine::Registry;
use unbatch_engine::config::{PipelineSpec, RUNTIME_FILE, load, nearest};

/// Looked into when a command names no path.
const USUAL_FOLDER: &str = "pipelines";
/// Files that a message names.
const FILES_SHOWN: usize = 5;

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
                .help(meant(place, runtime_file))
                .into());
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    // one file may be named in two ways
    files.retain(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
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

/// Those of [`find`] that are there now; none is no error. A path that is gone takes no other with it.
pub(crate) fn find_present(paths: &[PathBuf], runtime_file: Option<&Path>) -> Vec<PathBuf> {
    let present: Vec<PathBuf> = paths.iter().filter(|path| path.exists()).cloned().collect();
    match present.is_empty() && !paths.is_empty() {
        true => Vec::new(),
        false => find(&present, runtime_file).unwrap_or_default(),
    }
}

/// What somebody meant who named a pipeline in place of its file, left out the ending, or misspelt either.
fn meant(wrong: &Path, runtime_file: Option<&Path>) -> String {
    let name = stem(wrong);
    let folders = match wrong.parent() {
        Some(parent) if parent != Path::new("") => vec![parent.to_owned()],
        _ => vec![PathBuf::from(USUAL_FOLDER), PathBuf::from(".")],
    };
    let files: Vec<PathBuf> =
        folders.iter().filter_map(|folder| yaml_files(folder, runtime_file).ok()).flatten().collect();
    let stems: Vec<String> = files.iter().map(|file| stem(file)).collect();
    // a name with a dot in it has no ending
    let whole = wrong.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let known = || stems.iter().map(String::as_str);
    let same = |name: &str| known().find(|stem| *stem == name);
    let found = same(&whole).or_else(|| same(&name)).or_else(|| nearest(&name, known()));
    if let Some(file) = found.and_then(|found| files.iter().find(|file| stem(file) == found)) {
        return format!("did you mean `{}`?", file.display());
    }
    let shown: Vec<String> = files.iter().take(FILES_SHOWN).map(|file| format!("`{}`", file.display())).collect();
    match files.len() {
        0 => "name a pipeline file or a folder of them".to_owned(),
        n if n > FILES_SHOWN => {
            format!("name a pipeline file or a folder of them; there are {} and more", shown.join(", "))
        }
        _ => format!("name a pipeline file or a folder of them; there are {}", shown.join(", ")),
    }
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
    fn a_path_that_is_gone_takes_no_other_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (there, gone) = (folder.path().join("a.yaml"), folder.path().join("b.yaml"));
        std::fs::write(&there, "").unwrap();
        assert_eq!(find_present(&[gone.clone(), there.clone()], None), [there]);
        assert!(find_present(&[gone], None).is_empty());
    }

    #[test]
    fn a_file_that_is_in_the_list_twice_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), "").unwrap();
        let again = folder.path().join(".").join("..").join(folder.path().file_name().unwrap()).join("a.yaml");
        assert_eq!(find(&[folder.path().to_owned(), again], None).ok().unwrap().len(), 1);
    }

    #[test]
    fn who_names_a_pipeline_or_misspells_its_file_is_led_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["orders.yaml", "stock.v2.yaml", "unbatch.yaml"] {
            std::fs::write(path(name), "").unwrap();
        }
        let of = |name: &str| meant(&path(name), None);
        for wrong in ["orders", "ordres", "orders.yml", "Orders.yaml", "order.yaml"] {
            assert_eq!(of(wrong), format!("did you mean `{}`?", path("orders.yaml").display()), "{wrong}");
        }
        for wrong in ["stock.v2", "stock.v3.yaml"] {
            assert!(of(wrong).contains("stock.v2.yaml`?"), "{wrong}: {}", of(wrong));
        }
        let far = of("prices");
        assert!(far.contains("orders.yaml") && far.contains("stock.v2.yaml") && !far.contains("unbatch.yaml"), "{far}");
        assert_eq!(meant(&path("nowhere/at/all"), None), "name a pipeline file or a folder of them");
    }

    #[test]
    fn nothing_there_is_said_with_what_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(code(find(&[folder.path().join("no")], None)), Some("U0720"));
        assert_eq!(code(find(&[folder.path().to_owned()], None)), Some("U0721"));
    }
}
