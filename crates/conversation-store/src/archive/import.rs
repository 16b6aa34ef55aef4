//! Takes a conversation in, line by line, hidden until the last one: all of it is there, or nothing.
//!
//! What has come so far belongs to a conversation that nobody can find. [`Import::finish`] shows it; an import that is dropped,
//! or that the process doesn't live to finish, is removed bit by bit, as a deleted conversation is.

use super::{AgentRecord, EventRecord, FORMAT, Header, Imported, Record, TurnRecord, VERSION};
use crate::{
    ConversationStore, StoreError, TurnState,
    error::Result,
    writer::{AbortImport, BeginImport, FinishImport, ImportRecords},
};

/// Lines that are written in one go: few enough that live turns hardly wait for them.
const RECORDS_AT_ONCE: usize = 256;

/// Bytes of lines that are held before they are written.
const BYTES_AT_ONCE: usize = 1 << 20;

/// Where an import goes.
#[derive(Debug, Clone, Default)]
pub struct ImportTo {
    /// The conversation's id, checked by the caller; the header's when absent.
    pub id: Option<String>,
}

/// What the caller knows of ids, agents and events, and the store doesn't. Each says what is wrong.
#[derive(Debug, Clone, Copy)]
pub struct ImportChecks {
    /// Whether a conversation or a turn may have this id.
    pub is_id: fn(&str) -> bool,
    /// Whether an agent's snapshot, as JSON, has this hash.
    pub agent: fn(&str, &str) -> Result<(), String>,
    /// Whether an event of this kind may have these fields, as JSON.
    pub event: fn(&str, &str) -> Result<(), String>,
}

/// A conversation on its way in.
#[derive(Debug)]
pub struct Import {
    store: ConversationStore,
    to: ImportTo,
    checks: ImportChecks,
    line: u64,
    begun: Option<Begun>,
    waiting: Vec<Record>,
    waiting_bytes: usize,
}

/// What is known after the header.
#[derive(Debug)]
struct Begun {
    key: i64,
    id: String,
    header: Header,
    turns: u64,
    events: u64,
}

