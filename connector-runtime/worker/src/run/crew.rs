//! The pipelines of a process under way, in groups that start and stop together: one group for all of them, or one for each
//! when files are reloaded.

use tokio::sync::{mpsc, watch};
use unbatch_api::PipelineName;
use unbatch_engine::config::PipelineSpec;
use unbatch_engine::{Ended, Scene, StatusBoard, start};

/// Ends of splits that wait to be looked at; a group that has more waits too.
const NEWS_MAX: usize = 256;

/// All groups, and what is heard of them.
pub(crate) struct Crew {
    scene: Scene,
    board: StatusBoard,
    groups: Vec<Group>,
    numbered: u64,
    sender: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
}

struct Group {
    number: u64,
    pipelines: Vec<PipelineName>,
    stop: watch::Sender<bool>,
    /// Started in its place once it has ended.
    successor: Option<Box<PipelineSpec>>,
}

enum News {
    Ended(Ended),
    GroupDone(u64),
}

/// Something to tell.
pub(crate) enum Heard {
    /// A split ended, for whatever reason.
    Ended(Ended),
    /// The successor of an edited pipeline was started.
    Replaced(PipelineName),
    /// Housekeeping.
    Nothing,
}

impl Crew {
    pub(crate) fn new(scene: Scene, board: StatusBoard) -> Self {
        let (sender, news) = mpsc::channel(NEWS_MAX);
        Crew { scene, board, groups: Vec::new(), numbered: 0, sender, news }
    }

    /// Nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Starts a group.
    pub(crate) fn start(&mut self, specs: Vec<PipelineSpec>) {
        if specs.is_empty() {
            return;
        }
        self.numbered += 1;
        let (stop, stopped) = watch::channel(false);
        let pipelines = specs.iter().map(|s| s.name.clone()).collect();
        self.groups.push(Group { number: self.numbered, pipelines, stop, successor: None });
        let (scene, board, sender) = (self.scene.clone(), self.board.clone(), self.sender.clone());
        tokio::spawn(attend(self.numbered, specs, scene, board, stopped, sender));
    }

    /// Stops the pipeline and starts it anew from `spec`; starts it at once when it is not under way.
    pub(crate) fn replace(&mut self, spec: PipelineSpec) {
        match self.groups.iter_mut().find(|g| g.pipelines.contains(&spec.name)) {
            Some(group) => {
                group.successor = Some(Box::new(spec));
                group.stop.send_replace(true);
            }
            None => self.start(vec![spec]),
        }
    }

    /// Stops one pipeline that is a group of its own.
    pub(crate) fn stop_one(&mut self, name: &PipelineName) {
        for group in self.groups.iter_mut().filter(|g| g.pipelines.contains(name)) {
            group.successor = None;
            group.stop.send_replace(true);
        }
    }

    /// Asks everything to commit what it has and end.
    pub(crate) fn stop(&mut self) {
        for group in &mut self.groups {
            group.successor = None;
            group.stop.send_replace(true);
        }
    }

    /// Waits for the next thing to happen; for ever when nothing is under way.
    pub(crate) async fn next(&mut self) -> Heard {
        match self.news.recv().await {
            Some(News::Ended(ended)) => Heard::Ended(ended),
            Some(News::GroupDone(number)) => self.done(number),
            // this end keeps a sender, so the channel never closes
            None => Heard::Nothing,
        }
    }

    fn done(&mut self, number: u64) -> Heard {
        let Some(at) = self.groups.iter().position(|g| g.number == number) else {
            return Heard::Nothing;
        };
        match self.groups.swap_remove(at).successor {
            Some(spec) => {
                let name = spec.name.clone();
                self.start(vec![*spec]);
                Heard::Replaced(name)
            }
            None => Heard::Nothing,
        }
    }
}

/// Runs a group to its end and passes on what ends in it. Nobody listening any more means that the process ends.
async fn attend(
    number: u64,
    specs: Vec<PipelineSpec>,
    scene: Scene,
    board: StatusBoard,
    mut stopped: watch::Receiver<bool>,
    sender: mpsc::Sender<News>,
) {
    let mut running = start(specs, scene, board).await;
    let mut is_stopping = false;
    loop {
        tokio::select! {
            ended = running.next_end() => match ended {
                Some(ended) => {
                    if sender.send(News::Ended(ended)).await.is_err() {
                        return;
                    }
                }
                None => break,
            },
            () = asked(&mut stopped), if !is_stopping => {
                is_stopping = true;
                running.stop();
            }
        }
    }
    let _ = sender.send(News::GroupDone(number)).await;
}

/// Somebody wants the group to stop; the crew being gone counts as that.
async fn asked(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}
