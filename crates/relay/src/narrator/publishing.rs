//! What controllers publish: events in, numbers in a conversation's log out, and lines in the log of the lease's workspace.

use protocol::{ControllerEvent, ControllerEvents, ControllerPublished, NarrationSource, ServerEvent, Step, Summary};
use serde_json::Value;

use super::Narrator;
use super::journal::{Entry, Origin};
use crate::error::NarratorError;
use crate::log::{LineType, shortened};

/// Characters of a payload in the workspace's log: enough to know it by. The conversation's log has all of it.
const PAYLOAD_CHARS: usize = 400;

impl Narrator {
    /// Publishes a controller's events in a conversation: all of them, or none.
    ///
    /// # Errors
    /// A lease that is over or another's; a turn that isn't there; a conversation that was deleted.
    pub async fn publish(
        &self,
        registration: &str,
        token: &str,
        call: ControllerEvents,
    ) -> Result<ControllerPublished, NarratorError> {
        let holder = self.shared.leases.check(registration, token)?;
        let entries: Vec<Entry> = call.events.iter().map(entry).collect();
        let events: Vec<ServerEvent> = call.events.into_iter().map(ServerEvent::from).collect();
        let seqs = self
            .shared
            .publish(&call.conversation_id, call.turn_id, &events)
            .await?;
        if let Some(workspace) = holder.workspace_id {
            let origin = Origin {
                workspace,
                conversation: call.conversation_id,
                task: None,
                agent: holder.agent_id,
            };
            self.shared.journal.note(&origin, entries).await;
            self.shared.refresh_summary(&origin).await;
        }
        Ok(ControllerPublished {
            first_seq: seqs.first,
            last_seq: seqs.last,
        })
    }
}

fn entry(event: &ControllerEvent) -> Entry {
    match event {
        ControllerEvent::StepStart(own) => step(LineType::AgentUpdate, own, "begins"),
        ControllerEvent::Step(own) => step(LineType::AgentUpdate, own, "goes on"),
        ControllerEvent::StepFinish(own) => step(LineType::AgentResult, own, "is over"),
        ControllerEvent::Tool(own) => agent(LineType::AgentUpdate, payload(&own.payload))
            .with_headline(format!("Asks for {}", shortened(&own.name, PAYLOAD_CHARS))),
        ControllerEvent::ToolOutput(own) => agent(LineType::AgentResult, payload(&own.payload))
            .with_headline(format!("Output of {}", shortened(&own.name, PAYLOAD_CHARS))),
        ControllerEvent::Summary(Summary { text, .. }) => agent(LineType::AgentResult, text.clone()),
        ControllerEvent::Narration(own) => Entry {
            headline: own.headline.clone(),
            ..Entry::new(LineType::Narration, own.source, own.text.clone())
        },
    }
}

fn step(kind: LineType, step: &Step, what: &str) -> Entry {
    let headline = match &step.title {
        Some(title) => shortened(title, PAYLOAD_CHARS),
        None => format!("Step {} {what}", step.step),
    };
    let detail = step.payload.as_ref().map_or_else(|| headline.clone(), payload);
    agent(kind, detail).with_headline(headline)
}

fn agent(kind: LineType, detail: String) -> Entry {
    Entry::new(kind, NarrationSource::Agent, detail)
}

fn payload(payload: &Value) -> String {
    shortened(&payload.to_string(), PAYLOAD_CHARS)
}
