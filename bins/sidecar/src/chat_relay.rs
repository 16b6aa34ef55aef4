//! The narrator's relay that asks our own agents: a message in, a turn started, its answer out.
//!
//! The turn runs in the conversation that the narration goes to, so that the agent knows what was said there, and every
//! reader sees the answer arrive. The turn's id is the task's. Dropping the future of an answer cancels the turn.

use chat::{Chat, ChatError, TurnCommand, TurnHandle};
use conversation_store::{ConversationStore, Event, StoreError, Turn, TurnState};
use protocol::{ErrorEvent, is_terminal};
use relay::{Relay, RelayAnswer, RelayError, RelayFuture, RelayMessage};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error_chain::ErrorChain;

/// Events read from the log at a time.
const READ_EVENTS: usize = 256;

/// A relay that asks our own agents.
pub(crate) struct ChatRelay {
    chat: Chat,
    store: ConversationStore,
}

impl ChatRelay {
    pub(crate) fn new(chat: Chat, store: ConversationStore) -> Self {
        Self { chat, store }
    }

    async fn answer(&self, message: RelayMessage) -> Result<RelayAnswer, RelayError> {
        let (conversation, turn_id) = (message.conversation_id, message.task_id);
        let mut cancel_on_drop = CancelOnDrop {
            chat: self.chat.clone(),
            turn: Some((conversation.clone(), turn_id.clone())),
            runtime: Handle::current(),
        };
        let command = TurnCommand {
            agent_id: message.agent_id,
            conversation_id: Some(conversation.clone()),
            turn_id: Some(turn_id.clone()),
            message: message.message,
            ..TurnCommand::default()
        };
        let begun = self.begin(command).await?;
        let end = self.wait_for_end(&conversation, &turn_id, begun.first_seq).await;
        let end = end.map_err(unreadable)?;
        cancel_on_drop.turn = None;
        if end.kind == "error" {
            return Err(failed_turn(&end));
        }
        let turn = self.store.turn(&conversation, &turn_id).await.map_err(unreadable)?;
        let is_done = |turn: &Turn| turn.state == TurnState::Done;
        let answer = turn.filter(is_done).map(|turn| turn.answer_text);
        let answer = answer.ok_or_else(|| RelayError::failed("the agent's answer was cancelled"))?;
        Ok(RelayAnswer::text(answer.trim()))
    }

    /// Starts a turn. When the caller goes away, the start is not aborted, as it may have got anywhere, but completed
    /// and cancelled.
    async fn begin(&self, command: TurnCommand) -> Result<TurnHandle, RelayError> {
        let (reply, begun) = oneshot::channel();
        let chat = self.chat.clone();
        tokio::spawn(async move {
            if let Err(Ok(abandoned)) = reply.send(chat.start_turn(command).await) {
                let TurnHandle {
                    conversation_id,
                    turn_id,
                    ..
                } = abandoned;
                // The turn may have ended already.
                let _over = chat.cancel(&conversation_id, &turn_id).await;
            }
        });
        begun.await.unwrap_or(Err(ChatError::Gone)).map_err(not_begun)
    }

    /// Waits for the event that ends a turn.
    async fn wait_for_end(&self, conversation: &str, turn_id: &str, first_seq: u64) -> Result<Event, StoreError> {
        // The tail is made before the first read, so that no event is missed between the two.
        let mut tail = self.store.tail(conversation);
        let mut after = first_seq;
        loop {
            let events = self.store.read_tail(&tail, after, READ_EVENTS).await?;
            let Some(last) = events.last() else {
                tail.changed().await?;
                continue;
            };
            after = last.seq;
            let ends = |event: &Event| event.turn_id.as_deref() == Some(turn_id) && is_terminal(&event.kind);
            if let Some(end) = events.into_iter().find(ends) {
                return Ok(end);
            }
        }
    }
}

impl Relay for ChatRelay {
    fn name(&self) -> &str {
        "chat"
    }

    /// The sidecar holds a lease for its own controller.
    fn needs_lease(&self) -> bool {
        true
    }

    fn ask(&self, message: RelayMessage) -> RelayFuture<'_> {
        Box::pin(self.answer(message))
    }
}

impl std::fmt::Debug for ChatRelay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChatRelay")
    }
}

/// Cancels the turn when it is dropped, unless the turn has been taken out.
struct CancelOnDrop {
    chat: Chat,
    turn: Option<(String, String)>,
    runtime: Handle,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some((conversation, turn_id)) = self.turn.take() {
            let chat = self.chat.clone();
            // A turn that was never started can't be cancelled, and needn't be.
            self.runtime.spawn(async move {
                let _not_begun = chat.cancel(&conversation, &turn_id).await;
            });
        }
    }
}

fn failed_turn(end: &Event) -> RelayError {
    let reason = serde_json::from_str(&end.json).map(|error: ErrorEvent| error.message);
    let reason = reason.unwrap_or_else(|error| error.to_string());
    RelayError::failed(format!("the agent's turn failed: {reason}"))
}

fn not_begun(error: ChatError) -> RelayError {
    RelayError::failed(format!("the agent can't be asked: {error}"))
}

fn unreadable(error: StoreError) -> RelayError {
    RelayError::failed(format!("the agent's answer can't be read: {}", ErrorChain(&error)))
}
