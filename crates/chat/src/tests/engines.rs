//! Engines with faults and limits that a scripted one doesn't have.

use engine::{
    ContextPolicy, Emitter, Engine, EngineError, EngineEvent, Generation, ModelInfo, Readiness, RenderedPrompt,
    Request, ScriptedEngine, TurnTag, channel,
};

/// Implements [`Engine`] with the given methods, and the listed others by delegation to the engine inside.
macro_rules! delegate {
    ($name:ident { $($own:tt)* } $($method:ident)*) => {
        impl Engine for $name {
            $($own)*
            $(delegate!(@ $method);)*
        }
    };
    (@ model) => { fn model(&self) -> ModelInfo { self.0.model() } };
    (@ generate) => { fn generate(&self, request: Request) -> Result<Generation, EngineError> { self.0.generate(request) } };
    (@ cached_through) => { fn cached_through(&self, id: &str) -> Option<TurnTag> { self.0.cached_through(id) } };
    (@ rest) => {
        fn readiness(&self) -> Readiness { self.0.readiness() }
        fn forget(&self, conversation: &str) { self.0.forget(conversation); }
        fn render(&self, request: &Request) -> Result<RenderedPrompt, EngineError> { self.0.render(request) }
    };
}

/// An engine that loses its cache between being asked for it and using it.
pub(super) struct ForgetfulEngine(pub ScriptedEngine);

delegate!(ForgetfulEngine {
    fn generate(&self, request: Request) -> Result<Generation, EngineError> {
        let going_on = request.continues_from.is_some();
        if going_on {
            self.0.forget(&request.conversation);
        }
        self.0.generate(request)
    }
} model cached_through rest);

/// An engine with the same name and other weights.
pub(super) struct OtherWeights(pub ScriptedEngine);

delegate!(OtherWeights {
    fn model(&self) -> ModelInfo {
        ModelInfo { fingerprint: "other".to_owned(), ..self.0.model() }
    }
} generate cached_through rest);

/// An engine with another name and a bounded context.
pub(super) struct BoundedEngine(pub ScriptedEngine, pub &'static str, pub u64);

delegate!(BoundedEngine {
    fn model(&self) -> ModelInfo {
        ModelInfo {
            name: self.1.to_owned(),
            fingerprint: self.1.to_owned(),
            context_tokens: self.2,
            context: ContextPolicy::Bounded,
            ..self.0.model()
        }
    }
    fn cached_through(&self, _: &str) -> Option<TurnTag> { None }
} generate rest);

/// An engine that panics when it is asked to generate.
pub(super) struct PanickingEngine(pub ScriptedEngine);

delegate!(PanickingEngine {
    fn generate(&self, _: Request) -> Result<Generation, EngineError> {
        panic!("an engine with a fault")
    }
} model cached_through rest);

/// An engine that emits these events and then drops its end of the channel.
pub(super) struct EmittingEngine(pub ScriptedEngine, pub Vec<EngineEvent>);

delegate!(EmittingEngine {
    fn generate(&self, _: Request) -> Result<Generation, EngineError> {
        let (emitter, generation) = channel(self.1.len().max(1));
        for event in self.1.clone() {
            emitter.try_send(event).expect("there is room for all events");
        }
        Ok(generation)
    }
} model cached_through rest);

/// An engine that refuses each request at once.
pub(super) struct RefusingEngine(pub ScriptedEngine, pub EngineError);

delegate!(RefusingEngine {
    fn generate(&self, _: Request) -> Result<Generation, EngineError> {
        Err(self.1.clone())
    }
} model cached_through rest);

/// An engine whose requests stay queued: it hands the emitter of each answer to the test.
pub(super) struct QueueingEngine(pub ScriptedEngine, pub tokio::sync::mpsc::Sender<Emitter>);

delegate!(QueueingEngine {
    fn generate(&self, _: Request) -> Result<Generation, EngineError> {
        let (emitter, generation) = channel(1);
        self.1.try_send(emitter).expect("the test takes each one");
        Ok(generation)
    }
} model cached_through rest);
