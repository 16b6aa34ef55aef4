//! What the reader of a request was told while it waits.

use engine::{Emitter, EngineEvent};

/// How many its reader knows to be ahead.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    ahead: usize,
}

impl Told {
    /// Tells its reader how many are ahead, if that is news. The last place in its channel is for how it ends.
    pub(crate) fn tell(&mut self, emitter: &Emitter, ahead: usize) {
        if ahead != self.ahead && emitter.capacity() > 1 {
            self.ahead = ahead;
            // A reader that is gone is found when its turn comes.
            drop(emitter.try_send(EngineEvent::Queued { ahead }));
        }
    }
}
