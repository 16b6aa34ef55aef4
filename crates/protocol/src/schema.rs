//! The TypeScript types, generated from the Rust ones.

use ts_rs::{Config, TS};

use crate::{
    Agent, AgentDraft, AgentList, Cancel, ClientMessage, Conversation, ConversationPage, ConversationSummary, Done,
    EffectiveOptions, Envelope, ErrorBody, ErrorCode, ErrorEvent, EventPage, Evicted, FinishReason, Hello, Leave,
    Limits, Message, OptionsPatch, Ping, Pong, Prompt, PromptPart, PromptPartKind, PromptWindow, Ready, Reset, Resume,
    ServerEvent, Started, Timings, Token, Turn, TurnState, Usage, User,
};

/// Every wire type as one TypeScript module. Whole numbers are `number`: none of them exceeds 2^53 - 1.
#[must_use]
pub fn typescript() -> String {
    let config = Config::new().with_large_int("number");
    let mut module = "// Generated from the Rust types in crates/protocol: change those, then run\n\
                      // UPDATE_GENERATED=1 cargo nextest run -p streaming-llm-protocol typescript\n"
        .to_owned();
    for declare in frames().into_iter().chain(events()).chain(objects()) {
        module.push('\n');
        module.push_str(&declare(&config));
    }
    module
}

type Declare = fn(&Config) -> String;

fn frames() -> [Declare; 8] {
    [
        declare::<ClientMessage>,
        declare::<Hello>,
        declare::<Message>,
        declare::<Cancel>,
        declare::<Resume>,
        declare::<Leave>,
        declare::<Ping>,
        declare::<OptionsPatch>,
    ]
}

fn events() -> [Declare; 16] {
    [
        declare::<ServerEvent>,
        declare::<Envelope>,
        declare::<Ready>,
        declare::<Limits>,
        declare::<User>,
        declare::<EffectiveOptions>,
        declare::<Started>,
        declare::<Token>,
        declare::<Evicted>,
        declare::<Done>,
        declare::<FinishReason>,
        declare::<Usage>,
        declare::<Timings>,
        declare::<ErrorEvent>,
        declare::<Pong>,
        declare::<Reset>,
    ]
}

fn objects() -> [Declare; 15] {
    [
        declare::<ErrorCode>,
        declare::<ErrorBody>,
        declare::<Agent>,
        declare::<AgentList>,
        declare::<AgentDraft>,
        declare::<ConversationSummary>,
        declare::<ConversationPage>,
        declare::<Conversation>,
        declare::<Turn>,
        declare::<TurnState>,
        declare::<EventPage>,
        declare::<Prompt>,
        declare::<PromptPart>,
        declare::<PromptPartKind>,
        declare::<PromptWindow>,
    ]
}

fn declare<T: TS>(config: &Config) -> String {
    format!("{}export {}\n", T::docs().unwrap_or_default(), T::decl(config))
}
