//! Who answers the calls of tools: the host's own handler, or a client.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::rounds::{MAX_OUTPUT_BYTES, json_bytes};

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

/// An output that is taken whatever the turn has had: a sentence, so that a call can always be answered.
const FEW_BYTES: usize = 256;

type TurnName = (String, String);

/// The calls that wait for clients, over all turns.
#[derive(Debug, Default)]
pub(crate) struct Board {
    waiting: Arc<Mutex<HashMap<TurnName, Slot>>>,
}

#[derive(Debug)]
struct Slot {
    calls: HashSet<String>,
    /// Bytes of outputs that the turn has had.
    bytes: usize,
    outputs: mpsc::Sender<(String, Value)>,
}

/// What became of an output that was handed in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HandedIn {
    /// The turn goes on with it.
    Taken,
    /// No such call waits.
    Unknown,
    /// The turn's outputs would have so many bytes with it. The call still waits.
    TooLarge(usize),
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
    /// Begins to wait for the outputs of a turn's calls, and has the handler run them. `bytes` is what the turn's outputs have so far.
    pub(crate) fn open(
        &self,
        requests: Vec<ToolRequest>,
        bytes: usize,
        handler: Option<&Arc<dyn ToolHandler>>,
    ) -> Option<Outputs> {
        let first = requests.first()?;
        let turn = (first.conversation_id.clone(), first.turn_id.clone());
        // Room for the answer to every call: nobody ever waits to give one.
        let (sender, receiver) = mpsc::channel(requests.len());
        let slot = Slot {
            calls: requests.iter().map(|request| request.call_id.clone()).collect(),
            bytes,
            outputs: sender.clone(),
        };
        lock(&self.waiting).insert(turn.clone(), slot);
        let mut handlers = JoinSet::new();
        for request in requests {
            if let Some(handler) = handler {
                let (call_id, turn) = (request.call_id.clone(), turn.clone());
                let (output, board) = (handler.call(request), Arc::clone(&self.waiting));
                handlers.spawn(async move {
                    let Some(output) = output.await else { return };
                    // The turn is over, or a client was quicker, when nobody takes it.
                    if let HandedIn::TooLarge(bytes) = hand_in(&board, &turn, &call_id, output) {
                        let error = format!("the outputs have {bytes} bytes, and {MAX_OUTPUT_BYTES} are allowed");
                        hand_in(&board, &turn, &call_id, json!({ "error": error }));
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

    /// Hands in a client's output.
    pub(crate) fn answer(&self, conversation: &str, turn_id: &str, call_id: &str, output: Value) -> HandedIn {
        hand_in(
            &self.waiting,
            &(conversation.to_owned(), turn_id.to_owned()),
            call_id,
            output,
        )
    }
}

fn hand_in(board: &Mutex<HashMap<TurnName, Slot>>, turn: &TurnName, call_id: &str, output: Value) -> HandedIn {
    let own_bytes = json_bytes(&output);
    let mut waiting = lock(board);
    let Some(slot) = waiting.get_mut(turn).filter(|slot| slot.calls.contains(call_id)) else {
        return HandedIn::Unknown;
    };
    let bytes = slot.bytes + own_bytes;
    // Words of ours, as why there is no output, always fit: the limit leaves them room in the record.
    if bytes > MAX_OUTPUT_BYTES && own_bytes > FEW_BYTES {
        return HandedIn::TooLarge(bytes);
    }
    slot.bytes = bytes;
    slot.calls.remove(call_id);
    match slot.outputs.try_send((call_id.to_owned(), output)) {
        Ok(()) => HandedIn::Taken,
        Err(_) => HandedIn::Unknown,
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
