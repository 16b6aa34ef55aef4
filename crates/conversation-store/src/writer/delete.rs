//! Deletes a conversation: leaves a tombstone at once, and removes its rows in small transactions.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, named_params};

use super::{Batch, import::HIDDEN};
use crate::{error::Result, queries, wal::Effect};

/// Rows removed in one transaction: a few milliseconds, so that running turns are hardly delayed.
const ROWS_AT_ONCE: i64 = 2_000;

/// Turns a conversation into a tombstone.
#[derive(Debug)]
pub(crate) struct Delete {
    pub(crate) conversation: String,
}

impl Delete {
    /// Leaves a tombstone, and has the rows removed after the commit.
    pub(super) fn delete(&self, batch: &mut Batch<'_>) -> Result<()> {
        let conversation = queries::find_known(&batch.db, &self.conversation)?;
        batch.execute(
            "a deletion",
            "UPDATE conversation SET deleted = 1, head = NULL WHERE key = :key",
            named_params! { ":key": conversation.key },
        )?;
        batch.notify(&self.conversation, conversation.last_seq);
        batch.apply_later(Effect::Deleted {
            conversation: self.conversation.clone(),
        });
        batch.schedule_removal();
        Ok(())
    }
}

/// Removes some rows of one deleted conversation, or else some unused snapshots of agents. Returns true if there may be
/// more.
pub(super) fn remove_some(connection: &mut Connection) -> rusqlite::Result<bool> {
    let next = "SELECT key FROM conversation WHERE deleted = 1 LIMIT 1";
    let Some(key) = connection
        .prepare_cached(next)?
        .query_row([], |row| row.get::<_, i64>(0))
        .optional()?
    else {
        return remove_agents(connection);
    };
    let db = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if remove_events(&db, key)? == 0 && remove_turns(&db, key)? == 0 {
        // An unfinished import leaves no tombstone.
        let forget = "DELETE FROM conversation WHERE key = :key AND id GLOB :hidden";
        let hidden = format!("{HIDDEN}*");
        db.prepare_cached(forget)?
            .execute(named_params! { ":key": key, ":hidden": hidden })?;
        let done = "UPDATE conversation SET deleted = 2 WHERE key = :key";
        db.prepare_cached(done)?.execute(named_params! { ":key": key })?;
    }
    db.commit()?;
    Ok(true)
}

/// Removes some snapshots of agents that no turn refers to, as an import may leave them. Returns true if there may be
/// more. While an import runs they stay, since its turns come after its agents.
fn remove_agents(connection: &mut Connection) -> rusqlite::Result<bool> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM agent_snapshot WHERE NOT EXISTS (SELECT 1 FROM conversation WHERE deleted = 3) AND hash IN
             (SELECT hash FROM agent_snapshot AS agent
              WHERE NOT EXISTS (SELECT 1 FROM turn WHERE turn.agent_hash = agent.hash) LIMIT :rows)",
        )?
        .execute(named_params! { ":rows": ROWS_AT_ONCE })?;
    Ok(removed > 0)
}

fn remove_events(db: &Connection, conversation: i64) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "DELETE FROM event WHERE conversation = :conversation AND seq IN
         (SELECT seq FROM event WHERE conversation = :conversation ORDER BY seq LIMIT :rows)",
    )?
    .execute(named_params! { ":conversation": conversation, ":rows": ROWS_AT_ONCE })
}

/// Removes one turn, whose texts may be long, and its agent's snapshot if it was the last to refer to it. Returns how
/// many it removed.
fn remove_turns(db: &Connection, conversation: i64) -> rusqlite::Result<usize> {
    let next = "SELECT key, agent_hash FROM turn WHERE conversation = :conversation ORDER BY key LIMIT 1";
    let found = db
        .prepare_cached(next)?
        .query_row(named_params! { ":conversation": conversation }, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let Some((turn, agent_hash)) = found else { return Ok(0) };
    db.prepare_cached("DELETE FROM turn WHERE key = :turn")?
        .execute(named_params! { ":turn": turn })?;
    db.prepare_cached(
        "DELETE FROM agent_snapshot WHERE hash = :hash AND NOT EXISTS (SELECT 1 FROM turn WHERE agent_hash = :hash)",
    )?
    .execute(named_params! { ":hash": agent_hash })?;
    Ok(1)
}
