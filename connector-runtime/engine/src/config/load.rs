//! From files to pipelines that can be run. All errors of all files are reported at once; a file without errors is loaded
//! whatever the others are like.

use super::canonical;
use super::check::check;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::mended::{Meant, Mended, ROUNDS_MAX};
use super::pipeline_file::{Commit, DeliveryAsked, PipelineFile, Replaces, schema_to_check};
use super::problem::{step_diagnostic, to_diagnostic};
use super::read::{deserialize, read_file};
use super::source_text::SourceText;
use super::yaml::{self, Node};
use crate::registry::{BoundSink, BoundSource, Registry};
use serde::de::DeserializeOwned;
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
    /// What the sink will be given, after the steps; empty when that is not known without asking the source.
    pub output: Vec<(StreamName, Arc<StreamSchema>)>,
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
    // what could not be read is not missing
    let is_unread = |d: &Diagnostic| {
        let is_about = |key: &String| matches!(&d.meant, Some(Meant::Entry(name, _)) if name == key);
        d.code == "U0103" && d.span == Some(root.head) && parsed.unread.iter().any(is_about)
    };
    found.extend(check(source, &root, schema).into_iter().filter(|d| !is_unread(d)));
    let mut loader = Loader { source, registry, root: &root, found };
    let spec = loader.load();
    Loaded { spec: spec.filter(|_| !loader.found.has_errors()), found: loader.found }
}

/// One file after the check against its schema. Parts in which the check found something are looked into as far as the rest of
/// them goes; see [`Mended`].
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
        let name = self.root.get("pipeline").and_then(Node::as_text).and_then(|name| PipelineName::parse(name).ok());
        if let Some(name) = &name {
            self.check_name(name, name_place);
        }
        let source = self.source_part();
        let steps = self.steps();
        let streams = match (&source, &steps) {
            (Some((source, mended)), Some(steps)) if mended.has_all_entries => {
                self.after_steps(source.streams(), steps)
            }
            _ => Vec::new(),
        };
        let sink = self.sink_part(&streams);
        let mut policy = None;
        if let Some((sink, mended)) = &sink
            && mended.is_as_written()
        {
            self.check_delivery(&**sink);
            let commit = self.clean_key::<Commit>("commit");
            policy = Some(self.policy(commit.as_ref(), &**sink));
        }
        let (file, (source, _), steps, (sink, _), policy) = (file?, source?, steps?, sink?, policy?);
        let quarantine = file.on_error.and_then(|o| o.quarantine).unwrap_or_default();
        let stop_after = quarantine.stop_after.unwrap_or_default();
        let path = self.source.path();
        let spec = PipelineSpec {
            name: file.pipeline.0,
            file: path.to_owned(),
            base: folder(path),
            columns_known: !source.streams().is_empty(),
            output: streams,
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

    fn source_part(&mut self) -> Option<(Arc<dyn BoundSource>, Mended)> {
        let (text, registry) = (self.source, self.registry);
        let (bound, mended) = self.part(self.root.get("source")?, |connector, node| {
            Some(registry.source_factory(connector)?.bind(text, node))
        })?;
        self.report(bound.validate(), &mended);
        Some((bound, mended))
    }

    fn sink_part(&mut self, streams: &[(StreamName, Arc<StreamSchema>)]) -> Option<(Arc<dyn BoundSink>, Mended)> {
        let (text, registry) = (self.source, self.registry);
        let (bound, mended) = self
            .part(self.root.get("sink")?, |connector, node| Some(registry.sink_factory(connector)?.bind(text, node)))?;
        self.report(bound.validate(streams), &mended);
        Some((bound, mended))
    }

    fn steps(&mut self) -> Option<Vec<Arc<dyn Step>>> {
        let items = self.root.get("steps").map_or(&[][..], Node::items);
        let bound: Vec<Option<Arc<dyn Step>>> = items.iter().map(|item| self.step(item)).collect();
        bound.into_iter().collect()
    }

    fn step(&mut self, item: &Node) -> Option<Arc<dyn Step>> {
        let (text, registry) = (self.source, self.registry);
        let (bound, mended) = self.part(item, |step, node| Some(registry.step_factory(step)?.bind(text, node)))?;
        mended.is_as_written().then_some(bound)
    }

    /// The connector or step in a part. Where something in it is wrong already, the rest of it; `None` when nothing is left that
    /// could be read.
    fn part<T>(
        &mut self,
        part: &Node,
        bind: impl Fn(&str, &Node) -> Option<Result<T, Diagnostics>>,
    ) -> Option<(T, Mended)> {
        let is_choice =
            |d: &&Diagnostic| matches!(d.code, "U0102" | "U0106") && part.keys().any(|k| Some(k.span) == d.span);
        let mut chosen = Mended::of(part);
        if !chosen.without(self.found.iter().filter(is_choice)) {
            return None;
        }
        let (key, content) = chosen.node.only_entry()?;
        let (connector, range) = (key.text.clone(), content.span.range());
        let mut mended = Mended::of(content);
        let is_here = |d: &&Diagnostic| d.span.is_some_and(|s| range.contains(&s.offset) || s == content.head);
        if !mended.without(self.found.iter().filter(|d| is_here(d) && !is_choice(d))) {
            return None;
        }
        for _ in 0..ROUNDS_MAX {
            let wrong = match bind(&connector, &mended.node)? {
                Ok(bound) => return Some((bound, mended)),
                Err(wrong) => wrong,
            };
            // the check found all that it can find before; what it finds now comes of what was left out
            let new = wrong.iter().filter(|d| d.code == "U0113" && mended.can_tell_at(d));
            self.found.extend(new.cloned());
            if !mended.without(wrong.iter()) {
                return None;
            }
        }
        None
    }

    /// A key at the top of the file, if it is there and nothing in it is wrong.
    fn clean_key<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let (key, node) = self.root.entry(key)?;
        let range = key.span.offset..node.span.range().end.max(key.span.range().end);
        let is_wrong =
            |d: &Diagnostic| d.severity == Severity::Error && d.span.is_some_and(|s| range.contains(&s.offset));
        if self.found.iter().any(is_wrong) { None } else { deserialize(self.source, node).ok() }
    }

    /// Reports the problems of a part, but those that are about what was guessed.
    fn report(&mut self, problems: Vec<Problem>, part: &Mended) {
        let told = problems.iter().filter(|p| part.can_tell(p));
        self.found.extend(told.map(|p| to_diagnostic(p, self.source, &part.node)));
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

    fn check_delivery(&mut self, sink: &dyn BoundSink) {
        let asked = match self.root.get("delivery") {
            Some(_) => self.clean_key::<DeliveryAsked>("delivery"),
            None => Some(DeliveryAsked::default()),
        };
        let Some(asked) = asked.map(Delivery::from) else { return };
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
