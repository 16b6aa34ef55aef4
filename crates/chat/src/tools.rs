//! Tool calls that wait for their outputs, from the host's own handler or from a client.
//!
//! Calls of a turn go in, their outputs come out in any order. It neither logs nor times a call.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::tool_rounds::{MAX_OUTPUT_BYTES, RecordedCall, ToolRounds, json_bytes};

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

/// The future of a [`ToolHandler`]'s call: the output, or `None` for a tool that is left to clients.
pub type ToolFuture = Pin<Box<dyn Future<Output = Option<Value>> + Send>>;

/// Runs tools inside the host, beside the clients.
///
/// A call that is cut off by the end of the process is made again after a restart, so it may run twice.
pub trait ToolHandler: fmt::Debug + Send + Sync {
    /// Runs one call. The future is dropped when the turn is stopped or the call has taken too long.
    fn call(&self, request: ToolRequest) -> ToolFuture;
}

/// Size of an output that is accepted even over the turn's limit: a sentence, so that a call can always be answered.
const ALWAYS_ACCEPTED_BYTES: usize = 256;

/// Whose calls they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct TurnAddress {
    conversation_id: String,
    turn_id: String,
}

impl TurnAddress {
    fn new(conversation: &str, turn_id: &str) -> Self {
        Self {
            conversation_id: conversation.to_owned(),
            turn_id: turn_id.to_owned(),
        }
    }

    /// Returns a call as a handler sees it.
    fn request(&self, call: &RecordedCall) -> ToolRequest {
        ToolRequest {
            conversation_id: self.conversation_id.clone(),
            turn_id: self.turn_id.clone(),
            call_id: call.id.clone(),
            name: call.name.clone(),
            arguments: call.arguments_json(),
        }
    }
}

/// The open calls of all turns.
#[derive(Debug, Default)]
pub(crate) struct PendingCalls {
    waiting: Arc<Mutex<HashMap<TurnAddress, TurnCalls>>>,
}

/// The open calls of one turn.
#[derive(Debug)]
struct TurnCalls {
    /// Ids of the calls without an output.
    open: HashSet<String>,
    /// Size of the turn's outputs so far, those of earlier rounds included.
    bytes: usize,
    outputs: mpsc::Sender<(String, Value)>,
}

/// The result of submitting an output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SubmitOutcome {
    /// The turn receives it.
    Accepted,
    /// No such call is open.
    UnknownCall,
    /// With it the turn's outputs would have this many bytes, over the limit. The call stays open.
    TooLarge(usize),
}

/// Receives the outputs of one round's calls. Dropping it closes the calls and aborts their handlers.
pub(crate) struct ToolOutputs {
    pending: Arc<Mutex<HashMap<TurnAddress, TurnCalls>>>,
    turn: TurnAddress,
    receiver: mpsc::Receiver<(String, Value)>,
    /// Keeps the channel open after all handlers have ended.
    _sender: mpsc::Sender<(String, Value)>,
    /// Aborted when dropped.
    _handlers: JoinSet<()>,
}

impl PendingCalls {
    /// Opens the calls of a turn's last round that have no output, and has the handler run them.
    ///
    /// Returns `None` if there is no such call.
    pub(crate) fn open(
        &self,
        conversation: &str,
        turn_id: &str,
        rounds: &ToolRounds,
        handler: Option<&Arc<dyn ToolHandler>>,
    ) -> Option<ToolOutputs> {
        let calls: Vec<&RecordedCall> = rounds.open_calls().collect();
        if calls.is_empty() {
            return None;
        }
        let turn = TurnAddress::new(conversation, turn_id);
        // Room for the output of every call, so that submitting one never waits.
        let (sender, receiver) = mpsc::channel(calls.len());
        let opened = TurnCalls {
            open: calls.iter().map(|call| call.id.clone()).collect(),
            bytes: rounds.output_bytes(),
            outputs: sender.clone(),
        };
        lock(&self.waiting).insert(turn.clone(), opened);
        let mut handlers = JoinSet::new();
        if let Some(handler) = handler {
            for call in calls {
                let output = handler.call(turn.request(call));
                handlers.spawn(run_handler(
                    Arc::clone(&self.waiting),
                    turn.clone(),
                    call.id.clone(),
                    output,
                ));
            }
        }
        Some(ToolOutputs {
            pending: Arc::clone(&self.waiting),
            turn,
            receiver,
            _sender: sender,
            _handlers: handlers,
        })
    }

    /// Submits a client's output.
    pub(crate) fn submit(&self, conversation: &str, turn_id: &str, call_id: &str, output: Value) -> SubmitOutcome {
        submit(&self.waiting, &TurnAddress::new(conversation, turn_id), call_id, output)
    }
}

/// Submits a handler's output, or an error in place of one that is too large.
async fn run_handler(
    pending: Arc<Mutex<HashMap<TurnAddress, TurnCalls>>>,
    turn: TurnAddress,
    call_id: String,
    output: ToolFuture,
) {
    let Some(output) = output.await else { return };
    // An unknown call has ended with its turn, or a client was quicker.
    if let SubmitOutcome::TooLarge(bytes) = submit(&pending, &turn, &call_id, output) {
        let error = format!("the outputs have {bytes} bytes, and {MAX_OUTPUT_BYTES} are allowed");
        submit(&pending, &turn, &call_id, json!({ "error": error }));
    }
}

/// Passes an output on to the turn whose call is open.
fn submit(
    pending: &Mutex<HashMap<TurnAddress, TurnCalls>>,
    turn: &TurnAddress,
    call_id: &str,
    output: Value,
) -> SubmitOutcome {
    let own_bytes = json_bytes(&output);
    let mut waiting = lock(pending);
    let Some(calls) = waiting.get_mut(turn).filter(|calls| calls.open.contains(call_id)) else {
        return SubmitOutcome::UnknownCall;
    };
    let bytes = calls.bytes + own_bytes;
    // Error texts in place of an output always fit: the limit leaves room for them in the stored rounds.
    if bytes > MAX_OUTPUT_BYTES && own_bytes > ALWAYS_ACCEPTED_BYTES {
        return SubmitOutcome::TooLarge(bytes);
    }
    calls.bytes = bytes;
    calls.open.remove(call_id);
    match calls.outputs.try_send((call_id.to_owned(), output)) {
        Ok(()) => SubmitOutcome::Accepted,
        Err(_) => SubmitOutcome::UnknownCall,
    }
}

impl ToolOutputs {
    /// Waits for the next output, with its call's id. Cancel safe.
    pub(crate) async fn next(&mut self) -> (String, Value) {
        match self.receiver.recv().await {
            Some(output) => output,
            // Unreachable, since a sender is in self.
            None => std::future::pending().await,
        }
    }
}

impl Drop for ToolOutputs {
    fn drop(&mut self) {
        lock(&self.pending).remove(&self.turn);
    }
}

/// Locks the calls, also after a panic: every change under the lock is complete before anything can panic.
fn lock(waiting: &Mutex<HashMap<TurnAddress, TurnCalls>>) -> MutexGuard<'_, HashMap<TurnAddress, TurnCalls>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
