//! Takes a conversation in, line by line, hidden until the last one: all of it is there, or nothing.
//!
//! What has come so far belongs to a conversation that nobody can find. [`Import::finish`] shows it; an import that is dropped,
//! or that the process doesn't live to finish, is removed bit by bit, as a deleted conversation is.

use super::{FORMAT, Header, Imported, Record, VERSION};
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

/// A conversation on its way in.
#[derive(Debug)]
pub struct Import {
    store: ConversationStore,
    to: ImportTo,
    is_id: fn(&str) -> bool,
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
    pub(crate) fn new(store: ConversationStore, to: ImportTo, is_id: fn(&str) -> bool) -> Self {
        Self {
            store,
            to,
            is_id,
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
        if !(self.is_id)(&id) {
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
        let reason = match (record, &mut self.begun) {
            (Record::Agent(_), _) | (_, None) => None,
            (Record::Turn(turn), Some(begun)) => {
                begun.turns += 1;
                let is_over = TurnState::from_name(&turn.state).is_some_and(TurnState::is_terminal);
                let last_seq = begun.header.conversation.last_seq;
                let has_place = 1 <= turn.first_seq && turn.first_seq < turn.end_seq && turn.end_seq <= last_seq;
                if !is_over {
                    Some(format!("a turn that is {:?} can't be imported", turn.state))
                } else if !has_place {
                    Some(format!("turn {:?} has no place in the log", turn.id))
                } else if (self.is_id)(&turn.id) {
                    None
                } else {
                    Some(format!("{:?} is no id of a turn", turn.id))
                }
            }
            (Record::Event(event), Some(begun)) => {
                begun.events += 1;
                let is_next = event.seq == begun.events && event.seq <= begun.header.conversation.last_seq;
                (!is_next).then(|| format!("event {} is not the one that comes next", event.seq))
            }
        };
        reason.map_or(Ok(()), |reason| Err(self.bad(reason)))
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
