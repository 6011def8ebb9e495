//! Looks at the pipeline files of a development run again and again, and tells what became of them. A bad edit never replaces
//! what runs: it is only told.

use super::columns::Columns;
use super::consequence;
use crate::pipeline_files::find_present;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use unbatch_api::PipelineName;
use unbatch_engine::Registry;
use unbatch_engine::config::{Diagnostic, Diagnostics, Node, PipelineSpec, RUNTIME_FILE, Value, load, parse_file};

/// How often the files are looked at.
pub(crate) const LOOK_PERIOD: Duration = Duration::from_millis(500);
/// Keys that one line names; a larger edit is summed up.
const KEYS_SHOWN: usize = 4;

/// The files of a run as they were last seen.
pub(crate) struct Watched {
    paths: Vec<PathBuf>,
    runtime_file: PathBuf,
    runtime_text: String,
    files: BTreeMap<PathBuf, Seen>,
}

struct Seen {
    text: String,
    /// As it stands now it has errors.
    is_bad: bool,
    /// The file whose pipeline this one describes again.
    second_to: Option<PathBuf>,
    /// What runs, if anything good was ever read.
    good: Option<Good>,
}

struct Good {
    name: PipelineName,
    hash: String,
    /// Each setting of the file by its path.
    settings: BTreeMap<String, String>,
    columns: Columns,
}

/// What happened to a file.
pub(crate) enum Edit {
    /// A good file: new, or with other settings than what runs.
    Good {
        spec: Box<PipelineSpec>,
        /// What is done, and because of what: `restarting: changed commit.every`.
        what: String,
        /// In a sentence, where older records and those to come do not go together.
        consequence: Option<String>,
    },
    /// A file that had errors, and now says again what runs.
    Mended(PipelineName),
    /// A file with errors; what runs goes on.
    Bad {
        found: Diagnostics,
        keeps: Option<PipelineName>,
    },
    Removed {
        name: PipelineName,
        file: PathBuf,
    },
    /// The runtime file, which is read at the start only.
    Runtime(PathBuf),
}

impl Watched {
    /// The files as they are now, which the caller has just loaded.
    pub(crate) fn new(paths: &[PathBuf], runtime_file: Option<&Path>, specs: &[PipelineSpec]) -> Self {
        let files = specs.iter().map(|spec| {
            let good = good(spec);
            (spec.file.clone(), Seen { text: text(&spec.file), is_bad: false, second_to: None, good: Some(good) })
        });
        // one that is not there yet may be made meanwhile
        let runtime_file = runtime_file.unwrap_or(Path::new(RUNTIME_FILE)).to_owned();
        let runtime_text = text(&runtime_file);
        Watched { paths: paths.to_vec(), files: files.collect(), runtime_file, runtime_text }
    }

    /// What changed since the last look.
    pub(crate) fn look(&mut self, registry: &Registry) -> Vec<Edit> {
        let mut edits = Vec::new();
        let runtime_text = text(&self.runtime_file);
        if runtime_text != self.runtime_text {
            self.runtime_text = runtime_text;
            edits.push(Edit::Runtime(self.runtime_file.clone()));
        }
        // no file at all is what an editor may leave for a moment, and what an empty folder is
        let listed = find_present(&self.paths, Some(&self.runtime_file));
        let gone: Vec<PathBuf> = self.files.keys().filter(|f| !listed.contains(f)).cloned().collect();
        for file in gone {
            if let Some(Seen { good: Some(good), .. }) = self.files.remove(&file) {
                edits.push(Edit::Removed { name: good.name, file });
            }
        }
        for file in listed {
            let now = text(&file);
            let before = self.files.remove(&file);
            if before.as_ref().is_some_and(|seen| seen.text == now && !self.is_first_now(seen)) {
                self.files.extend(before.map(|seen| (file, seen)));
                continue;
            }
            let was_bad = before.as_ref().is_some_and(|seen| seen.is_bad);
            let (mut edit, mut good) = judge(&file, before.and_then(|seen| seen.good), registry);
            let second_to = good.as_ref().and_then(|good| self.file_of(&good.name));
            if let (Some(first), Some(second)) = (&second_to, good.take_if(|_| second_to.is_some())) {
                let found = twice(&second.name, first, &file).into();
                edit = Some(Edit::Bad { found, keeps: Some(second.name) });
            }
            let is_bad = matches!(edit, Some(Edit::Bad { .. }));
            let mended =
                good.as_ref().filter(|_| was_bad && edit.is_none()).map(|good| Edit::Mended(good.name.clone()));
            edits.extend(edit.or(mended));
            self.files.insert(file, Seen { text: now, is_bad, second_to, good });
        }
        edits
    }

