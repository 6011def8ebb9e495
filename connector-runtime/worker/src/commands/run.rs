//! `unbatch run`: the standalone worker.

use super::{Context, async_runtime, scene};
use crate::answer::Answer;
use crate::arguments::{LogFormat, Run};
use crate::cluster_choice::{Want, settle};
use crate::dev::{Kept, Served};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, render_diagnostics, render_error};
use crate::http::{self, Server, Told};
use crate::pipeline_files::find;
use crate::run::broker_watch::{BrokerWatch, Listener};
use crate::run::crew::Crew;
use crate::run::progress::Progress;
use crate::run::reload::{Edit, LOOK_PERIOD, Watched};
use crate::run::signals::{Signals, end_at_once};
use crate::run::summary::{Ends, in_words, render};
use crate::runtime_file::{Setup, setup};
use crate::terminal::{Glyph, Output, Style};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};
use unbatch_api::config::Text;
use unbatch_api::{Bound, Error, Kind, PipelineName, SinkConnector};
use unbatch_engine::config::{Diagnostics, PipelineSpec, load};
use unbatch_engine::{Ended, Scene, SplitState, StatusBoard, start};
use unbatch_kafka::Topic;

/// What is left to do in the background gets this long when all pipelines have ended.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);
/// How often the embedded broker is asked whether it still stands.
const BROKER_LOOK_PERIOD: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &Run, cx: &Context) -> Outcome<Answer> {
    let started = Instant::now();
    let Loaded { mut setup, specs } = configuration(args, cx)?;
    let accept_change = accepted(args, &specs)?;
    let (served, by_default) = match args.dev {
        true => {
            let tell = || cx.terminal.say("another command reads what is kept under .unbatch/: waiting for its end");
            (Some(Kept::here().take_over(tell)?), None)
        }
        false => {
            let settled = settle(&mut setup, &cx.globals, Want::Run)?;
            (settled.served, settled.asked)
        }
    };
    if let Some(served) = &served {
        setup.config.kafka.brokers = Text::Plain(served.address());
    }
    let bound = if args.once { Bound::Once } else { Bound::Continuous };
    let scene = scene(&setup, bound, accept_change);
    let told = Told { board: StatusBoard::default(), broker: watch(args, &setup, &specs) };
    let runtime = async_runtime()?;
    let ended = runtime.block_on(async {
        let server = serve_http(args, &setup, &told, cx).await?;
        let broker = served.as_ref().map(|served| format!("{} (kept under .unbatch/)", served.address())).or(
            // nobody should have to guess whom a run writes to
            by_default.map(|whom| format!("{whom}; --brokers names another, --dev starts one here")),
        );
        announce(args, &specs, broker, server.as_ref(), cx);
        let Told { board, broker } = told;
        let (terminal, format) = (cx.terminal.clone(), cx.globals.log_format);
        tokio::spawn(broker.clone().keep(Listener { terminal, format, bound, board: board.clone() }));
        let watched = args.dev.then(|| Watched::new(&args.paths, setup.file.as_deref(), &specs));
        let work = async {
            match set_out(specs, scene, &board).await {
                Ok((crew, signals)) => {
                    let progress = Progress::new(&cx.terminal, format, broker, !args.once);
                    let ends = Ends::default();
                    let shift = Shift {
                        args,
                        cx,
                        crew,
                        board,
                        progress,
                        watched,
                        ends,
                        started,
                        stopped_by: None,
                        gone: BTreeSet::new(),
                        consequences: BTreeMap::new(),
                        wrote: BTreeSet::new(),
                    };
                    Ok(shift.work(signals).await)
                }
                Err(error) => Err(error.into()),
            }
        };
        let answer = tokio::select! {
            answer = work => answer,
            // every pipeline would wait in vain for a broker that does not come back
            error = broken_down(served.as_ref()) => Err(error.into()),
        };
        if let Some(server) = server {
            server.close().await;
        }
        answer
    });
    runtime.shutdown_timeout(CLOSE_TIME_MAX);
    drop(served);
    ended
}

/// Waits until the broker of this process had to stop; for ever when there is none.
async fn broken_down(served: Option<&Served>) -> Error {
    let Some(served) = served else { return std::future::pending().await };
    let mut looks = interval(BROKER_LOOK_PERIOD);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Some(error) = served.failure() {
            return error;
        }
    }
}

