//! `unbatch top`: the pipelines of a worker while they run. [`view`] is what is known and chosen, [`screen`] how it looks, and
//! this file asks, listens and draws.

mod plot;
mod screen;
mod stage;
mod view;

use super::{Context, status};
use crate::answer::Answer;
use crate::arguments::Top;
use crate::durations::now_ms;
use crate::failure::{Failure, Outcome};
use crate::http::report::{WorkerReport, ask};
use crate::run::signals::Signals;
use crate::terminal::Output;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use screen::Look;
use serde_json::{Value, json};
use stage::Stage;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use unbatch_api::{Error, Result};
use view::{Press, View};

/// How often keys are looked for; between two looks the screen stands still.
const KEY_PERIOD: Duration = Duration::from_millis(100);
/// A worker is not asked more often than this, whatever --interval says.
const ASK_PERIOD_MIN: Duration = Duration::from_millis(50);
/// News that wait to be shown; who asks waits then.
const NEWS_MAX: usize = 4;

pub(crate) fn top(args: &Top, cx: &Context) -> Outcome<Answer> {
    let address = status::address(args.http.as_deref(), cx)?;
    let runtime = super::async_runtime()?;
    let first = runtime.block_on(ask(&address))?;
    if !cx.terminal.is_live {
        return Ok(once(
            &first,
            "stdout is no terminal that can be drawn on, so this is one look, as `unbatch status` gives it",
            cx,
        ));
    }
    let stage = match Stage::enter() {
        Ok(stage) => stage,
        Err(error) => {
            return Ok(once(&first, &format!("the terminal cannot be drawn on ({error}), so this is one look"), cx));
        }
    };
    let look = Look { unicode: cx.terminal.unicode, colour: cx.terminal.has_colour(Output::Result) };
    let view = View::new(address.clone(), WorkerReport::of(&first), now_ms());
    let (sender, news) = sync_channel(NEWS_MAX);
    runtime.spawn(listen(sender.clone()));
    runtime.spawn(keep_asking(address, args.interval.0.max(ASK_PERIOD_MIN), sender));
    let ended = play(stage, view, look, &news);
    runtime.shutdown_background();
    ended.map_err(|cause| {
        Failure::Error(Error::lost("drawing on the terminal failed").code("U0745").caused_by(cause))
    })?;
    Ok(Answer::told())
}

/// For whoever reads no screen.
fn once(answer: &Value, why: &str, cx: &Context) -> Answer {
    if !cx.terminal.json {
        cx.terminal.say(why);
    }
    let report = WorkerReport::of(answer);
    let text = status::render(&report, false, now_ms(), &cx.terminal);
    Answer::new(text, json!({"broker": answer["broker"], "pipelines": answer["pipelines"]}))
}

enum News {
    Report(Result<WorkerReport>),
    /// SIGTERM or the like.
    End,
}

async fn keep_asking(address: String, interval: Duration, news: SyncSender<News>) {
    loop {
        tokio::time::sleep(interval).await;
        let report = ask(&address).await.map(|answer| WorkerReport::of(&answer));
        if news.send(News::Report(report)).is_err() {
            return;
        }
    }
}

async fn listen(news: SyncSender<News>) {
    if let Ok(mut signals) = Signals::listen() {
        signals.next().await;
        // nobody who hears it: the end is under way already
        let _ = news.send(News::End);
    }
}

/// Draws until somebody wants the end. Dropping the stage gives the terminal back.
fn play(mut stage: Stage, mut view: View, look: Look, news: &Receiver<News>) -> io::Result<()> {
    loop {
        stage.draw(|frame| screen::draw(&view, now_ms(), look, frame.area(), frame.buffer_mut()))?;
        while event::poll(KEY_PERIOD)? {
            match event::read()? {
                Event::Key(key) if press_of(key).is_some_and(|press| view.press(press).is_break()) => return Ok(()),
                _ => {}
            }
            if !event::poll(Duration::ZERO)? {
                break;
            }
        }
        while let Ok(one) = news.try_recv() {
            match one {
                News::Report(report) => view.take(report, now_ms()),
                News::End => return Ok(()),
            }
        }
    }
}

fn press_of(key: KeyEvent) -> Option<Press> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if is_control => Some(Press::Quit),
        KeyCode::Char('q') => Some(Press::Quit),
        KeyCode::Esc => Some(Press::Back),
        KeyCode::Char('s') => Some(Press::Sort),
        KeyCode::Char('p') => Some(Press::Pause),
        KeyCode::Up | KeyCode::Char('k') => Some(Press::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(Press::Down),
        KeyCode::Enter => Some(Press::Details),
        _ => None,
    }
}
