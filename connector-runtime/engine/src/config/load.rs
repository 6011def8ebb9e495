//! From files to pipelines that can be run. All errors of all files are reported at once; a file without errors is loaded
//! whatever the others are like.

use super::canonical;
use super::check::check;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::pipeline_file::{Commit, PipelineFile, Replaces, schema_to_check};
use super::problem::{step_diagnostic, to_diagnostic};
use super::read::{deserialize, read_file};
use super::source_text::SourceText;
use super::yaml::{self, Key, Node};
use crate::registry::{BoundSink, BoundSource, Registry};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use unbatch_api::{
    CommitPolicy, Delivery, PipelineName, Problem, Seen, Severity, Step, StopAfter, StreamName, StreamSchema,
};

/// The runtime file; it may lie in the same folder as pipeline files and is none.
pub const RUNTIME_FILE: &str = "unbatch.yaml";

/// A pipeline as its file describes it, checked and ready to be run.
#[derive(Clone)]
pub struct PipelineSpec {
    pub name: PipelineName,
    pub file: PathBuf,
    /// The file's folder, absolute; relative paths in the file start here.
    pub base: PathBuf,
    pub source: Arc<dyn BoundSource>,
    pub steps: Vec<Arc<dyn Step>>,
    pub sink: Arc<dyn BoundSink>,
    /// The sink's own policy with what `commit:` changes.
    pub policy: CommitPolicy,
    pub on_error: OnError,
    /// What is asked for; the sink gives it.
    pub delivery: Delivery,
    pub freshness: Option<Duration>,
    pub replaces: Option<Replaces>,
    /// Earlier name, whose state this pipeline goes on with.
    pub formerly: Option<PipelineName>,
    /// False when the source's columns are not known without asking it, so that steps and sink are checked at the start only.
    pub columns_known: bool,
    /// 16 hex digits of the SHA-256 of the content; comments, layout and order of keys do not count.
    pub hash: String,
}

/// What happens to rejected rows.
#[derive(Clone, Debug, Default)]
pub struct OnError {
    /// `None`: the default name.
    pub quarantine_name: Option<String>,
    pub stop_after: StopAfter,
}

/// Loads files, and `*.yaml` of folders (not of folders in them).
pub fn load(paths: &[PathBuf], registry: &Registry) -> (Vec<PipelineSpec>, Diagnostics) {
    let mut found = Diagnostics::default();
    let schema = schema_to_check(registry);
    let mut specs: Vec<PipelineSpec> = Vec::new();
    let mut places: BTreeMap<PipelineName, String> = BTreeMap::new();
    for file in files(paths, &mut found) {
        let source = match read_file(&file) {
            Ok(source) => source,
            Err(unreadable) => {
                found.extend(unreadable);
                continue;
            }
        };
        let loaded = load_source(&source, registry, &schema);
        found.extend(loaded.found);
        let Some((spec, place)) = loaded.spec else { continue };
        match places.get(&spec.name) {
            Some(first) => found.push(twice(&source, &spec.name, place, first)),
            None => {
                places.insert(spec.name.clone(), format!("{}:{}:{}", file.display(), place.line, place.column));
                specs.push(spec);
            }
        }
    }
    (specs, found)
}

/// Loads one pipeline from a text, as the HTTP API and `init` have it. `file` is what messages call it.
pub fn load_text(file: &Path, text: &str, registry: &Registry) -> (Option<PipelineSpec>, Diagnostics) {
    let source = Arc::new(SourceText::new(file, text));
    let loaded = load_source(&source, registry, &schema_to_check(registry));
    (loaded.spec.map(|(spec, _)| spec), loaded.found)
}

fn twice(source: &Arc<SourceText>, name: &PipelineName, place: super::Span, first: &str) -> Diagnostic {
    let here = format!("{}:{}:{}", source.path().display(), place.line, place.column);
    Diagnostic::error("U0125", format!("pipeline `{name}` is described twice: at {first} and at {here}"))
        .at(source, place)
        .label("the second")
        .help("rename one pipeline and its file, or remove it")
}

/// Every file that the paths name, each once, those of a folder by name.
fn files(paths: &[PathBuf], found: &mut Diagnostics) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            false => files.push(path.clone()),
            true => match files_of(path, found) {
                Ok(more) if more.is_empty() => found.push(
                    Diagnostic::error("U0100", "there is no pipeline file in this folder")
                        .in_file(path)
                        .help("pipeline files end in .yaml; `unbatch init` writes one"),
                ),
                Ok(more) => files.extend(more),
                Err(e) => found.push(
                    Diagnostic::error("U0100", format!("the folder cannot be read: {e}"))
                        .in_file(path)
                        .help("check that this user may read it"),
                ),
            },
        }
    }
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    files
}

