//! The list of connectors a binary was built with, and the one place where their configuration types are erased.

use crate::config::{Diagnostics, Node, SourceText, read, step_diagnostic};
use async_trait::async_trait;
use schemars::{Schema, SchemaGenerator};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use unbatch_api::error::CodeEntry;
use unbatch_api::quarantine::{Edit, QuarantineReader, RawCell};
use unbatch_api::{
    Batch, CheckContext, Checkpoint, CommitPolicy, Delivery, Drafter, Facts, Fenced, Finding, Jump, PartView, Problem,
    QuarantineEntry, Result, Rewrite, SinkConnector, SinkContext, Source, SourceConnector, SourceContext, Step,
    StepVerb, Stored, StreamName, StreamSchema,
};

/// Connectors and steps by name.
#[derive(Default)]
pub struct Registry {
    sources: BTreeMap<&'static str, Box<dyn SourceFactory>>,
    sinks: BTreeMap<&'static str, Box<dyn SinkFactory>>,
    steps: BTreeMap<&'static str, Box<dyn StepFactory>>,
    drafters: BTreeMap<&'static str, Box<dyn Drafter>>,
    codes: Vec<CodeEntry>,
}

impl Registry {
    /// Adds a source connector; one of the same name is replaced.
    pub fn source<C: SourceConnector>(mut self) -> Self {
        self.sources.insert(C::NAME, Box::new(Typed::<C>(PhantomData)));
        self
    }
    /// Adds a sink connector; one of the same name is replaced.
    pub fn sink<C: SinkConnector>(mut self) -> Self {
        self.sinks.insert(C::NAME, Box::new(Typed::<C>(PhantomData)));
        self
    }
    /// Adds a kind of step; one of the same verb is replaced.
    pub fn step<V: StepVerb>(mut self) -> Self {
        self.steps.insert(V::NAME, Box::new(TypedStep::<V>(PhantomData)));
        self
    }
    /// Adds what looks at the real thing for `unbatch init --from WORD`; one of the same word is replaced.
    pub fn drafter(mut self, drafter: impl Drafter) -> Self {
        self.drafters.insert(drafter.word(), Box::new(drafter));
        self
    }
    /// Adds what the codes of connectors and steps mean, for `unbatch explain`.
    pub fn codes(mut self, table: &[CodeEntry]) -> Self {
        self.codes.extend(table);
        self
    }
    pub fn source_factory(&self, name: &str) -> Option<&dyn SourceFactory> {
        self.sources.get(name).map(|f| &**f)
    }
    pub fn sink_factory(&self, name: &str) -> Option<&dyn SinkFactory> {
        self.sinks.get(name).map(|f| &**f)
    }
    pub fn step_factory(&self, name: &str) -> Option<&dyn StepFactory> {
        self.steps.get(name).map(|f| &**f)
    }
    pub fn drafter_of(&self, word: &str) -> Option<&dyn Drafter> {
        self.drafters.get(word).map(|d| &**d)
    }
    pub fn drafters(&self) -> impl Iterator<Item = &dyn Drafter> {
        self.drafters.values().map(|d| &**d)
    }
    pub fn source_names(&self) -> Vec<&'static str> {
        self.sources.keys().copied().collect()
    }
    pub fn sink_names(&self) -> Vec<&'static str> {
        self.sinks.keys().copied().collect()
    }
    pub fn step_names(&self) -> Vec<&'static str> {
        self.steps.keys().copied().collect()
    }
    pub fn known_codes(&self) -> &[CodeEntry] {
        &self.codes
    }
}

/// Makes sources of one kind from their part of a pipeline file.
pub trait SourceFactory: Send + Sync {
    fn name(&self) -> &'static str;
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;
    fn bind(&self, text: &Arc<SourceText>, node: &Node) -> Result<Arc<dyn BoundSource>, Diagnostics>;
}

/// Makes sinks of one kind from their part of a pipeline file.
pub trait SinkFactory: Send + Sync {
    fn name(&self) -> &'static str;
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;
    fn bind(&self, text: &Arc<SourceText>, node: &Node) -> Result<Arc<dyn BoundSink>, Diagnostics>;
}

/// Makes steps of one verb from their part of a pipeline file.
pub trait StepFactory: Send + Sync {
    fn name(&self) -> &'static str;
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;
    fn bind(&self, text: &Arc<SourceText>, node: &Node) -> Result<Arc<dyn Step>, Diagnostics>;
}

struct TypedStep<V>(PhantomData<fn() -> V>);

impl<V: StepVerb> StepFactory for TypedStep<V> {
    fn name(&self) -> &'static str {
        V::NAME
    }
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<V::Config>()
    }
    fn bind(&self, text: &Arc<SourceText>, node: &Node) -> Result<Arc<dyn Step>, Diagnostics> {
        let config = read::<V::Config>(text, node)?;
        V::step(config).map_err(|problems| {
            let found: Vec<_> = problems.iter().map(|p| step_diagnostic(p, text, node)).collect();
            found.into()
        })
    }
}

/// A source connector with its configuration; [`SourceConnector`] says what each call means.
#[async_trait]
pub trait BoundSource: Send + Sync {
    fn name(&self) -> &'static str;
    fn counts_rejected(&self) -> bool;
    fn validate(&self) -> Vec<Problem>;
    fn streams(&self) -> Vec<(StreamName, Arc<StreamSchema>)>;
    fn fingerprint(&self, base: &Path) -> String;
    async fn check(&self, cx: CheckContext) -> Result<Vec<Finding>>;
    async fn splits(&self, cx: CheckContext) -> Result<u32>;
    async fn open(&self, cx: SourceContext) -> Result<Box<dyn Source>>;
    fn parse_raw(&self, entry: &QuarantineEntry, edits: &[Edit]) -> Result<Batch>;
    fn raw_cells(&self, entry: &QuarantineEntry) -> Result<Vec<RawCell>>;
    fn describe(&self, checkpoint: &Checkpoint) -> Vec<PartView>;
    fn jump(&self, checkpoint: &Checkpoint, jumps: &[Jump]) -> Result<Checkpoint>;
}

