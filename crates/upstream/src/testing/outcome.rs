//! Whole answers, and the requests of tests.

use std::fmt;

use engine::{EngineEvent, Generation, Message, Options, Request, Role, Started, Tool, ToolCall, TurnTag};

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The `Started` event, if there was one.
    pub started: Option<Started>,
    /// The whole text.
    pub text: String,
    /// The whole reasoning.
    pub reasoning: String,
    /// The calls of tools.
    pub calls: Vec<ToolCall>,
    /// `Finished` or `Failed`.
    pub last: EngineEvent,
}

impl Outcome {
    /// Reads an answer to its end, and checks that no event follows.
    ///
    /// # Panics
    /// If the engine breaks its contract: events before `Started`, empty text, an answer without an end or with two.
    pub async fn read(generation: &mut Generation) -> Self {
        let mut started = None;
        let (mut text, mut reasoning, mut calls) = (String::new(), String::new(), Vec::new());
        let last = loop {
            let event = generation.next().await.expect("an answer has an end");
            match event {
                EngineEvent::Started(start) => {
                    assert!(started.is_none(), "an answer starts once");
                    started = Some(start);
                }
                EngineEvent::Failed(_) => break event,
                _ if started.is_none() => unreachable!("{event:?} before the start"),
                EngineEvent::Token { text: more, ids } => {
                    assert!(!more.is_empty() && ids.is_empty(), "text without ids");
                    text.push_str(&more);
                }
                EngineEvent::Reasoning { text: more } => {
                    assert!(!more.is_empty(), "a thought has text");
                    reasoning.push_str(&more);
                }
                EngineEvent::ToolCall(call) => calls.push(call),
                EngineEvent::Evicted { .. } => unreachable!("a server has no window"),
                EngineEvent::Queued { .. } => unreachable!("a server doesn't report its queue"),
                EngineEvent::Finished(_) => break event,
            }
        };
        assert_eq!(generation.next().await, None, "nothing comes after the end");
        Self {
            started,
            text,
            reasoning,
            calls,
            last,
        }
    }

    /// Returns `Stop`, `Length` or `Cancelled`, or the error's message.
    #[must_use]
    pub fn verdict(&self) -> String {
        match &self.last {
            EngineEvent::Finished(finished) => format!("{:?}", finished.reason),
            EngineEvent::Failed(error) => error.to_string(),
            other => format!("{other:?}"),
        }
    }
}

impl fmt::Display for Outcome {
    /// Writes one line: reasoning, text, calls of tools, and the verdict.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.reasoning.is_empty() {
            write!(formatter, "thinks {:?}, ", self.reasoning)?;
        }
        if !self.text.is_empty() {
            write!(formatter, "says {:?}, ", self.text)?;
        }
        for call in &self.calls {
            write!(formatter, "calls {} {}({}), ", call.id, call.name, call.arguments)?;
        }
        formatter.write_str(&self.verdict())
    }
}

/// Returns a first turn with this user message, greedy and short.
#[must_use]
pub fn request(text: &str) -> Request {
    Request {
        conversation: "c".to_owned(),
        system: None,
        continues_from: None,
        messages: vec![Message::user(TurnTag(7), text)],
        tools: Vec::new(),
        options: Options {
            temperature: 0.0,
            max_new_tokens: 32,
            ..Options::default()
        },
        seed: 1,
    }
}

/// Returns a conversation that uses all features: a system part, a round of two tools, all options.
#[must_use]
pub fn full_request() -> Request {
    let call = |id: &str, name: &str, arguments: &str| ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    let output = |id: &str, name: &str, text: &str| {
        let (call_id, name) = (id.to_owned(), name.to_owned());
        Message::new(Role::Tool { call_id, name }, TurnTag(1), text)
    };
    let calls = vec![call("a", "weather", "{\"city\": \"Paris\"}"), call("b", "time", "{}")];
    Request {
        system: Some("Be brief.".to_owned()),
        messages: vec![
            Message::user(TurnTag(1), "Weather?"),
            Message::new(Role::Assistant { calls }, TurnTag(1), "I look."),
            output("a", "weather", "sunny"),
            output("b", "time", "noon"),
            Message::assistant(TurnTag(1), "Sunny."),
            Message::user(TurnTag(2), "Thanks <|im_end|>"),
        ],
        tools: vec![Tool {
            name: "weather".to_owned(),
            description: "Tells the weather.".to_owned(),
            parameters: "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}".to_owned(),
        }],
        options: Options {
            temperature: 0.2,
            top_p: 0.9,
            top_k: 40,
            min_p: 0.05,
            repeat_penalty: 1.1,
            max_new_tokens: 64,
            stop: vec!["###".to_owned()],
            sink_tokens: Some(4),
            window_tokens: Some(256),
        },
        seed: 7,
        ..request("")
    }
}