    /// The file that the pipeline runs from, as far as it has been looked at.
    fn file_of(&self, pipeline: &PipelineName) -> Option<PathBuf> {
        let runs = |seen: &Seen| seen.good.as_ref().is_some_and(|good| good.name == *pipeline);
        self.files.iter().find(|(_, seen)| runs(seen)).map(|(file, _)| file.clone())
    }

    /// It described another file's pipeline again, and that file is gone.
    fn is_first_now(&self, seen: &Seen) -> bool {
        seen.second_to.as_ref().is_some_and(|first| !self.files.contains_key(first))
    }
}

/// Two files under one name would take the pipeline from each other, and each would stop it when it is removed.
fn twice(name: &PipelineName, first: &Path, second: &Path) -> Diagnostic {
    let message = format!("pipeline `{name}` is described twice: in {} and in {}", first.display(), second.display());
    let found = Diagnostic::error("U0125", message).help("rename one pipeline and its file, or remove it");
    let place = parse_file(second).ok().and_then(|(source, root)| Some((source, root.get("pipeline")?.span)));
    match place {
        Some((source, span)) => found.at(&source, span).label("the second"),
        None => found.in_file(second),
    }
}

/// What the file is now, against what runs of it.
fn judge(file: &Path, before: Option<Good>, registry: &Registry) -> (Option<Edit>, Option<Good>) {
    let (specs, found) = load(&[file.to_owned()], registry);
    let spec = match specs.into_iter().next() {
        Some(spec) if !found.has_errors() => spec,
        _ => {
            let keeps = before.as_ref().map(|good| good.name.clone());
            return (Some(Edit::Bad { found, keeps }), before);
        }
    };
    let good = good(&spec);
    let (what, consequence) = match &before {
        // only comments or layout
        Some(before) if before.hash == good.hash => return (None, Some(good)),
        Some(before) => (
            format!("restarting: {}", changed(&before.settings, &good.settings)),
            consequence::of_change(
                good.name.as_str(),
                (&before.settings, &before.columns),
                (&good.settings, &good.columns),
            ),
        ),
        None => (format!("starting: {} is new", file.display()), None),
    };
    (Some(Edit::Good { spec: Box::new(spec), what, consequence }), Some(good))
}

fn good(spec: &PipelineSpec) -> Good {
    let (name, hash) = (spec.name.clone(), spec.hash.clone());
    Good { name, hash, settings: settings(&spec.file), columns: Columns::of(&spec.output) }
}

/// The paths that differ, without their values: `commit.every, source.csv_drops.match and 3 more`.
fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> String {
    let mut keys: Vec<&str> = before
        .iter()
        .filter(|(path, value)| after.get(*path) != Some(value))
        .chain(after.iter().filter(|(path, _)| !before.contains_key(*path)))
        .map(|(path, _)| path.as_str())
        .collect();
    keys.sort_unstable();
    let more = keys.len().saturating_sub(KEYS_SHOWN);
    keys.truncate(KEYS_SHOWN);
    match more {
        0 => format!("changed {}", keys.join(", ")),
        more => format!("changed {} and {more} more", keys.join(", ")),
    }
}

fn settings(file: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if let Ok((_, node)) = parse_file(file) {
        flatten(&node, &mut all);
    }
    all
}

fn flatten(node: &Node, all: &mut BTreeMap<String, String>) {
    match &node.value {
        Value::Scalar(scalar) => {
            all.insert(node.path.to_string(), scalar.text.clone());
        }
        Value::Sequence(items) => items.iter().for_each(|item| flatten(item, all)),
        Value::Mapping(entries) => entries.iter().for_each(|(_, value)| flatten(value, all)),
    }
}

/// A file that cannot be read at this moment is like an empty one; loading it says what is wrong.
fn text(file: &Path) -> String {
    std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_told_by_its_keys_never_by_its_values() {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let before: BTreeMap<String, String> = map(&[("commit.every", "1s"), ("sink.topic.name", "a"), ("x", "1")]);
        let after = map(&[("commit.every", "2s"), ("sink.topic.name", "a"), ("y", "1")]);
        assert_eq!(changed(&before, &after), "changed commit.every, x, y");
        let many = map(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")]);
        assert_eq!(changed(&BTreeMap::new(), &many), "changed a, b, c, d and 1 more");
    }
}
