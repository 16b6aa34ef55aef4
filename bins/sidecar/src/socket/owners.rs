//! Which socket owns which running turn: what a client's goodbye cancels.
//!
//! A socket owns the turns that it started or took over. A turn has at most one owner, and none once its socket is lost: it
//! runs on. Nothing here cancels anything.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A socket's number in this process.
pub(super) type SocketId = u64;

/// A turn, by the ids that clients know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TurnRef {
    pub(super) conversation: String,
    pub(super) turn_id: String,
}

/// The owners of all running turns.
#[derive(Debug, Default)]
pub struct Owners {
    turns: Mutex<HashMap<TurnRef, SocketId>>,
}

impl Owners {
    /// Gives a turn to a socket, whoever had it before.
    pub(super) fn take(&self, turn: TurnRef, socket: SocketId) {
        self.lock().insert(turn, socket);
    }

    /// Forgets a turn that is over.
    pub(super) fn release(&self, turn: &TurnRef) {
        self.lock().remove(turn);
    }

    /// The turns of a socket.
    pub(super) fn of(&self, socket: SocketId) -> Vec<TurnRef> {
        self.lock()
            .iter()
            .filter(|(_, owner)| **owner == socket)
            .map(|(turn, _)| turn.clone())
            .collect()
    }

    /// Takes every turn from a socket that is gone.
    pub(super) fn disown(&self, socket: SocketId) {
        self.lock().retain(|_, owner| *owner != socket);
    }

    /// A panic elsewhere can't leave the map half changed: each change is one insert or removal.
    fn lock(&self) -> MutexGuard<'_, HashMap<TurnRef, SocketId>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
