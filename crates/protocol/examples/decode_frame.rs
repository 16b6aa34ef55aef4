//! Parses a client's frames and writes the server's.

use streaming_llm_protocol::{ClientMessage, Envelope, ErrorEvent, ServerEvent, Token};

fn main() {
    let frames = [
        r#"{"agentId":"planner","message":"Plan my day.","options":{"temperature":0.2}}"#,
        r#"{"agent_id":"planner","user_message":"Plan my day.","options":{"max_new_tokens":400}}"#,
        r#"{"message":"Plan my day.","options":{"temperature":"hot"}}"#,
    ];
    for text in frames {
        match ClientMessage::parse(text) {
            Ok(ClientMessage::Message(message)) => println!("{:?} asks: {}", message.agent_id, message.message),
            Ok(other) => println!("{other:?}"),
            Err(error) => {
                let refusal = ServerEvent::Error(ErrorEvent::new(error.code(), error.to_string()));
                println!("{}", refusal.frame(&Envelope::default()));
            }
        }
    }
    let envelope = Envelope {
        seq: Some(3),
        conversation_id: Some("today".to_owned()),
        ..Envelope::default()
    };
    let token = ServerEvent::Token(Token {
        token: "First,".to_owned(),
        first_seq: None,
    });
    println!("{}", token.frame(&envelope));
}
