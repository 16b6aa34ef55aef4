//! The work on one message, from the lease to the summary.

use std::sync::Arc;

use conversation_store::{NewEvent, Publish};
use protocol::{Narration, NarrationSource, NarratorAccepted, ServerEvent, Summary};
use uuid::Uuid;

use super::Shared;
use super::journal::{Entry, Origin};
use super::question::Question;
use crate::error::{NarratorError, RelayError};
use crate::log::{LineType, headline};
use crate::relay::{RelayAnswer, RelayMessage, Remark};
use crate::summary::Summaries;

/// A message that is in the workspace's log.
pub(super) struct Task {
    shared: Arc<Shared>,
    origin: Origin,
    task_id: String,
    event_id: String,
    message: String,
}

impl Task {
    /// Takes a message: from here on it is worked on.
    pub(super) async fn begin(shared: &Arc<Shared>, question: Question) -> Result<Self, NarratorError> {
        let Question { workspace, agent, .. } = question;
        if shared.relay.needs_lease() {
            shared.leases.holder(&agent, &workspace)?;
        }
        let conversation = match question.conversation {
            Some(id) => {
                // One that was deleted is refused before anyone is asked.
                shared.conversations.conversation(&id).await?;
                id
            }
            None => shared.own_conversation(&workspace, &agent).await?,
        };
        let task_id = Uuid::now_v7().to_string();
        let origin = Origin {
            workspace,
            conversation,
            task: Some(task_id.clone()),
            agent,
        };
        let entry = Entry::new(LineType::UserMessage, NarrationSource::User, question.message.clone());
        let written = shared.journal.write(&origin, vec![entry]).await?;
        Ok(Self {
            shared: Arc::clone(shared),
            origin,
            task_id,
            event_id: written.concat(),
            message: question.message,
        })
    }

    /// What whoever said it is told.
    pub(super) fn accepted(&self) -> NarratorAccepted {
        NarratorAccepted {
            workspace_id: self.origin.workspace.clone(),
            conversation_id: self.origin.conversation.clone(),
            event_id: self.event_id.clone(),
            task_id: self.task_id.clone(),
        }
    }

    /// Works on it to its end, which is in the workspace's log too.
    pub(super) async fn run(self) -> Result<(), NarratorError> {
        let outcome = self.narrate().await;
        let mut ending = Vec::new();
        if let Err(error) = &outcome {
            let (relay, code) = (self.shared.relay.name(), error.code());
            let conversation = &self.origin.conversation;
            tracing::warn!(%error, relay, conversation, task = self.task_id, "a message to the narrator came to nothing");
            let entry = Entry::new(LineType::Error, NarrationSource::System, error.to_string());
            ending.push(entry.with_headline(code.map_or("store_failed", |code| code.as_str())));
        }
        let completed = LineType::WorkspaceNarratorCompleted;
        ending.push(Entry::new(completed, NarrationSource::System, self.event_id.clone()).with_headline("Completed"));
        self.shared.journal.note(&self.origin, ending).await;
        outcome
    }

    async fn narrate(&self) -> Result<(), NarratorError> {
        let remarks = checked(self.ask().await?)?;
        if self.shared.relay.needs_lease()
            && let Err(error) = self.shared.leases.holder(&self.origin.agent, &self.origin.workspace)
        {
            let suppressed = remarks.into_iter().map(suppressed).collect();
            self.shared.journal.note(&self.origin, suppressed).await;
            return Err(error.into());
        }
        let said: Vec<_> = remarks.iter().filter(|remark| !remark.suppressed).collect();
        if !said.is_empty() {
            self.publish(said.into_iter().map(narration).collect()).await?;
        }
        self.shared
            .journal
            .note(&self.origin, remarks.into_iter().map(entry).collect())
            .await;
        self.shared.refresh_summary(&self.origin).await;
        Ok(())
    }

    async fn ask(&self) -> Result<RelayAnswer, RelayError> {
        let message = RelayMessage {
            workspace_id: self.origin.workspace.clone(),
            conversation_id: self.origin.conversation.clone(),
            event_id: self.event_id.clone(),
            task_id: self.task_id.clone(),
            agent_id: self.origin.agent.clone(),
            message: self.message.clone(),
        };
        let after = self.shared.relay_limit;
        let asked = tokio::time::timeout(after, self.shared.relay.ask(message)).await;
        asked.map_err(|_| RelayError::Timeout { after })?
    }

    async fn publish(&self, events: Vec<ServerEvent>) -> Result<(), NarratorError> {
        self.shared.publish(&self.origin.conversation, None, &events).await?;
        Ok(())
    }
}

impl Shared {
    /// Says events to every reader of a conversation.
    pub(super) async fn publish(
        &self,
        conversation: &str,
        turn_id: Option<String>,
        events: &[ServerEvent],
    ) -> Result<conversation_store::Seqs, NarratorError> {
        let at_ms = self.journal.clock.wall_ms();
        let logged = |event: &ServerEvent| NewEvent::new(event.kind(), at_ms, event.fields());
        let publish = Publish {
            conversation: conversation.to_owned(),
            turn_id,
            events: events.iter().map(logged).collect(),
        };
        Ok(self.conversations.publish(publish).await?)
    }

    /// Writes and says the summary if one is due. What was narrated stays narrated when that fails.
    pub(super) async fn refresh_summary(&self, origin: &Origin) {
        let refreshed = async {
            let Some(text) = self.journal.refresh_summary(origin).await? else {
                return Ok(());
            };
            let summary = ServerEvent::Summary(Summary {
                text,
                reference: Some(Summaries::reference(&origin.workspace)),
            });
            self.publish(&origin.conversation, None, &[summary]).await.map(drop)
        };
        if let Err(error) = refreshed.await {
            let error: NarratorError = error;
            tracing::error!(%error, conversation = origin.conversation, "a summary could not be refreshed");
        }
    }
}

/// An answer that says something.
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

fn entry(remark: Remark) -> Entry {
    if remark.suppressed {
        return suppressed(remark);
    }
    Entry {
        headline: remark.headline,
        playbook: remark.playbook_id,
        ..Entry::new(LineType::Narration, NarrationSource::Narrator, remark.text)
    }
}

fn suppressed(remark: Remark) -> Entry {
    Entry {
        headline: remark.headline,
        playbook: remark.playbook_id,
        ..Entry::new(LineType::NarrationSuppressed, NarrationSource::Narrator, remark.text)
    }
}