struct Loaded {
    setup: Setup,
    specs: Vec<PipelineSpec>,
}

/// Everything that is wrong with any file, at once; or what to run.
fn configuration(args: &Run, cx: &Context) -> Outcome<Loaded> {
    let mut found = Diagnostics::default();
    let setup = setup(&cx.globals).map_err(|more| found.extend(more)).ok();
    let runtime_file = cx.globals.config.as_deref().or(setup.as_ref().and_then(|s| s.file.as_deref()));
    let files = find(&args.paths, runtime_file)?;
    let (specs, more) = load(&files, &cx.registry);
    found.extend(more);
    match setup {
        Some(setup) if !found.has_errors() => {
            if !cx.terminal.json {
                cx.terminal.say_if_any(&render_diagnostics(&found, &cx.terminal));
            }
            Ok(Loaded { setup, specs })
        }
        _ => Err(Failure::Files { found, files: files.len() }),
    }
}

fn accepted(args: &Run, specs: &[PipelineSpec]) -> Outcome<BTreeSet<PipelineName>> {
    let mut names = BTreeSet::new();
    for text in &args.accept_change {
        match specs.iter().find(|s| s.name.as_str() == text) {
            Some(spec) => names.insert(spec.name.clone()),
            None => {
                return Err(Error::misconfigured(
                    "reading --accept-change failed, no pipeline of this run has the name",
                )
                .code("U0773")
                .with("name", text)
                .help("write the name as it stands in the pipeline's file")
                .into());
            }
        };
    }
    Ok(names)
}

/// The API of a run that stays. A bounded run has one only when the runtime file asks for it.
async fn serve_http(args: &Run, setup: &Setup, told: &Told, cx: &Context) -> Outcome<Option<Server>> {
    let (listen, is_explicit) = setup.config.listen();
    if args.no_http || (args.once && !is_explicit) {
        return Ok(None);
    }
    match http::serve(listen, told.clone()).await {
        Ok(server) => Ok(Some(server)),
        Err(error) if is_explicit || error.kind() != Kind::Transient => Err(error.into()),
        Err(error) => {
            let (why, help) = (error.one_line(), error.remedy().unwrap_or_default());
            cx.terminal.say_prose(&format!("warning: {why}; the HTTP API waits until it is free, or {help}\n"));
            tokio::spawn(http::serve_when_free(listen.to_owned(), told.clone()));
            Ok(None)
        }
    }
}

fn announce(args: &Run, specs: &[PipelineSpec], broker: Option<String>, server: Option<&Server>, cx: &Context) {
    if cx.globals.log_format == LogFormat::Json {
        tracing::info!(pipelines = specs.len(), http = server.map(|s| s.addr.to_string()), "starting");
        return;
    }
    if let Some(broker) = broker {
        cx.terminal.say_prose(&format!("broker      {broker}"));
    }
    if let Some(server) = server {
        cx.terminal.say(&format!("status      http://{}/api/v1/status", server.addr));
    }
    if !args.once {
        let names: Vec<&str> = specs.iter().map(|s| s.name.as_str()).collect();
        cx.terminal.say(&format!("running     {}; Ctrl-C or SIGTERM ends it", names.join(", ")));
    }
}

/// Of the cluster that the pipelines write to. A broker of our own needs none, and a setting that cannot be resolved is told by
/// whoever needs it.
fn watch(args: &Run, setup: &Setup, specs: &[PipelineSpec]) -> BrokerWatch {
    let writes_there = specs.iter().any(|spec| spec.sink.name() == Topic::NAME);
    match writes_there && !args.dev {
        true => BrokerWatch::of(&setup.config.kafka.brokers.resolve(setup.resolver.as_ref()).unwrap_or_default()),
        false => BrokerWatch::default(),
    }
}

/// Starts everything. A signal meanwhile ends it: nothing has been read yet.
async fn set_out(specs: Vec<PipelineSpec>, scene: Scene, board: &StatusBoard) -> Result<(Crew, Signals), Error> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        running = start(specs.clone(), scene, board.clone()) => Ok((Crew::new(running, specs), signals)),
        name = signals.next() => Err(stopped_early(name)),
    }
}