impl Import {
    pub(crate) fn new(store: ConversationStore, to: ImportTo, checks: ImportChecks) -> Self {
        Self {
            store,
            to,
            checks,
            line: 0,
            begun: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    /// The line that came last, from 1.
    pub fn line_number(&self) -> u64 {
        self.line
    }

    /// Takes the next line, without its line feed.
    ///
    /// # Errors
    /// `BadArchive` with the line's number; `ConversationExists` and `Gone` for a header whose id is taken. Nothing more may come
    /// after an error: drop the import.
    pub async fn line(&mut self, line: &str) -> Result<()> {
        self.line += 1;
        if self.begun.is_none() {
            return self.begin(line).await;
        }
        let record: Record = serde_json::from_str(line).map_err(|error| self.bad(error.to_string()))?;
        self.check(&record)?;
        self.waiting_bytes += line.len();
        self.waiting.push(record);
        if self.waiting.len() >= RECORDS_AT_ONCE || self.waiting_bytes >= BYTES_AT_ONCE {
            self.write().await?;
        }
        Ok(())
    }

    /// Shows the conversation, durable (`synchronous=FULL`) when it returns.
    ///
    /// # Errors
    /// `BadArchive` when something is missing; `ConversationExists` and `Gone` when the id was taken meanwhile.
    pub async fn finish(mut self) -> Result<Imported> {
        self.write().await?;
        let Some(begun) = &self.begun else {
            return Err(self.bad("there is no header"));
        };
        let conversation = &begun.header.conversation;
        if (begun.turns, begun.events) != (conversation.turns, conversation.last_seq) {
            let reason = format!(
                "the end is missing: {} of {} turns, {} of {} events",
                begun.turns, conversation.turns, begun.events, conversation.last_seq
            );
            return Err(self.bad(reason));
        }
        let imported = Imported {
            conversation: begun.id.clone(),
            turns: begun.turns,
            events: begun.events,
        };
        self.store
            .run(FinishImport {
                key: begun.key,
                id: begun.id.clone(),
                head_turn_id: conversation.head_turn_id.clone(),
                last_seq: conversation.last_seq,
                line: self.line,
            })
            .await?;
        self.begun = None;
        Ok(imported)
    }

    async fn begin(&mut self, line: &str) -> Result<()> {
        let header: Header = serde_json::from_str(line).map_err(|error| self.bad(error.to_string()))?;
        if header.format != FORMAT || header.version != VERSION {
            let reason = format!(
                "format {:?}, version {} is not {FORMAT}, {VERSION}",
                header.format, header.version
            );
            return Err(self.bad(reason));
        }
        let id = self.to.id.clone().unwrap_or_else(|| header.conversation.id.clone());
        if !(self.checks.is_id)(&id) {
            return Err(self.bad(format!("{id:?} is no id of a conversation")));
        }
        let begin = BeginImport {
            id: id.clone(),
            created_at_ms: header.conversation.created_at_ms,
            updated_at_ms: header.conversation.updated_at_ms,
        };
        let key = self.store.run(begin).await?;
        self.begun = Some(Begun {
            key,
            id,
            header,
            turns: 0,
            events: 0,
        });
        Ok(())
    }

    /// Checks what no table does, and counts.
    fn check(&mut self, record: &Record) -> Result<()> {
        let checks = self.checks;
        let checked = match (record, &mut self.begun) {
            (Record::Agent(agent), _) => agent.check(checks),
            (Record::Turn(turn), Some(begun)) => {
                begun.turns += 1;
                turn.check(begun.header.conversation.last_seq, checks)
            }
            (Record::Event(event), Some(begun)) => {
                begun.events += 1;
                let is_next = event.seq == begun.events && event.seq <= begun.header.conversation.last_seq;
                event.check(is_next, checks)
            }
            (Record::Turn(_) | Record::Event(_), None) => Ok(()),
        };
        checked.map_err(|reason| self.bad(reason))
    }

    async fn write(&mut self) -> Result<()> {
        let Some(begun) = &self.begun else { return Ok(()) };
        let records = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if records.is_empty() {
            return Ok(());
        }
        let first_line = self.line + 1 - records.len() as u64;
        self.store
            .run(ImportRecords {
                key: begun.key,
                first_line,
                records,
            })
            .await
    }

    fn bad(&self, reason: impl Into<String>) -> StoreError {
        StoreError::BadArchive {
            line: self.line,
            reason: reason.into(),
        }
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        if let Some(begun) = &self.begun {
            // With a full queue it stays hidden, and the next start removes it.
            self.store.run_unheard(AbortImport { key: begun.key });
        }
    }
}

impl AgentRecord {
    fn check(&self, checks: ImportChecks) -> Result<(), String> {
        (checks.agent)(&self.hash, self.json.get())
    }
}

impl TurnRecord {
    fn check(&self, last_seq: u64, checks: ImportChecks) -> Result<(), String> {
        let is_over = TurnState::from_name(&self.state).is_some_and(TurnState::is_terminal);
        let has_place = 1 <= self.first_seq && self.first_seq < self.end_seq && self.end_seq <= last_seq;
        if !is_over {
            Err(format!("a turn that is {:?} can't be imported", self.state))
        } else if !has_place {
            Err(format!("turn {:?} has no place in the log", self.id))
        } else if (checks.is_id)(&self.id) {
            Ok(())
        } else {
            Err(format!("{:?} is no id of a turn", self.id))
        }
    }
}

impl EventRecord {
    fn check(&self, is_next: bool, checks: ImportChecks) -> Result<(), String> {
        if !is_next {
            return Err(format!("event {} is not the one that comes next", self.seq));
        }
        let checked = (checks.event)(&self.kind, self.json.get());
        checked.map_err(|reason| format!("event {}: {reason}", self.seq))
    }
}
