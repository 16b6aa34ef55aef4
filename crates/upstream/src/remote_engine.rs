//! A server's model as an [`Engine`], for all kinds of servers.

use std::fmt;
use std::sync::Arc;

use engine::{
    ContextPolicy, Engine, EngineError, Generation, ModelInfo, Readiness, RenderedPrompt, Request, TurnTag, channel,
};

use crate::answer::Answer;
use crate::{Server, Wire};

/// Capacity of the channel between an answer and its reader; a reader that is further behind slows the server down.
const CHANNEL_EVENTS: usize = 64;

/// An engine that answers with one model of a server.
pub struct RemoteEngine<W> {
    server: Server,
    wire: Arc<W>,
    /// The model's name, as users know it.
    name: String,
}

impl<W: Wire> RemoteEngine<W> {
    /// Creates an engine for the model of `wire`, shown as `name`, without sending a request.
    #[must_use]
    pub fn new(server: Server, wire: W, name: String) -> Self {
        Self {
            server,
            wire: Arc::new(wire),
            name,
        }
    }
}

impl<W: Wire> Engine for RemoteEngine<W> {
    fn model(&self) -> ModelInfo {
        let context_tokens = self.server.settings().context_tokens;
        ModelInfo {
            name: self.name.clone(),
            // A server may change the weights behind a name; no token ids from it are kept that would become invalid.
            fingerprint: self.name.clone(),
            context_tokens,
            sink_tokens: 0,
            window_tokens: context_tokens,
            context: ContextPolicy::Bounded,
            tools: true,
        }
    }

    /// Returns `Ready` always: servers aren't monitored, and a request shows whether one answers.
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn generate(&self, request: Request) -> Result<Generation, EngineError> {
        let (emitter, generation) = channel(CHANNEL_EVENTS);
        let answer = Answer::new(
            self.server.clone(),
            Arc::clone(&self.wire),
            self.name.clone(),
            request,
            emitter,
        );
        self.server.runtime().spawn(answer.run());
        Ok(generation)
    }

    fn cached_through(&self, _: &str) -> Option<TurnTag> {
        None
    }

    fn forget(&self, _: &str) {}

    fn render(&self, request: &Request) -> Result<RenderedPrompt, EngineError> {
        Ok(RenderedPrompt {
            text: self.wire.prompt(request)?,
            ids: Vec::new(),
            spans: Vec::new(),
        })
    }
}

impl<W> fmt::Debug for RemoteEngine<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("RemoteEngine");
        debug.field("name", &self.name).finish_non_exhaustive()
    }
}
