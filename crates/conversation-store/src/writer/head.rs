//! Switches a conversation's active path by moving its head.

use rusqlite::named_params;

use super::Batch;
use crate::{StoreError, error::Result, queries};

/// Makes a turn its conversation's head.
#[derive(Debug)]
pub(crate) struct SetHead {
    pub(crate) conversation: String,
    pub(crate) turn_id: String,
}

impl SetHead {
    /// Moves the conversation's head to the turn.
    pub(super) fn set(&self, batch: &mut Batch<'_>) -> Result<()> {
        let conversation = queries::find_known(&batch.db, &self.conversation)?;
        let head =
            queries::turn_key(&batch.db, conversation.key, &self.turn_id)?.ok_or_else(|| StoreError::TurnNotFound {
                conversation: self.conversation.clone(),
                turn: self.turn_id.clone(),
            })?;
        batch.execute(
            "a conversation's head",
            "UPDATE conversation SET head = :head WHERE key = :key",
            named_params! { ":head": head.cast_signed(), ":key": conversation.key },
        )?;
        Ok(())
    }
}
