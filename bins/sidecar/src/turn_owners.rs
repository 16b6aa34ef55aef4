//! The owners of running turns: the socket whose normal close cancels a turn.
//!
//! A socket owns the turns that it started or took over. A turn has at most one owner, and none once its socket is
//! lost: it runs on. Nothing here cancels anything.
//!
//! A turn is released by the readers of its log when it ends. A turn without a reader, or one that ended before it was
//! given an owner, stays in the map; when the map has grown, such turns are looked for and removed.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::connections::SocketId;

/// A turn, by the ids that clients know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TurnRef {
    pub(crate) conversation: String,
    pub(crate) turn_id: String,
}

/// With fewer owners than this, turns that have ended are not looked for: they cost next to nothing.
const PRUNE_MIN_TURNS: usize = 1_024;

/// The owners of all running turns.
#[derive(Debug, Default)]
pub struct TurnOwners {
    turns: Mutex<HashMap<TurnRef, SocketId>>,
    /// Turns that were in the map after the last pruning.
    turns_after_prune: AtomicUsize,
}

impl TurnOwners {
    /// Makes a socket the owner of a turn, in place of any other.
    pub(crate) fn assign(&self, turn: TurnRef, socket: SocketId) {
        self.lock().insert(turn, socket);
    }

    /// Forgets a turn that has ended.
    pub(crate) fn release(&self, turn: &TurnRef) {
        self.lock().remove(turn);
    }

    /// Returns all turns that have an owner when it is time to prune: the map has doubled since the last time.
    pub(crate) fn prune_candidates(&self) -> Option<Vec<TurnRef>> {
        let turns = self.lock();
        let has_doubled =
            turns.len() >= PRUNE_MIN_TURNS && turns.len() >= 2 * self.turns_after_prune.load(Ordering::Relaxed);
        has_doubled.then(|| turns.keys().cloned().collect())
    }

    /// Forgets those of `owned` that are not among the running turns, which were listed after `owned`.
    pub(crate) fn prune(&self, owned: &[TurnRef], running: &HashSet<TurnRef>) {
        let mut turns = self.lock();
        for turn in owned.iter().filter(|turn| !running.contains(turn)) {
            turns.remove(turn);
        }
        self.turns_after_prune.store(turns.len(), Ordering::Relaxed);
    }

    /// Returns the turns of a socket.
    pub(crate) fn owned_by(&self, socket: SocketId) -> Vec<TurnRef> {
        self.lock()
            .iter()
            .filter(|(_, owner)| **owner == socket)
            .map(|(turn, _)| turn.clone())
            .collect()
    }

    /// Removes a socket that is gone as an owner; its turns are then owned by none.
    pub(crate) fn remove_socket(&self, socket: SocketId) {
        self.lock().retain(|_, owner| *owner != socket);
    }

    /// A panic elsewhere can't leave the map half changed: each change is one insert or removal.
    fn lock(&self) -> MutexGuard<'_, HashMap<TurnRef, SocketId>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
