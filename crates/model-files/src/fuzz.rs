//! Promises that hold for any bytes in a model's files, for `cargo xtask fuzz`.

use std::{collections::HashSet, ops::Range};

use quant::BlockType;

use crate::{Piece, gguf, hf, open};

/// Reads the bytes as a GGUF file: every accepted tensor lies within them, without overlap; a whole model encodes any
/// text.
///
/// # Panics
/// If a promise is broken.
pub fn gguf(bytes: &[u8]) {
    let Ok(header) = gguf::Gguf::parse(bytes) else { return };
    assert!(bytes.starts_with(header.header), "the header is where it was");
    let tensors = header.tensors.iter().map(|tensor| TensorSpan {
        name: tensor.name,
        values: tensor.rows * tensor.cols,
        block_type: tensor.block_type,
        span: tensor.span.clone(),
    });
    check_spans(tensors.collect(), header.header.len()..bytes.len());
    let Ok(parts) = open::read_gguf(&header) else { return };
    let text = "Hi <|im_end|> \u{1F642}\0é";
    let question = parts.chat_format.iter().flat_map(|format| format.user_part(text));
    let pieces: Vec<_> = question.chain([Piece::Text(text)]).collect();
    if let Ok(ids) = parts.tokenizer.encode_pieces(&pieces) {
        assert!(
            ids.iter().all(|id| (*id as usize) < parts.config.vocab_size),
            "every id has a row"
        );
    }
    if let Ok(ids) = parts.tokenizer.encode_text(text) {
        let controls = parts.tokenizer.control_id("<|im_end|>");
        assert!(
            ids.iter().all(|id| Some(*id) != controls),
            "what is typed is no control token"
        );
    }
}

/// Reads the bytes as a safetensors file: every accepted tensor lies within them, without overlap.
///
/// # Panics
/// If a promise is broken.
pub fn safetensors(bytes: &[u8]) {
    let Ok((header_len, tensors)) = hf::read_header(bytes) else {
        return;
    };
    let tensors = tensors.iter().map(|(name, tensor)| TensorSpan {
        name,
        values: tensor.rows * tensor.cols,
        block_type: tensor.block_type,
        span: tensor.span.clone(),
    });
    check_spans(tensors.collect(), header_len..bytes.len());
    assert!(
        safetensors::SafeTensors::deserialize(bytes).is_ok(),
        "the format's own library agrees"
    );
}

struct TensorSpan<'a> {
    name: &'a str,
    values: usize,
    block_type: BlockType,
    span: Range<usize>,
}

fn check_spans(mut tensors: Vec<TensorSpan<'_>>, data: Range<usize>) {
    let names: HashSet<&str> = tensors.iter().map(|tensor| tensor.name).collect();
    assert_eq!(names.len(), tensors.len(), "no name comes twice");
    tensors.sort_by_key(|tensor| (tensor.span.start, tensor.span.end));
    let mut end = data.start;
    for TensorSpan {
        name,
        values,
        block_type,
        span,
    } in tensors
    {
        assert!(
            end <= span.start && span.start <= span.end && span.end <= data.end,
            "{name} lies at {span:?} of {data:?}"
        );
        assert_eq!(
            block_type.bytes_for(values),
            Some(span.len()),
            "{name} has as many bytes as values"
        );
        end = span.end;
    }
}
