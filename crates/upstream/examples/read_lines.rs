//! Splits an event stream into its events, which arrive in pieces of any size, as an answer of a model server does.

use streaming_llm_upstream::{Framing, LineReader, UpstreamError};

fn main() -> Result<(), UpstreamError> {
    let body = ": a comment, which is ignored\n\nevent: message\ndata: {\"text\":\"caf\u{e9}\"}\r\n\r\ndata: [DONE]";
    let mut lines = LineReader::new(Framing::Events);
    // Three bytes at a time, so that lines and even characters are cut.
    for bytes in body.as_bytes().chunks(3) {
        let mut pieces = Vec::new();
        lines.push(bytes, &mut pieces)?;
        for piece in pieces {
            println!("{piece}");
        }
    }
    // The body may end without the empty line that ends an event.
    if let Some(last) = lines.finish()? {
        println!("{last}");
    }
    Ok(())
}
