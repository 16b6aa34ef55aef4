//! Imports a conversation line by line, all or nothing.
//!
//! The lines so far are stored in a hidden conversation, which no query finds. [`Import::finish`] publishes it. An
//! import that is dropped, or that the process doesn't live to finish, is removed as a deleted conversation is, in
//! small transactions.

use std::sync::Arc;

use crate::archive_record::{AgentRecord, ArchiveHeader, ArchiveRecord, EventRecord, FORMAT, TurnRecord, VERSION};
use crate::{
    StoreError, TurnState,
    backend::Backend,
    error::Result,
    writer::{AbortImport, BeginImport, Command, FinishImport, ImportRecords},
};

/// Lines in one command: few enough that running turns hardly wait for them.
const RECORDS_AT_ONCE: usize = 256;

/// Bytes of lines that are collected before they are written.
const BYTES_AT_ONCE: usize = 1 << 20;

/// The target of an import.
#[derive(Debug, Clone, Default)]
pub struct ImportTarget {
    /// The conversation's id, checked by the caller; the header's if absent.
    pub id: Option<String>,
}

/// The caller's checks of ids, agents and events, which the store can't make itself. The last two return what is wrong.
#[derive(Debug, Clone, Copy)]
pub struct ImportChecks {
    /// Returns true if a conversation or a turn may have this id.
    pub is_id: fn(&str) -> bool,
    /// Checks that an agent's snapshot, as JSON, has this hash.
    pub agent: fn(&str, &str) -> Result<(), String>,
    /// Checks that an event of this kind may have these fields, as JSON.
    pub event: fn(&str, &str) -> Result<(), String>,
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The conversation's id, which may be another one than the header's.
    pub conversation: String,
    /// How many turns it has.
    pub turns: u64,
    /// How many events its log has.
    pub events: u64,
}

/// A conversation that is being imported.
#[derive(Debug)]
pub struct Import {
    backend: Arc<Backend>,
    to: ImportTarget,
    checks: ImportChecks,
    line: u64,
    progress: Option<ImportProgress>,
    pending: Vec<ArchiveRecord>,
    pending_bytes: usize,
}

/// The import's state after its header.
#[derive(Debug)]
struct ImportProgress {
    key: i64,
    id: String,
    header: ArchiveHeader,
    turns: u64,
    events: u64,
}

impl Import {
    pub(crate) fn new(backend: Arc<Backend>, to: ImportTarget, checks: ImportChecks) -> Self {
        Self {
            backend,
            to,
            checks,
            line: 0,
            progress: None,
            pending: Vec::new(),
            pending_bytes: 0,
        }
    }

    /// Returns the number of the last line that was passed, from 1.
    pub fn line_number(&self) -> u64 {
        self.line
    }

    /// Imports the next line, passed without its line feed.
    ///
    /// # Errors
    /// `BadArchive` with the line's number; `ConversationExists` and `Gone` for a header whose id is taken. After an
    /// error the import can only be dropped.
    pub async fn line(&mut self, line: &str) -> Result<()> {
        self.line += 1;
        if self.progress.is_none() {
            return self.begin(line).await;
        }
        let record: ArchiveRecord = serde_json::from_str(line).map_err(|error| self.bad_line(error.to_string()))?;
        self.check(&record)?;
        self.pending_bytes += line.len();
        self.pending.push(record);
        if self.pending.len() >= RECORDS_AT_ONCE || self.pending_bytes >= BYTES_AT_ONCE {
            self.write().await?;
        }
        Ok(())
    }

    /// Publishes the conversation, durable (`synchronous=FULL`) when it returns.
    ///
    /// # Errors
    /// `BadArchive` if something is missing; `ConversationExists` and `Gone` if the id was taken meanwhile.
    pub async fn finish(mut self) -> Result<Imported> {
        self.write().await?;
        let Some(progress) = &self.progress else {
            return Err(self.bad_line("there is no header"));
        };
        let conversation = &progress.header.conversation;
        if (progress.turns, progress.events) != (conversation.turns, conversation.last_seq) {
            let reason = format!(
                "the end is missing: {} of {} turns, {} of {} events",
                progress.turns, conversation.turns, progress.events, conversation.last_seq
            );
            return Err(self.bad_line(reason));
        }
        let imported = Imported {
            conversation: progress.id.clone(),
            turns: progress.turns,
            events: progress.events,
        };
        let finish = FinishImport {
            key: progress.key,
            id: progress.id.clone(),
            head_turn_id: conversation.head_turn_id.clone(),
            last_seq: conversation.last_seq,
            line: self.line,
        };
        self.backend.run(|reply| Command::FinishImport(finish, reply)).await?;
        self.progress = None;
        Ok(imported)
    }

    async fn begin(&mut self, line: &str) -> Result<()> {
        let header: ArchiveHeader = serde_json::from_str(line).map_err(|error| self.bad_line(error.to_string()))?;
        if header.format != FORMAT || header.version != VERSION {
            let reason = format!(
                "format {:?}, version {} is not {FORMAT}, {VERSION}",
                header.format, header.version
            );
            return Err(self.bad_line(reason));
        }
        let id = self.to.id.clone().unwrap_or_else(|| header.conversation.id.clone());
        if !(self.checks.is_id)(&id) {
            return Err(self.bad_line(format!("{id:?} is no id of a conversation")));
        }
        let begin = BeginImport {
            id: id.clone(),
            created_at_ms: header.conversation.created_at_ms,
            updated_at_ms: header.conversation.updated_at_ms,
        };
        let key = self.backend.run(|reply| Command::BeginImport(begin, reply)).await?;
        self.progress = Some(ImportProgress {
            key,
            id,
            header,
            turns: 0,
            events: 0,
        });
        Ok(())
    }

    /// Counts a record and checks what the tables don't.
    fn check(&mut self, record: &ArchiveRecord) -> Result<()> {
        let checks = self.checks;
        let checked = match (record, &mut self.progress) {
            (ArchiveRecord::Agent(agent), _) => agent.check(checks),
            (ArchiveRecord::Turn(turn), Some(progress)) => {
                progress.turns += 1;
                turn.check(progress.header.conversation.last_seq, checks)
            }
            (ArchiveRecord::Event(event), Some(progress)) => {
                progress.events += 1;
                let is_next = event.seq == progress.events && event.seq <= progress.header.conversation.last_seq;
                event.check(is_next, checks)
            }
            (ArchiveRecord::Turn(_) | ArchiveRecord::Event(_), None) => Ok(()),
        };
        checked.map_err(|reason| self.bad_line(reason))
    }

    async fn write(&mut self) -> Result<()> {
        let Some(progress) = &self.progress else { return Ok(()) };
        let records = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        if records.is_empty() {
            return Ok(());
        }
        let insert = ImportRecords {
            key: progress.key,
            first_line: self.line + 1 - records.len() as u64,
            records,
        };
        self.backend.run(|reply| Command::ImportRecords(insert, reply)).await
    }

    fn bad_line(&self, reason: impl Into<String>) -> StoreError {
        StoreError::BadArchive {
            line: self.line,
            reason: reason.into(),
        }
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            // If the queue is full it stays hidden, and the next start removes it.
            let abort = AbortImport { key: progress.key };
            self.backend.run_detached(|reply| Command::AbortImport(abort, reply));
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
        let is_in_log = 1 <= self.first_seq && self.first_seq < self.end_seq && self.end_seq <= last_seq;
        if !is_over {
            Err(format!("a turn that is {:?} can't be imported", self.state))
        } else if !is_in_log {
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
