//! Engines that do what a scripted one doesn't.

use engine::{
    ContextPolicy, Emitter, Engine, EngineError, EngineEvent, Generation, ModelInfo, Readiness, Rendered, Request,
    ScriptedEngine, TurnTag, channel,
};

/// Hands everything but the methods given to the engine inside.
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
        fn render(&self, request: &Request) -> Result<Rendered, EngineError> { self.0.render(request) }
    };
}

/// Loses its cache between being asked for it and using it.
pub(super) struct Forgetful(pub ScriptedEngine);

delegate!(Forgetful {
    fn generate(&self, request: Request) -> Result<Generation, EngineError> {
        let going_on = request.continues_from.is_some();
        if going_on {
            self.0.forget(&request.conversation);
        }
        self.0.generate(request)
    }
} model cached_through rest);

/// The same engine with other weights.
pub(super) struct OtherModel(pub ScriptedEngine);

delegate!(OtherModel {
    fn model(&self) -> ModelInfo {
        ModelInfo { fingerprint: "other".to_owned(), ..self.0.model() }
    }
} generate cached_through rest);

/// A model of another name, whose context has an end.
pub(super) struct Remote(pub ScriptedEngine, pub &'static str, pub u64);

delegate!(Remote {
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

/// Panics when it is asked.
pub(super) struct Panics(pub ScriptedEngine);

delegate!(Panics {
    fn generate(&self, _: Request) -> Result<Generation, EngineError> {
        panic!("an engine with a fault")
    }
} model cached_through rest);

/// Says these events and is gone.
pub(super) struct Says(pub ScriptedEngine, pub Vec<EngineEvent>);

delegate!(Says {
    fn generate(&self, _: Request) -> Result<Generation, EngineError> {
        let (emitter, generation) = channel(self.1.len().max(1));
        for event in self.1.clone() {
            emitter.try_send(event).expect("there is room for all events");
        }
        Ok(generation)
    }
} model cached_through rest);

/// Refuses at once.
pub(super) struct Refuses(pub ScriptedEngine, pub EngineError);

delegate!(Refuses {
    fn generate(&self, _: Request) -> Result<Generation, EngineError> {
        Err(self.1.clone())
    }
} model cached_through rest);

/// Has no room yet: hands the other end of every answer to the test.
pub(super) struct Crowded(pub ScriptedEngine, pub tokio::sync::mpsc::Sender<Emitter>);

delegate!(Crowded {
    fn generate(&self, _: Request) -> Result<Generation, EngineError> {
        let (emitter, generation) = channel(1);
        self.1.try_send(emitter).expect("the test takes each one");
        Ok(generation)
    }
} model cached_through rest);
