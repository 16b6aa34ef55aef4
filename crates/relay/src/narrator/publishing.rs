//! Publishes controllers' events in a conversation's log, and reports them in the log of the lease's workspace.

use protocol::{ControllerEvent, ControllerEvents, ControllerPublished, NarrationSource, ServerEvent, Step, Summary};
use serde_json::Value;

use super::Narrator;
use super::journal::{LineContent, LineContext};
use crate::error::NarratorError;
use crate::log::{LineType, shortened};

/// Most characters of a payload in the workspace's log, enough to recognise it. The conversation's log has all of it.
const PAYLOAD_CHARS: usize = 400;

impl Narrator {
    /// Publishes a controller's events in a conversation: all of them, or none.
    ///
    /// # Errors
    /// A lease that is over or belongs to another token; an unknown turn; a deleted conversation.
    pub async fn publish(
        &self,
        registration: &str,
        token: &str,
        call: ControllerEvents,
    ) -> Result<ControllerPublished, NarratorError> {
        let holder = self.shared.leases.check(registration, token)?;
        let contents: Vec<LineContent> = call.events.iter().map(content).collect();
        let events: Vec<ServerEvent> = call.events.into_iter().map(ServerEvent::from).collect();
        let seqs = self
            .shared
            .publish(&call.conversation_id, call.turn_id, &events)
            .await?;
        if let Some(workspace) = holder.workspace_id {
            let context = LineContext {
                workspace,
                conversation: call.conversation_id,
                task: None,
                agent: holder.agent_id,
            };
            self.shared.journal.note(&context, contents).await;
            self.shared.refresh_summary(&context).await;
        }
        Ok(ControllerPublished {
            first_seq: seqs.first,
            last_seq: seqs.last,
        })
    }
}

fn content(event: &ControllerEvent) -> LineContent {
    match event {
        ControllerEvent::StepStart(own) => step(LineType::AgentUpdate, own, "begins"),
        ControllerEvent::Step(own) => step(LineType::AgentUpdate, own, "goes on"),
        ControllerEvent::StepFinish(own) => step(LineType::AgentResult, own, "is over"),
        ControllerEvent::Tool(own) => agent(LineType::AgentUpdate, payload(&own.payload))
            .with_headline(format!("Asks for {}", shortened(&own.name, PAYLOAD_CHARS))),
        ControllerEvent::ToolOutput(own) => agent(LineType::AgentResult, payload(&own.payload))
            .with_headline(format!("Output of {}", shortened(&own.name, PAYLOAD_CHARS))),
        ControllerEvent::Summary(Summary { text, .. }) => agent(LineType::AgentResult, text.clone()),
        ControllerEvent::Narration(own) => LineContent {
            headline: own.headline.clone(),
            ..LineContent::new(LineType::Narration, own.source, own.text.clone())
        },
    }
}

fn step(kind: LineType, step: &Step, what: &str) -> LineContent {
    let headline = match &step.title {
        Some(title) => shortened(title, PAYLOAD_CHARS),
        None => format!("Step {} {what}", step.step),
    };
    let detail = step.payload.as_ref().map_or_else(|| headline.clone(), payload);
    agent(kind, detail).with_headline(headline)
}

fn agent(kind: LineType, detail: String) -> LineContent {
    LineContent::new(kind, NarrationSource::Agent, detail)
}

fn payload(payload: &Value) -> String {
    shortened(&payload.to_string(), PAYLOAD_CHARS)
}