fn files_of(folder: &Path, found: &mut Diagnostics) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Kubernetes mounts folders like `..data` beside the files.
        if name.starts_with('.') || name == RUNTIME_FILE || path.is_dir() {
            continue;
        }
        match path.extension().and_then(|e| e.to_str()) {
            Some("yaml") => files.push(path),
            Some("yml") => found.push(
                Diagnostic::warning("U0126", "this file is not read")
                    .in_file(&path)
                    .help("pipeline files end in .yaml: rename it"),
            ),
            _ => {}
        }
    }
    files.sort();
    Ok(files)
}

struct Loaded {
    /// With the place of the pipeline's name.
    spec: Option<(PipelineSpec, super::Span)>,
    found: Diagnostics,
}

fn load_source(source: &Arc<SourceText>, registry: &Registry, schema: &Value) -> Loaded {
    let parsed = yaml::parse(source);
    let mut found = Diagnostics::from(parsed.found);
    let Some(root) = parsed.node else { return Loaded { spec: None, found } };
    found.extend(check(source, &root, schema));
    let mut loader = Loader { source, registry, root: &root, found };
    let spec = loader.load();
    Loaded { spec: spec.filter(|_| !loader.found.has_errors()), found: loader.found }
}

/// One file after the check against its schema. Parts in which the check found something are not looked into again.
struct Loader<'a> {
    source: &'a Arc<SourceText>,
    registry: &'a Registry,
    root: &'a Node,
    found: Diagnostics,
}

