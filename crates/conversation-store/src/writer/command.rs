//! The commands that the writer runs, and what each of them requires.
//!
//! A command checks before it writes, so that a refused one leaves nothing behind.

use tokio::sync::oneshot;

use super::{
    Batch, Delete, Flush, SetHead,
    import::{AbortImport, BeginImport, FinishImport, ImportRecords},
};
use crate::{AppendEvents, BegunTurn, EndTurn, NewTurn, Publish, SeqRange, StoreError, TurnKey, error::Result};

/// A command with the reply to its sender.
pub(crate) enum Command {
    BeginTurn(NewTurn, Reply<BegunTurn>),
    Append(AppendEvents, Reply<SeqRange>),
    EndTurn(EndTurn, Reply<u64>),
    Publish(Publish, Reply<SeqRange>),
    SetHead(SetHead, Reply<()>),
    Delete(Delete, Reply<()>),
    BeginImport(BeginImport, Reply<i64>),
    ImportRecords(ImportRecords, Reply<()>),
    FinishImport(FinishImport, Reply<()>),
    AbortImport(AbortImport, Reply<()>),
    Flush(Flush, Reply<()>),
    /// Runs a pragma in the writer's connection.
    #[cfg(test)]
    Pragma(String, Reply<()>),
}

impl Command {
    /// Runs the command in the batch's transaction. Fails only if SQLite does: then the whole batch is rolled back, and
    /// the command may be run again in another one.
    pub(super) fn run(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        match self {
            Self::BeginTurn(turn, reply) => reply.keep(turn.begin(batch)),
            Self::Append(append, reply) => reply.keep(append.append(batch)),
            Self::EndTurn(end, reply) => reply.keep(end.end(batch)),
            Self::Publish(publish, reply) => reply.keep(publish.publish(batch)),
            Self::SetHead(head, reply) => reply.keep(head.set(batch)),
            Self::Delete(delete, reply) => reply.keep(delete.delete(batch)),
            Self::BeginImport(import, reply) => reply.keep(import.begin(batch)),
            Self::ImportRecords(import, reply) => reply.keep(import.insert(batch)),
            Self::FinishImport(import, reply) => reply.keep(import.finish(batch)),
            Self::AbortImport(import, reply) => reply.keep(import.abort(batch)),
            Self::Flush(flush, reply) => reply.keep(flush.flush(batch)),
            #[cfg(test)]
            Self::Pragma(sql, reply) => reply.keep(batch.db.execute_batch(sql).map_err(StoreError::from)),
        }
    }

    /// Sends the reply: the command's own outcome, or the failure of its whole transaction.
    pub(super) fn reply(self, failure: Option<StoreError>) {
        match self {
            Self::BeginTurn(_, reply) => reply.send(failure),
            Self::Append(_, reply) | Self::Publish(_, reply) => reply.send(failure),
            Self::EndTurn(_, reply) => reply.send(failure),
            Self::BeginImport(_, reply) => reply.send(failure),
            Self::SetHead(_, reply)
            | Self::Delete(_, reply)
            | Self::ImportRecords(_, reply)
            | Self::FinishImport(_, reply)
            | Self::AbortImport(_, reply)
            | Self::Flush(_, reply) => reply.send(failure),
            #[cfg(test)]
            Self::Pragma(_, reply) => reply.send(failure),
        }
    }

    /// Returns the conversation that the command changes. Its memtable is flushed first, in the same transaction. A
    /// hidden conversation that is being imported has none.
    pub(super) fn conversation(&self) -> Option<&str> {
        match self {
            Self::BeginTurn(turn, _) => Some(&turn.conversation),
            Self::Append(append, _) => Some(&append.conversation),
            Self::EndTurn(end, _) => Some(&end.conversation),
            Self::Publish(publish, _) => Some(&publish.conversation),
            Self::SetHead(head, _) => Some(&head.conversation),
            Self::Delete(delete, _) => Some(&delete.conversation),
            Self::BeginImport(..) | Self::ImportRecords(..) | Self::FinishImport(..) | Self::AbortImport(..) => None,
            // It flushes memtables itself.
            Self::Flush(..) => None,
            #[cfg(test)]
            Self::Pragma(..) => None,
        }
    }

    /// Returns true if the command must survive a power cut once it is acknowledged.
    pub(super) fn is_durable(&self) -> bool {
        match self {
            Self::BeginTurn(..) | Self::EndTurn(..) | Self::SetHead(..) | Self::Delete(..) => true,
            // The publisher relies on the acknowledgement and won't publish the events again.
            Self::Publish(..) => true,
            // A tool's result must not be lost, since the tool may not be run twice. Tokens can be generated again.
            Self::Append(append, _) => append.rounds_json.is_some(),
            // An import is durable as a whole, with its last command.
            Self::FinishImport(..) => true,
            Self::BeginImport(..) | Self::ImportRecords(..) | Self::AbortImport(..) => false,
            Self::Flush(..) => false,
            #[cfg(test)]
            Self::Pragma(..) => false,
        }
    }

    /// Returns true if the command fills a transaction by itself: no more are added after it.
    pub(super) fn is_large(&self) -> bool {
        matches!(self, Self::Flush(flush, _) if flush.conversations.len() > 1)
    }

    /// Returns the turn that the command appends to: once an append has failed, the turn's later ones are refused, as
    /// its answer would have a gap.
    pub(super) fn appends_to(&self) -> Option<TurnKey> {
        if let Self::Append(append, _) = self {
            Some(append.turn)
        } else {
            None
        }
    }
}

/// The reply to a command's sender, which is sent after the commit.
pub(crate) struct Reply<T> {
    sender: oneshot::Sender<Result<T>>,
    outcome: Option<Result<T>>,
}

impl<T> Reply<T> {
    /// Makes a reply and its receiver.
    pub(crate) fn channel() -> (Self, oneshot::Receiver<Result<T>>) {
        let (sender, receiver) = oneshot::channel();
        let reply = Self { sender, outcome: None };
        (reply, receiver)
    }

    /// Makes a reply that is not received.
    pub(crate) fn detached() -> Self {
        Self::channel().0
    }

    /// Keeps a command's outcome until the commit. Returns the error if SQLite failed.
    fn keep(&mut self, outcome: Result<T>) -> Result<()> {
        match outcome {
            Err(error) if error.is_failure() => Err(error),
            outcome => {
                self.outcome = Some(outcome);
                Ok(())
            }
        }
    }

    fn send(self, failure: Option<StoreError>) {
        let outcome = match failure {
            Some(failure) => Err(failure),
            None => self.outcome.unwrap_or(Err(StoreError::Closed)),
        };
        // The sender may have gone away; its command is stored all the same.
        let _ = self.sender.send(outcome);
    }
}
