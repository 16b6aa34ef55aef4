//! Generates the TypeScript types from the Rust ones.

use ts_rs::{Config, TS};

use crate::{
    Agent, AgentDraft, AgentList, CallOutput, Cancel, ClientMessage, Controller, ControllerEvent, ControllerEvents,
    ControllerKeptAlive, ControllerLease, ControllerList, ControllerPublished, ControllerRegistration, Conversation,
    ConversationImported, ConversationPage, ConversationSummary, Done, EffectiveOptions, Envelope, ErrorBody,
    ErrorCode, ErrorEvent, EventPage, Evicted, FeedEvent, FeedEventType, FeedSeverity, FinishReason, HeadChoice,
    Health, Hello, Leave, Limits, Message, Model, ModelList, Narration, NarrationSource, NarratorAccepted,
    NarratorFeed, NarratorMessage, OptionsPatch, Ping, Pong, Prompt, PromptPart, PromptPartKind, PromptWindow, Queued,
    Readiness, Ready, Reasoning, Regenerate, RelayErrorBody, Reset, Resume, ServerEvent, Started, Step, Summary,
    Timings, Token, Tool, ToolAnswer, ToolDefinition, ToolOutput, Turn, TurnAccepted, TurnState, Usage, User,
};

/// Returns one TypeScript module with all wire types. Whole numbers are `number`, as none of them exceeds 2^53 - 1.
#[must_use]
pub fn typescript() -> String {
    let config = Config::new().with_large_int("number");
    let mut module = "// Generated from the Rust types in crates/protocol: change those, then run\n\
                      // UPDATE_GENERATED=1 cargo nextest run -p streaming-llm-protocol typescript\n"
        .to_owned();
    for declare in frames().into_iter().chain(events()).chain(objects()).chain(narration()) {
        module.push('\n');
        module.push_str(&declare(&config));
    }
    module
}

type Declare = fn(&Config) -> String;

fn frames() -> [Declare; 11] {
    [
        declare::<ClientMessage>,
        declare::<Hello>,
        declare::<Message>,
        declare::<Regenerate>,
        declare::<Cancel>,
        declare::<Resume>,
        declare::<Leave>,
        declare::<ToolAnswer>,
        declare::<ToolDefinition>,
        declare::<Ping>,
        declare::<OptionsPatch>,
    ]
}

fn events() -> [Declare; 24] {
    [
        declare::<ServerEvent>,
        declare::<Envelope>,
        declare::<Ready>,
        declare::<Queued>,
        declare::<Limits>,
        declare::<User>,
        declare::<EffectiveOptions>,
        declare::<Started>,
        declare::<Token>,
        declare::<Reasoning>,
        declare::<Tool>,
        declare::<ToolOutput>,
        declare::<Step>,
        declare::<Summary>,
        declare::<Narration>,
        declare::<NarrationSource>,
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

fn objects() -> [Declare; 23] {
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
        declare::<TurnAccepted>,
        declare::<CallOutput>,
        declare::<HeadChoice>,
        declare::<ConversationImported>,
        declare::<EventPage>,
        declare::<Health>,
        declare::<Readiness>,
        declare::<ModelList>,
        declare::<Model>,
        declare::<Prompt>,
        declare::<PromptPart>,
        declare::<PromptPartKind>,
        declare::<PromptWindow>,
    ]
}

fn narration() -> [Declare; 15] {
    [
        declare::<NarratorMessage>,
        declare::<NarratorAccepted>,
        declare::<NarratorFeed>,
        declare::<FeedEvent>,
        declare::<FeedEventType>,
        declare::<FeedSeverity>,
        declare::<RelayErrorBody>,
        declare::<ControllerRegistration>,
        declare::<ControllerLease>,
        declare::<ControllerKeptAlive>,
        declare::<ControllerList>,
        declare::<Controller>,
        declare::<ControllerEvents>,
        declare::<ControllerEvent>,
        declare::<ControllerPublished>,
    ]
}

fn declare<T: TS>(config: &Config) -> String {
    format!("{}export {}\n", T::docs().unwrap_or_default(), T::decl(config))
}
