//! Which socket owns which running turn: what a client's goodbye cancels.
//!
//! A socket owns the turns that it started or took over. A turn has at most one owner, and none once its socket is lost: it
//! runs on. Nothing here cancels anything.
//!
//! A turn's end is heard of by those who read its log. One that nobody reads, or that ended before it was given an owner, stays in
//! the map; when the map has grown, such turns are looked for and left out.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A socket's number in this process.
pub(super) type SocketId = u64;

/// A turn, by the ids that clients know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TurnRef {
    pub(super) conversation: String,
    pub(super) turn_id: String,
}

/// With fewer owners than this nobody looks for turns that are over: they cost next to nothing.
const FEW: usize = 1_024;

/// The owners of all running turns.
#[derive(Debug, Default)]
pub struct Owners {
    turns: Mutex<HashMap<TurnRef, SocketId>>,
    /// Turns that were in the map when it was last looked through.
    kept: AtomicUsize,
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

    /// All turns that have an owner, when it is time to look for those that are over: the map has doubled since the last time.
    pub(super) fn when_grown(&self) -> Option<Vec<TurnRef>> {
        let turns = self.lock();
        let is_grown = turns.len() >= FEW && turns.len() >= 2 * self.kept.load(Ordering::Relaxed);
        is_grown.then(|| turns.keys().cloned().collect())
    }

    /// Forgets those of `owned` that are not among the running turns, which were asked for after `owned`.
    pub(super) fn keep_running(&self, owned: &[TurnRef], running: &HashSet<TurnRef>) {
        let mut turns = self.lock();
        for turn in owned.iter().filter(|turn| !running.contains(turn)) {
            turns.remove(turn);
        }
        self.kept.store(turns.len(), Ordering::Relaxed);
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