/// Splits that are still opening when the end is asked for are waited for so long: an attempt to reach a system that is away
/// may take half a minute, and there is nothing in it that a successor does not settle.
const OPENING_TIME_MAX: Duration = Duration::from_secs(2);

/// A run from its start to its end.
struct Shift<'a> {
    args: &'a Run,
    cx: &'a Context,
    crew: Crew,
    board: StatusBoard,
    progress: Progress,
    watched: Option<Watched>,
    ends: Ends,
    started: Instant,
    stopped_by: Option<(&'static str, Instant)>,
    /// Pipelines that are to be forgotten once they have ended, because their files are gone.
    gone: BTreeSet<PipelineName>,
    /// What edits of running pipelines mean, until the old ones have ended.
    consequences: BTreeMap<PipelineName, String>,
    /// Pipelines of which records were seen to be there: what was edited again before it opened does not know of them.
    wrote: BTreeSet<PipelineName>,
}

impl Shift<'_> {
    async fn work(mut self, mut signals: Signals) -> Answer {
        let mut show = interval(self.progress.period());
        show.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut look = interval(LOOK_PERIOD);
        look.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let waits_for_edits = self.args.dev && !self.args.once;
        while (self.crew.is_active() && !self.is_only_opening()) || (waits_for_edits && self.stopped_by.is_none()) {
            let is_active = self.crew.is_active();
            tokio::select! {
                ended = self.crew.next(), if is_active => {
                    if let Some(ended) = ended {
                        self.hear(ended).await;
                    }
                }
                name = signals.next() => self.stop(name),
                _ = show.tick() => self.progress.show(&self.board.snapshot()),
                _ = look.tick(), if waits_for_edits && self.stopped_by.is_none() => self.reload().await,
            }
        }
        self.close()
    }

    /// The end was asked for a while ago, and no split has anything to commit.
    fn is_only_opening(&self) -> bool {
        let is_late = self.stopped_by.is_some_and(|(_, at)| at.elapsed() >= OPENING_TIME_MAX);
        is_late && !self.board.snapshot().iter().flat_map(|p| &p.splits).any(|s| s.state == SplitState::Running)
    }

    async fn hear(&mut self, mut ended: Ended) {
        // of a run that goes on, an error is told when it happens; what is left for the end is its exit code
        if !self.args.once && self.cx.globals.log_format == LogFormat::Text {
            self.tell_errors(&mut ended);
        }
        let name = ended.pipeline.clone();
        self.tell_consequence(&name);
        let falls_back = self.crew.fall_back(&ended).await;
        self.ends.add(ended, self.started.elapsed());
        if falls_back {
            self.tell(Style::Magenta, Glyph::Warning, &format!("{name} goes on as it was before the edit"));
        }
        if falls_back || self.crew.succeed(&name).await {
            self.ends.forget(name.as_str());
        }
        self.forget_gone();
    }

    /// Status and exit code no longer speak of pipelines whose files were removed.
    fn forget_gone(&mut self) {
        let ended: Vec<PipelineName> = self.gone.iter().filter(|name| !self.crew.is_under_way(name)).cloned().collect();
        for name in ended {
            self.gone.remove(&name);
            self.ends.forget(name.as_str());
            self.board.remove(&name);
        }
    }

    fn tell(&self, style: Style, glyph: Glyph, text: &str) {
        let terminal = &self.cx.terminal;
        terminal.say_prose(&format!("{} {text}", terminal.paint(Output::Progress, style, terminal.glyph(glyph))));
    }

    fn tell_errors(&self, ended: &mut Ended) {
        ended.errors = std::mem::take(&mut ended.errors).into_iter().map(in_words).collect();
        for error in &ended.errors {
            self.cx.terminal.say(&render_error(error, Some(ended.pipeline.as_str()), &self.cx.terminal));
        }
    }

    fn tell_set_aside(&self) {
        for sentence in self.ends.set_aside() {
            match self.cx.globals.log_format {
                LogFormat::Json => tracing::warn!("{sentence}"),
                LogFormat::Text => self.cx.terminal.say_prose(&sentence),
            }
        }
    }

    fn stop(&mut self, signal: &'static str) {
        if self.stopped_by.is_some() {
            self.cx.terminal.say(&format!("{signal} again: ending at once; what is not committed will be read again"));
            end_at_once(Exit::Failed);
        }
        match self.cx.globals.log_format {
            LogFormat::Json => tracing::info!(signal, "stopping"),
            LogFormat::Text => self.cx.terminal.say(&format!("{signal}: committing what was read, then ending")),
        }
        self.stopped_by = Some((signal, Instant::now()));
        self.crew.stop();
    }

    async fn reload(&mut self) {
        let Some(watched) = &mut self.watched else { return };
        for edit in watched.look(&self.cx.registry) {
            let terminal = &self.cx.terminal;
            match edit {
                Edit::Good { spec, what, consequence } => {
                    self.tell(Style::Green, Glyph::Good, &format!("{}: {what}", spec.name));
                    if let Some(consequence) = consequence {
                        self.consequences.insert(spec.name.clone(), consequence);
                        self.tell_consequence(&spec.name);
                    }
                    self.gone.remove(&spec.name);
                    self.crew.replace(*spec).await;
                }
                Edit::Mended(name) => {
                    self.tell(Style::Green, Glyph::Good, &format!("{name}: right again, and as it runs"));
                }
                Edit::Bad { found, keeps } => {
                    let kept = keeps.map_or("it is not started".to_owned(), |name| format!("{name} goes on as it was"));
                    terminal.say(&format!("{}{kept}", render_diagnostics(&found, terminal)));
                }
                Edit::Removed { name, file } => {
                    terminal.say(&format!("{} is gone: stopping {name}", file.display()));
                    self.crew.stop_pipeline(&name);
                    self.gone.insert(name);
                }
                Edit::Runtime(file) => match setup(&self.cx.globals) {
                    Ok(_) => terminal.say(&format!("{} changed: it takes effect at the next start", file.display())),
                    Err(found) => terminal.say(&format!(
                        "{}{} changed: this run goes on as it was, the next start would be refused",
                        render_diagnostics(&found, terminal),
                        file.display()
                    )),
                },
            }
        }
        self.forget_gone();
    }

    /// Says what an edit means for the records that are there, once what ran before it has ended and is counted.
    fn tell_consequence(&mut self, name: &PipelineName) {
        if !self.crew.is_under_way(name)
            && let Some(consequence) = self.consequences.remove(name)
            && self.has_written(name)
        {
            self.tell(Style::Magenta, Glyph::Warning, &consequence);
        }
    }

    /// Records of the pipeline are there, from this run or an earlier one, or may be: of a commit that was cut off it is not
    /// known what came of it.
    fn has_written(&mut self, name: &PipelineName) -> bool {
        let statuses = self.board.snapshot();
        let mut splits = statuses.iter().filter(|p| p.pipeline == name.as_str()).flat_map(|p| &p.splits);
        if splits.any(|split| split.written_ever > 0 || split.last_trouble.is_some()) {
            self.wrote.insert(name.clone());
        }
        self.wrote.contains(name)
    }

    fn close(mut self) -> Answer {
        let pipelines = self.board.snapshot();
        self.progress.finish(&pipelines);
        let lines = self.ends.lines(&pipelines, self.started.elapsed());
        let seconds = self.started.elapsed().as_secs_f64();
        let terminal = &self.cx.terminal;
        let answer = match self.args.once {
            true => Answer::new(render(&lines, terminal), json!({"pipelines": lines, "seconds": seconds})),
            false => Answer::new("", json!({"pipelines": lines, "seconds": seconds})),
        };
        let is_told = !self.args.once && !terminal.json;
        if !self.args.once {
            self.tell_set_aside();
        }
        let bound = if self.args.once { Bound::Once } else { Bound::Continuous };
        let failure = match (self.ends.failure(bound), self.stopped_by, self.args.once) {
            (Some(failure), ..) => failure,
            (None, Some((signal, _)), true) => stopped_early(signal).into(),
            (None, ..) => return answer,
        };
        match is_told {
            true => answer.exit(failure.exit()),
            false => answer.failed(failure),
        }
    }
}

fn stopped_early(signal: &str) -> Error {
    Error::rejected("taking everything that was there failed, a signal came before the end")
        .code("U0772")
        .with("signal", signal)
        .help("what was committed stays; run it again, it goes on where it stopped")
}
