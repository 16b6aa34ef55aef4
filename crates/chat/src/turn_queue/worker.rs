//! The task of one conversation's queue: starts its turns in order, and lets one of them run at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};
use tracing::Instrument;

use super::{QueuePermit, Submission, TurnQueues};
use crate::signals::TurnSignals;
use crate::start::start_queued;
use crate::turn::{self, ReadyTurn, TurnContext};

/// The owner of one conversation's order.
pub(super) struct QueueWorker {
    queues: TurnQueues,
    conversation: String,
    submissions: mpsc::Receiver<Submission>,
    waiting: VecDeque<WaitingTurn>,
    running: Option<TurnTask>,
}

/// A turn's task, and what is held until the turn has its terminal event.
struct TurnTask {
    context: Arc<TurnContext>,
    signals: TurnSignals,
    task: JoinHandle<()>,
    _permit: QueuePermit,
}

/// A turn that is in the log and waits to run. Its task listens for a stop signal meanwhile.
struct WaitingTurn {
    turn: TurnTask,
    go: oneshot::Sender<()>,
}

impl QueueWorker {
    /// Creates the worker of a queue without turns.
    pub(super) fn new(queues: TurnQueues, conversation: String, submissions: mpsc::Receiver<Submission>) -> Self {
        Self {
            queues,
            conversation,
            submissions,
            waiting: VecDeque::new(),
            running: None,
        }
    }

    /// Runs the queue until no permit is left.
    pub(super) async fn run(mut self) {
        loop {
            if self.running.is_none() {
                self.running = self.waiting.pop_front().map(WaitingTurn::run);
            }
            if self.running.is_none() && self.queues.retire(&self.conversation) {
                return;
            }
            self.update_positions();
            tokio::select! {
                Some(submission) = self.submissions.recv() => self.start(submission).await,
                result = turn_ended(&mut self.running) => self.finish(result).await,
            }
        }
    }

    /// Starts a turn. Turns are inserted into the log here, and so one after the other.
    async fn start(&mut self, submission: Submission) {
        let Submission {
            permit,
            signals,
            command,
        } = submission;
        if let Some(ready) = start_queued(&self.queues.services, command).await {
            self.waiting.push_back(WaitingTurn::spawn(ready, signals, permit));
        }
    }

    /// Gives back the permit of the running turn, which has ended.
    async fn finish(&mut self, result: Result<(), JoinError>) {
        let turn = self.running.take().expect("only a running turn ends");
        if let Err(error) = result {
            turn::fail_after_panic(&turn.context, turn.signals.clone(), &error).await;
        }
    }

    /// Reports to each turn how many run before it. One that was stopped while it waited delays no other.
    fn update_positions(&self) {
        let turns = self
            .running
            .iter()
            .chain(self.waiting.iter().map(|waiting| &waiting.turn));
        for (ahead, turn) in turns.filter(|turn| !turn.task.is_finished()).enumerate() {
            turn.signals.reporter.set_queue_position(ahead);
        }
    }
}

/// Waits for the end of the running turn, and without end if none runs.
async fn turn_ended(running: &mut Option<TurnTask>) -> Result<(), JoinError> {
    match running {
        Some(running) => (&mut running.task).await,
        None => std::future::pending().await,
    }
}

impl WaitingTurn {
    /// Spawns a turn's task.
    fn spawn(ready: ReadyTurn, signals: TurnSignals, permit: QueuePermit) -> Self {
        let context = Arc::clone(&ready.context);
        let (go, start) = oneshot::channel();
        let span =
            tracing::info_span!(parent: None, "turn", conversation = context.conversation, turn = context.turn_id);
        let run = turn::run(ready, signals.clone(), start);
        let turn = TurnTask {
            context,
            signals,
            task: tokio::spawn(run.instrument(span)),
            _permit: permit,
        };
        Self { turn, go }
    }

    /// Lets the turn run.
    fn run(self) -> TurnTask {
        // A turn that was stopped while it waited no longer listens.
        let _stopped = self.go.send(());
        self.turn
    }
}
