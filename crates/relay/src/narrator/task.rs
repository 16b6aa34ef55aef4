//! The task that processes one message, from the lease to the summary.

use std::sync::Arc;

use conversation_store::{NewEvent, Publish};
use protocol::{Narration, NarrationSource, NarratorAccepted, ServerEvent, Summary};
use uuid::Uuid;

use super::Shared;
use super::checked_message::CheckedMessage;
use super::journal::{LineContent, LineContext};
use crate::error::{NarratorError, RelayError};
use crate::log::{LineType, headline};
use crate::relay::{RelayAnswer, RelayMessage, Remark};
use crate::summary::Summaries;

/// A message that is in the workspace's log and has to be answered.
pub(super) struct MessageTask {
    shared: Arc<Shared>,
    context: LineContext,
    task_id: String,
    event_id: String,
    message: String,
}

impl MessageTask {
    /// Checks the lease and the conversation, and writes the message to the workspace's log.
    pub(super) async fn begin(shared: &Arc<Shared>, message: CheckedMessage) -> Result<Self, NarratorError> {
        let CheckedMessage { workspace, agent, .. } = message;
        if shared.relay.needs_lease() {
            shared.leases.holder(&agent, &workspace)?;
        }
        let conversation = match message.conversation {
            Some(id) => {
                // A deleted conversation is refused before the relay is asked.
                shared.conversations.conversation(&id).await?;
                id
            }
            None => shared.own_conversation(&workspace, &agent).await?,
        };
        let task_id = Uuid::now_v7().to_string();
        let context = LineContext {
            workspace,
            conversation,
            task: Some(task_id.clone()),
            agent,
        };
        let content = LineContent::new(LineType::UserMessage, NarrationSource::User, message.message.clone());
        let written = shared.journal.write(&context, vec![content]).await?;
        Ok(Self {
            shared: Arc::clone(shared),
            context,
            task_id,
            event_id: written.concat(),
            message: message.message,
        })
    }

    /// Returns the reply to the caller.
    pub(super) fn accepted(&self) -> NarratorAccepted {
        NarratorAccepted {
            workspace_id: self.context.workspace.clone(),
            conversation_id: self.context.conversation.clone(),
            event_id: self.event_id.clone(),
            task_id: self.task_id.clone(),
        }
    }

    /// Processes the message to its end, which is written to the workspace's log too.
    pub(super) async fn run(self) -> Result<(), NarratorError> {
        let outcome = self.narrate().await;
        let mut ending = Vec::new();
        if let Err(error) = &outcome {
            let (relay, code) = (self.shared.relay.name(), error.code());
            let conversation = &self.context.conversation;
            tracing::warn!(%error, relay, conversation, task = self.task_id, "a message to the narrator came to nothing");
            let content = LineContent::new(LineType::Error, NarrationSource::System, error.to_string());
            ending.push(content.with_headline(code.map_or("store_failed", |code| code.as_str())));
        }
        let completed = LineType::WorkspaceNarratorCompleted;
        ending.push(
            LineContent::new(completed, NarrationSource::System, self.event_id.clone()).with_headline("Completed"),
        );
        self.shared.journal.note(&self.context, ending).await;
        outcome
    }

    async fn narrate(&self) -> Result<(), NarratorError> {
        let remarks = checked(self.ask().await?)?;
        if self.shared.relay.needs_lease()
            && let Err(error) = self.shared.leases.holder(&self.context.agent, &self.context.workspace)
        {
            let suppressed = remarks.into_iter().map(suppressed).collect();
            self.shared.journal.note(&self.context, suppressed).await;
            return Err(error.into());
        }
        let published: Vec<_> = remarks.iter().filter(|remark| !remark.suppressed).collect();
        if !published.is_empty() {
            self.publish(published.into_iter().map(narration).collect()).await?;
        }
        self.shared
            .journal
            .note(&self.context, remarks.into_iter().map(content).collect())
            .await;
        self.shared.refresh_summary(&self.context).await;
        Ok(())
    }

    async fn ask(&self) -> Result<RelayAnswer, RelayError> {
        let message = RelayMessage {
            workspace_id: self.context.workspace.clone(),
            conversation_id: self.context.conversation.clone(),
            event_id: self.event_id.clone(),
            task_id: self.task_id.clone(),
            agent_id: self.context.agent.clone(),
            message: self.message.clone(),
        };
        let after = self.shared.relay_limit;
        let asked = tokio::time::timeout(after, self.shared.relay.ask(message)).await;
        asked.map_err(|_| RelayError::Timeout { after })?
    }

    async fn publish(&self, events: Vec<ServerEvent>) -> Result<(), NarratorError> {
        self.shared.publish(&self.context.conversation, None, &events).await?;
        Ok(())
    }
}

impl Shared {
    /// Appends events to a conversation's log, where all readers receive them.
    pub(super) async fn publish(
        &self,
        conversation: &str,
        turn_id: Option<String>,
        events: &[ServerEvent],
    ) -> Result<conversation_store::SeqRange, NarratorError> {
        let at_ms = self.journal.clock.wall_ms();
        let logged = |event: &ServerEvent| NewEvent::new(event.kind(), at_ms, event.fields());
        let publish = Publish {
            conversation: conversation.to_owned(),
            turn_id,
            events: events.iter().map(logged).collect(),
        };
        Ok(self.conversations.publish(publish).await?)
    }

    /// Writes and publishes the summary if one is due. A failure is only logged, and the narration stays published.
    pub(super) async fn refresh_summary(&self, context: &LineContext) {
        let refreshed = async {
            let Some(text) = self.journal.refresh_summary(context).await? else {
                return Ok(());
            };
            let summary = ServerEvent::Summary(Summary {
                text,
                reference: Some(Summaries::reference(&context.workspace)),
            });
            self.publish(&context.conversation, None, &[summary]).await.map(drop)
        };
        if let Err(error) = refreshed.await {
            let error: NarratorError = error;
            tracing::error!(%error, conversation = context.conversation, "a summary could not be refreshed");
        }
    }
}

/// Returns the remarks of an answer, or an error if there is none or one is blank.
fn checked(answer: RelayAnswer) -> Result<Vec<Remark>, RelayError> {
    let blank = answer.remarks.iter().any(|remark| remark.text.trim().is_empty());
    if answer.remarks.is_empty() || blank {
        return Err(RelayError::failed("the relay's answer has no visible character"));
    }
    Ok(answer.remarks)
}

fn narration(remark: &Remark) -> ServerEvent {
    ServerEvent::Narration(Narration {
        text: remark.text.clone(),
        headline: Some(remark.headline.clone().unwrap_or_else(|| headline(&remark.text))),
        source: NarrationSource::Narrator,
    })
}

fn content(remark: Remark) -> LineContent {
    if remark.suppressed {
        return suppressed(remark);
    }
    LineContent {
        headline: remark.headline,
        playbook: remark.playbook_id,
        ..LineContent::new(LineType::Narration, NarrationSource::Narrator, remark.text)
    }
}

fn suppressed(remark: Remark) -> LineContent {
    LineContent {
        headline: remark.headline,
        playbook: remark.playbook_id,
        ..LineContent::new(LineType::NarrationSuppressed, NarrationSource::Narrator, remark.text)
    }
}
