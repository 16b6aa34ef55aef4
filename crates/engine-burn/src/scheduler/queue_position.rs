//! Reports to a waiting request's reader how many others are ahead of it.

use engine::{Emitter, EngineEvent};

/// The queue position that a request's reader knows; 0 until the first report.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct QueuePosition {
    ahead: usize,
}

impl QueuePosition {
    /// Sends [`EngineEvent::Queued`] if the number of requests ahead has changed. The last slot of the channel is kept
    /// for the event that ends the answer.
    pub(crate) fn report(&mut self, emitter: &Emitter, ahead: usize) {
        if ahead != self.ahead && emitter.capacity() > 1 {
            self.ahead = ahead;
            // A closed channel is noticed when the request is taken from the queue.
            drop(emitter.try_send(EngineEvent::Queued { ahead }));
        }
    }
}
