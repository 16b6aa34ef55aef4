//! A model server's answer: the same pieces however it is cut, never more text than came, and calls that are whole.

use upstream::{Chunk, Decoder, Framing, LineReader, UpstreamError};

/// Far above the longest error: 2 KiB of a server's words, and ours around them.
const LONGEST_ERROR_BYTES: usize = 4 << 10;

pub(crate) fn ollama(bytes: &[u8]) {
    check(Framing::Lines, engine_ollama::fuzz_decoder(), bytes);
}

pub(crate) fn openai(bytes: &[u8]) {
    check(Framing::Events, engine_openai::fuzz_decoder(), bytes);
}

/// The first byte says how the rest is cut.
fn check(framing: Framing, mut decoder: impl Decoder, bytes: &[u8]) {
    let Some((&cut, body)) = bytes.split_first() else {
        return;
    };
    let (pieces, error) = pieces(framing, [body]);
    let again = self::pieces(framing, body.chunks(usize::from(cut) + 1));
    assert_eq!(again, (pieces.clone(), error), "cut every {cut} bytes");
    let mut answer_bytes = 0;
    for piece in &pieces {
        match decoder.read(piece) {
            Ok(chunks) => {
                let is_over = check_chunks(&chunks, &mut answer_bytes);
                assert!(answer_bytes <= body.len(), "an answer is no longer than what came");
                if is_over {
                    return;
                }
            }
            Err(error) => return check_error(&error),
        }
    }
    match decoder.finish() {
        Ok(Some(chunks)) => assert!(
            check_chunks(&chunks, &mut answer_bytes),
            "what finishes an answer ends it"
        ),
        Ok(None) => {}
        Err(error) => check_error(&error),
    }
}

/// Whether the chunks end the answer.
fn check_chunks(chunks: &[Chunk], answer_bytes: &mut usize) -> bool {
    for (index, chunk) in chunks.iter().enumerate() {
        match chunk {
            Chunk::Text(text) | Chunk::Reasoning(text) => *answer_bytes += text.len(),
            Chunk::ToolCall(call) => {
                assert!(!call.id.is_empty(), "a call can be answered");
                let arguments: Result<serde_json::Value, _> = serde_json::from_str(&call.arguments);
                // Numbers and depths that are JSON and that no type here can hold are passed on as they are.
                assert!(
                    arguments.map_or(true, |arguments| arguments.is_object()),
                    "{}",
                    call.arguments
                );
            }
            Chunk::End(_) => {
                assert_eq!(index, chunks.len() - 1, "nothing comes after the end");
                return true;
            }
        }
    }
    false
}

fn check_error(error: &UpstreamError) {
    assert!(error.to_string().len() < LONGEST_ERROR_BYTES, "{error}");
}

/// The pieces of a body that comes cut like this, and the error that ended it.
fn pieces<'a>(framing: Framing, cuts: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<String>) {
    let (mut reader, mut pieces) = (LineReader::new(framing), Vec::new());
    for cut in cuts {
        if let Err(error) = reader.push(cut, &mut pieces) {
            return (pieces, Some(error.to_string()));
        }
    }
    match reader.finish() {
        Ok(last) => pieces.extend(last),
        Err(error) => return (pieces, Some(error.to_string())),
    }
    (pieces, None)
}
