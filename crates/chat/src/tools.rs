//! Who answers the calls of tools: the host's own handler, or a client.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// One call of a tool, as a handler sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolRequest {
    /// The conversation.
    pub conversation_id: String,
    /// The turn.
    pub turn_id: String,
    /// The call, unique in its turn.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
}

/// What a [`ToolHandler`] gives back: the output, or `None` for a tool that it doesn't have, which a client then answers.
pub type ToolFuture = Pin<Box<dyn Future<Output = Option<Value>> + Send>>;

/// Runs tools inside the host, before any client is waited for.
///
/// A call that is cut off by the end of the process is made again after it, so a handler must bear being asked twice.
pub trait ToolHandler: fmt::Debug + Send + Sync {
    /// Runs one call. The future is dropped when the turn is stopped or the call has taken too long.
    fn call(&self, request: ToolRequest) -> ToolFuture;
}

type TurnName = (String, String);

/// The calls that wait for clients, over all turns.
#[derive(Debug, Default)]
pub(crate) struct Board {
    waiting: Arc<Mutex<HashMap<TurnName, Slot>>>,
}

#[derive(Debug)]
struct Slot {
    calls: HashSet<String>,
    outputs: mpsc::Sender<(String, Value)>,
}

/// The calls of one round of one turn; dropping it ends the wait.
pub(crate) struct Outputs {
    board: Arc<Mutex<HashMap<TurnName, Slot>>>,
    turn: TurnName,
    receiver: mpsc::Receiver<(String, Value)>,
    /// Kept, so that the channel stays open when all handlers are done.
    _sender: mpsc::Sender<(String, Value)>,
    /// Aborts what still runs when it is dropped.
    _handlers: JoinSet<()>,
}

impl Board {
    /// Begins to wait for the outputs of a turn's calls, and has the handler run them.
    pub(crate) fn open(&self, requests: Vec<ToolRequest>, handler: Option<&Arc<dyn ToolHandler>>) -> Option<Outputs> {
        let first = requests.first()?;
        let turn = (first.conversation_id.clone(), first.turn_id.clone());
        // Room for two answers to every call, one from each side: nobody ever waits to give one.
        let (sender, receiver) = mpsc::channel(requests.len() * 2);
        let slot = Slot {
            calls: requests.iter().map(|request| request.call_id.clone()).collect(),
            outputs: sender.clone(),
        };
        lock(&self.waiting).insert(turn.clone(), slot);
        let mut handlers = JoinSet::new();
        for request in requests {
            if let Some(handler) = handler {
                let (call_id, sender) = (request.call_id.clone(), sender.clone());
                let output = handler.call(request);
                handlers.spawn(async move {
                    if let Some(output) = output.await {
                        // The turn is over when nobody takes it.
                        let _unheard = sender.try_send((call_id, output));
                    }
                });
            }
        }
        Some(Outputs {
            board: Arc::clone(&self.waiting),
            turn,
            receiver,
            _sender: sender,
            _handlers: handlers,
        })
    }

    /// Hands in a client's output; `false` when the turn has no such call that waits.
    pub(crate) fn answer(&self, conversation: &str, turn_id: &str, call_id: &str, output: Value) -> bool {
        let mut waiting = lock(&self.waiting);
        let turn = (conversation.to_owned(), turn_id.to_owned());
        let Some(slot) = waiting.get_mut(&turn) else {
            return false;
        };
        slot.calls.remove(call_id) && slot.outputs.try_send((call_id.to_owned(), output)).is_ok()
    }
}

impl Outputs {
    /// The next output. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> (String, Value) {
        match self.receiver.recv().await {
            Some(output) => output,
            // A sender is in self, so this can't be; and if it were, there would be nothing to wait for.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        lock(&self.board).remove(&self.turn);
    }
}

/// Every change under the lock is whole before anything can panic.
fn lock(waiting: &Mutex<HashMap<TurnName, Slot>>) -> MutexGuard<'_, HashMap<TurnName, Slot>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