impl Loader<'_> {
    fn load(&mut self) -> Option<(PipelineSpec, super::Span)> {
        let was_clean = !self.found.has_errors();
        let file = match deserialize::<PipelineFile>(self.source, self.root) {
            Ok(file) => Some(file),
            Err(leftover) => {
                // Serde stumbles over what the check reported already.
                if was_clean {
                    self.found.push(*leftover);
                }
                None
            }
        };
        let name_place = self.root.get("pipeline").map_or(self.root.head, |node| node.span);
        if let Some(file) = &file {
            self.check_name(&file.pipeline.0, name_place);
        }
        let source = self.source_part();
        let steps = self.steps();
        let streams = match (&source, &steps) {
            (Some(source), Some(steps)) => self.after_steps(source.streams(), steps),
            _ => Vec::new(),
        };
        let sink = self.sink_part(&streams);
        if let (Some(file), Some(sink)) = (&file, &sink) {
            self.check_delivery(file, &**sink);
        }
        let (file, source, steps, sink) = (file?, source?, steps?, sink?);
        let policy = self.policy(file.commit.as_ref(), &*sink);
        let quarantine = file.on_error.and_then(|o| o.quarantine).unwrap_or_default();
        let stop_after = quarantine.stop_after.unwrap_or_default();
        let path = self.source.path();
        let spec = PipelineSpec {
            name: file.pipeline.0,
            file: path.to_owned(),
            base: folder(path),
            columns_known: !source.streams().is_empty(),
            source,
            steps,
            sink,
            policy,
            on_error: OnError {
                quarantine_name: quarantine.name,
                stop_after: StopAfter { count: stop_after.count, percent: stop_after.percent },
            },
            delivery: file.delivery.into(),
            freshness: file.slo.map(|slo| slo.freshness.0),
            replaces: file.replaces,
            formerly: file.formerly.map(|name| name.0),
            hash: canonical::hash(self.root),
        };
        Some((spec, name_place))
    }

    fn check_name(&mut self, name: &PipelineName, place: super::Span) {
        let stem = self.source.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if stem != name.as_str() {
            let mut help = format!("rename the file to {name}.yaml");
            if PipelineName::parse(&stem).is_ok() {
                help.push_str(&format!(", or write `pipeline: {stem}`"));
            }
            let message = format!("pipeline `{name}` stands in a file of another name, `{stem}`");
            self.found.push(
                Diagnostic::error("U0124", message).at(self.source, place).label("not the file's name").help(help),
            );
        }
    }

    fn source_part(&mut self) -> Option<Arc<dyn BoundSource>> {
        let (key, node) = self.clean_part(self.root.get("source")?)?;
        let bound = self.registry.source_factory(&key.text)?.bind(self.source, node);
        let bound = self.kept(bound)?;
        self.report(bound.validate(), node).then_some(bound)
    }

    fn sink_part(&mut self, streams: &[(StreamName, Arc<StreamSchema>)]) -> Option<Arc<dyn BoundSink>> {
        let (key, node) = self.clean_part(self.root.get("sink")?)?;
        let bound = self.registry.sink_factory(&key.text)?.bind(self.source, node);
        let bound = self.kept(bound)?;
        self.report(bound.validate(streams), node).then_some(bound)
    }

    fn steps(&mut self) -> Option<Vec<Arc<dyn Step>>> {
        let items = self.root.get("steps").map_or(&[][..], Node::items);
        let bound: Vec<Option<Arc<dyn Step>>> = items.iter().map(|item| self.step(item)).collect();
        bound.into_iter().collect()
    }

    fn step(&mut self, item: &Node) -> Option<Arc<dyn Step>> {
        let (key, node) = self.clean_part(item)?;
        let bound = self.registry.step_factory(&key.text)?.bind(self.source, node);
        self.kept(bound)
    }

    /// The connector or step in a part, unless something in it is wrong already.
    fn clean_part<'n>(&self, part: &'n Node) -> Option<(&'n Key, &'n Node)> {
        let range = part.span.range();
        let is_wrong =
            |d: &Diagnostic| d.severity == Severity::Error && d.span.is_some_and(|s| range.contains(&s.offset));
        if self.found.iter().any(is_wrong) {
            return None;
        }
        part.only_entry()
    }

    fn kept<T>(&mut self, result: Result<T, Diagnostics>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(more) => {
                self.found.extend(more);
                None
            }
        }
    }

    /// False when an error is among the problems.
    fn report(&mut self, problems: Vec<Problem>, node: &Node) -> bool {
        let is_good = !problems.iter().any(|p| p.severity == Severity::Error);
        self.found.extend(problems.iter().map(|p| to_diagnostic(p, self.source, node)));
        is_good
    }

    /// The streams as the sink will see them; a step that does not fit is reported, and then nothing is known.
    fn after_steps(
        &mut self,
        streams: Vec<(StreamName, Arc<StreamSchema>)>,
        steps: &[Arc<dyn Step>],
    ) -> Vec<(StreamName, Arc<StreamSchema>)> {
        let nodes = self.root.get("steps").map_or(&[][..], Node::items);
        let mut now = streams;
        for (step, node) in steps.iter().zip(nodes) {
            let content = node.only_entry().map_or(node, |(_, content)| content);
            let mut after: Vec<(StreamName, Arc<StreamSchema>)> = Vec::new();
            for (stream, schema) in &now {
                match step.compile(&Seen { stream, schema, secrets: None }) {
                    Ok(compiled) => {
                        let out = compiled.streams().into_iter().map(|stream| (stream, compiled.output().clone()));
                        for known in out {
                            if !after.iter().any(|(stream, schema)| *stream == known.0 && schema.id() == known.1.id()) {
                                after.push(known);
                            }
                        }
                    }
                    Err(problems) => {
                        self.found.extend(problems.iter().map(|p| step_diagnostic(p, self.source, content)));
                        // what the steps after it will see is not known
                        return Vec::new();
                    }
                }
            }
            now = after;
        }
        now
    }

    fn check_delivery(&mut self, file: &PipelineFile, sink: &dyn BoundSink) {
        let asked: Delivery = file.delivery.into();
        if asked == Delivery::ExactlyOnce && sink.delivery() == Delivery::AtLeastOnce {
            let place = ["delivery", "sink"]
                .into_iter()
                .find_map(|key| self.root.entry(key))
                .map_or(self.root.head, |(k, _)| k.span);
            let message =
                format!("sink `{}` gives at_least_once with these settings, exactly_once is asked for", sink.name());
            self.found.push(
                Diagnostic::error("U0120", message)
                    .at(self.source, place)
                    .label("cannot be kept")
                    .help("write `delivery: at_least_once` if rows may be there twice after a failure, or change the sink's settings"),
            );
        }
    }

    fn policy(&mut self, commit: Option<&Commit>, sink: &dyn BoundSink) -> CommitPolicy {
        let mut policy = sink.commit_policy();
        let (Some(commit), Some((key, node))) = (commit, self.root.entry("commit")) else { return policy };
        if !policy.configurable {
            let message = format!("`commit:` does not apply to sink `{}`", sink.name());
            self.found.push(
                Diagnostic::error("U0121", message)
                    .at(self.source, key.span)
                    .label("remove it")
                    .help(format!("`{}` commits when its files roll: use `roll` in the sink", sink.name())),
            );
            return policy;
        }
        if let Some(every) = commit.every {
            policy.every = every.0;
            if every.0 < policy.at_most_every {
                let least = unbatch_api::config::Period(policy.at_most_every);
                self.bad_commit(
                    node,
                    "every",
                    format!("`commit.every` must be at least {least} with sink `{}`", sink.name()),
                );
            }
        }
        if let Some(bytes) = commit.bytes {
            policy.bytes = bytes.0;
            if bytes.0 == 0 {
                self.bad_commit(node, "bytes", "`commit.bytes` must be at least 1B".to_owned());
            }
        }
        policy.rows = commit.rows.unwrap_or(policy.rows);
        policy
    }

    fn bad_commit(&mut self, node: &Node, key: &str, message: String) {
        let place = super::place(node, key);
        self.found.push(
            Diagnostic::error("U0122", message)
                .at(self.source, place)
                .label("too little")
                .help("write a larger value, or remove the line: the default fits the sink"),
        );
    }
}

fn folder(file: &Path) -> PathBuf {
    let parent = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::path::absolute(parent).unwrap_or_else(|_| parent.to_owned())
}