/// A sink connector with its configuration; [`SinkConnector`] says what each call means.
#[async_trait]
pub trait BoundSink: Send + Sync {
    fn name(&self) -> &'static str;
    fn validate(&self, streams: &[(StreamName, Arc<StreamSchema>)]) -> Vec<Problem>;
    fn delivery(&self) -> Delivery;
    fn commit_policy(&self) -> CommitPolicy;
    async fn check(&self, cx: CheckContext) -> Result<Vec<Finding>>;
    async fn fence(&self, cx: SinkContext) -> Result<Box<dyn Fenced>>;
    async fn inspect(&self, cx: CheckContext) -> Result<Option<Stored>>;
    async fn rewrite(&self, cx: SinkContext, to: Rewrite) -> Result<Facts>;
    async fn overtaken(&self, cx: CheckContext, rows: Vec<(Batch, i64)>) -> Result<Option<Vec<bool>>>;
    async fn quarantine(&self, cx: CheckContext) -> Result<Box<dyn QuarantineReader>>;
}

struct Typed<C>(PhantomData<fn() -> C>);

struct BoundSourceOf<C: SourceConnector>(Arc<C::Config>);
struct BoundSinkOf<C: SinkConnector>(Arc<C::Config>);

impl<C: SourceConnector> SourceFactory for Typed<C> {
    fn name(&self) -> &'static str {
        C::NAME
    }
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<C::Config>()
    }
    fn bind(&self, text: &Arc<SourceText>, node: &Node) -> Result<Arc<dyn BoundSource>, Diagnostics> {
        Ok(Arc::new(BoundSourceOf::<C>(Arc::new(read::<C::Config>(text, node)?))))
    }
}

impl<C: SinkConnector> SinkFactory for Typed<C> {
    fn name(&self) -> &'static str {
        C::NAME
    }
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<C::Config>()
    }
    fn bind(&self, text: &Arc<SourceText>, node: &Node) -> Result<Arc<dyn BoundSink>, Diagnostics> {
        Ok(Arc::new(BoundSinkOf::<C>(Arc::new(read::<C::Config>(text, node)?))))
    }
}

#[async_trait]
impl<C: SourceConnector> BoundSource for BoundSourceOf<C> {
    fn name(&self) -> &'static str {
        C::NAME
    }
    fn counts_rejected(&self) -> bool {
        C::COUNTS_REJECTED
    }
    fn validate(&self) -> Vec<Problem> {
        C::validate(&self.0)
    }
    fn streams(&self) -> Vec<(StreamName, Arc<StreamSchema>)> {
        C::streams(&self.0)
    }
    fn fingerprint(&self, base: &Path) -> String {
        C::fingerprint(&self.0, base)
    }
    async fn check(&self, cx: CheckContext) -> Result<Vec<Finding>> {
        C::check(self.0.clone(), cx).await
    }
    async fn splits(&self, cx: CheckContext) -> Result<u32> {
        C::splits(self.0.clone(), cx).await
    }
    async fn open(&self, cx: SourceContext) -> Result<Box<dyn Source>> {
        C::open(self.0.clone(), cx).await
    }
    fn parse_raw(&self, entry: &QuarantineEntry, edits: &[Edit]) -> Result<Batch> {
        C::parse_raw(&self.0, entry, edits)
    }
    fn raw_cells(&self, entry: &QuarantineEntry) -> Result<Vec<RawCell>> {
        C::raw_cells(&self.0, entry)
    }
    fn describe(&self, checkpoint: &Checkpoint) -> Vec<PartView> {
        C::describe(&self.0, checkpoint)
    }
    fn jump(&self, checkpoint: &Checkpoint, jumps: &[Jump]) -> Result<Checkpoint> {
        C::jump(&self.0, checkpoint, jumps)
    }
}

#[async_trait]
impl<C: SinkConnector> BoundSink for BoundSinkOf<C> {
    fn name(&self) -> &'static str {
        C::NAME
    }
    fn validate(&self, streams: &[(StreamName, Arc<StreamSchema>)]) -> Vec<Problem> {
        C::validate(&self.0, streams)
    }
    fn delivery(&self) -> Delivery {
        C::delivery(&self.0)
    }
    fn commit_policy(&self) -> CommitPolicy {
        C::commit_policy(&self.0)
    }
    async fn check(&self, cx: CheckContext) -> Result<Vec<Finding>> {
        C::check(self.0.clone(), cx).await
    }
    async fn fence(&self, cx: SinkContext) -> Result<Box<dyn Fenced>> {
        C::fence(self.0.clone(), cx).await
    }
    async fn inspect(&self, cx: CheckContext) -> Result<Option<Stored>> {
        C::inspect(self.0.clone(), cx).await
    }
    async fn rewrite(&self, cx: SinkContext, to: Rewrite) -> Result<Facts> {
        C::rewrite(self.0.clone(), cx, to).await
    }
    async fn overtaken(&self, cx: CheckContext, rows: Vec<(Batch, i64)>) -> Result<Option<Vec<bool>>> {
        C::overtaken(self.0.clone(), cx, rows).await
    }
    async fn quarantine(&self, cx: CheckContext) -> Result<Box<dyn QuarantineReader>> {
        C::quarantine(self.0.clone(), cx).await
    }
}
