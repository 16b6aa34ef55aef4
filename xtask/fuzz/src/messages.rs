//! A client's frames: what is understood reads back as it was written, what isn't is refused shortly.

use protocol::{ClientMessage, ErrorCode, OptionsPatch};

/// Far above the longest error: a key, a value and a reason, each shortened.
const LONGEST_ERROR_BYTES: usize = 1_024;

pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let subject = ClientMessage::subject(text);
    for id in [subject.conversation_id, subject.turn_id].into_iter().flatten() {
        protocol::check_conversation_id(&id).expect("an id that is said back follows the rule");
    }
    match ClientMessage::parse(text) {
        Ok(message) => {
            let written = serde_json::to_string(&message).expect("a frame can be written");
            assert_eq!(ClientMessage::parse(&written), Ok(message), "{written}");
        }
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::InvalidRequest);
            assert!(error.to_string().len() < LONGEST_ERROR_BYTES, "{error}");
        }
    }
    if let Ok(options) = OptionsPatch::parse(text) {
        let written = serde_json::to_string(&options).expect("options can be written");
        assert_eq!(OptionsPatch::parse(&written), Ok(options), "{written}");
    }
}
