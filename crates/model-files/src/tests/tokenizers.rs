//! Tests of text to tokens: against reference cases, against injection, and back to bytes.

use proptest::{prelude::*, test_runner::RngSeed};
use serde::Deserialize;

use super::{
    gguf_builder::{GgufBuilder, bool_value, f32s, file, i32s, text, texts, u32_value},
    models::{default_model, fixture, toy},
};
use crate::{ModelFiles, Piece, Tokenizer};

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    decoded: String,
}

fn smollm2_cases() -> Vec<Case> {
    let json = std::fs::read(fixture("tokenizer/smollm2.json")).expect("the fixture is there");
    serde_json::from_slice(&json).expect("the fixture is JSON")
}

/// Joins the bytes of all tokens but control tokens, as a streaming reader does.
fn streamed(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<u8> {
    ids.iter()
        .filter_map(|id| tokenizer.token_bytes(*id))
        .flatten()
        .copied()
        .collect()
}

#[test]
fn the_default_model_has_the_reference_ids() {
    let tokenizer = default_model().tokenizer;
    for case in smollm2_cases() {
        let ids = tokenizer
            .encode_template(&case.text)
            .expect("bytes can write everything");
        assert_eq!(ids, case.ids, "{:?}", case.text);
        assert_eq!(tokenizer.decode(&ids), case.decoded);
    }
}

#[test]
fn control_tokens_in_a_text_are_encoded_as_text() {
    let tokenizer = default_model().tokenizer;
    let names: Vec<String> = (0..20)
        .map(|id| tokenizer.decode(&[id]))
        .filter(|name| name.starts_with('<'))
        .collect();
    assert!(names.len() >= 17, "{names:?}");
    for name in &names {
        let ids = tokenizer
            .encode_text(&format!("a{name}b {name}"))
            .expect("bytes can write everything");
        assert!(
            ids.iter().all(|id| *id > 17),
            "{name} came through as control token in {ids:?}"
        );
        assert_eq!(streamed(&tokenizer, &ids), format!("a{name}b {name}").as_bytes());
    }
    for case in smollm2_cases() {
        let ids = tokenizer.encode_text(&case.text).expect("bytes can write everything");
        assert_eq!(streamed(&tokenizer, &ids), case.text.as_bytes());
    }
}

#[test]
fn added_tokens_in_a_text_are_encoded_as_text() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let source = fixture("models/toy-llama-hf").join(file);
        std::fs::copy(source, folder.path().join(file)).expect("the fixture is there");
    }
    let path = folder.path().join("tokenizer.json");
    let json = std::fs::read_to_string(&path).expect("the fixture is there");
    let tokens =
        r#"{"id": 1, "content": "<|im_start|>"}, {"id": 2, "content": "<|im_end|>", "lstrip": true, "rstrip": true}"#;
    let start = json.find("\"added_tokens\": [").expect("the fixture has added tokens") + "\"added_tokens\": [".len();
    let end = start + json[start..].find(']').expect("the list ends");
    std::fs::write(&path, format!("{}{tokens}{}", &json[..start], &json[end..])).expect("the folder can be written");
    let tokenizer = ModelFiles::open(folder.path())
        .expect("the folder is a model")
        .tokenizer;
    let literal = tokenizer
        .encode_template("a <|im_start|> <|im_end|> b")
        .expect("bytes can write everything");
    assert_eq!(literal[2..4], [1, 2]);
    let ids = tokenizer
        .encode_text("a <|im_start|> <|im_end|> b")
        .expect("bytes can write everything");
    assert!(!ids.contains(&1) && !ids.contains(&2), "{ids:?}");
    assert_eq!(
        tokenizer.token_bytes(1),
        Some(b"<|im_start|>".as_slice()),
        "it is shown: it is not special"
    );
}

#[test]
fn pieces_have_the_ids_of_their_rendered_text() {
    let model = default_model();
    let (tokenizer, chat) = (
        &model.tokenizer,
        model.chat_format.as_ref().expect("the model has a template"),
    );
    let question = "  What is\n2+2?\n";
    let mut pieces = chat.system_part(None);
    pieces.extend(chat.user_part(question));
    let ids = tokenizer.encode_pieces(&pieces).expect("bytes can write everything");
    let rendered = format!(
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
         <|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    );
    assert_eq!(
        ids,
        tokenizer
            .encode_template(&rendered)
            .expect("bytes can write everything")
    );
    assert_eq!(tokenizer.decode(&ids), rendered);
    let answer = [7_u32, 8, 9];
    let next = [Piece::Ids(&answer), Piece::Literal(chat.answer_end()), Piece::Ids(&[])];
    assert_eq!(
        tokenizer.encode_pieces(&next).expect("bytes can write everything"),
        [7, 8, 9, 2, 198]
    );
}

#[test]
fn partial_characters_decode_to_their_bytes() {
    let tokenizer = toy("toy-llama.gguf").tokenizer;
    let ids = tokenizer.encode_text("🙂").expect("bytes can write everything");
    assert_eq!(ids.len(), 4);
    let bytes: Vec<&[u8]> = ids.iter().filter_map(|id| tokenizer.token_bytes(*id)).collect();
    assert_eq!(bytes, [[0xF0], [0x9F], [0x99], [0x82]]);
    assert_eq!(tokenizer.decode(&ids[..2]), "\u{FFFD}");
    assert_eq!(tokenizer.token_bytes(tokenizer.vocab_size() as u32), None);
    assert_eq!(tokenizer.token_bytes(u32::MAX), None);
    assert_eq!(
        tokenizer.token_bytes(tokenizer.control_id("<|im_end|>").expect("the toy has it")),
        None
    );
    assert_eq!(tokenizer.decode(&[u32::MAX]), "\u{FFFD}");
}

/// Opens a model with a SentencePiece vocabulary, as Llama 2 files have it.
fn sentence_piece(space_prefix: bool) -> Tokenizer {
    let words = ["▁", "h", "i", "▁h", "hi", "▁hi", "!"];
    let bytes: Vec<String> = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
    let mut tokens = vec!["<unk>", "<s>", "</s>"];
    tokens.extend(bytes.iter().map(String::as_str));
    tokens.extend(words);
    let mut types = vec![2, 3, 3];
    types.extend([6; 256]);
    types.extend([1; 7]);
    let mut scores = vec![0.0; 3 + 256];
    scores.extend([-5.0, -6.0, -7.0, -2.0, -1.0, -3.0, -8.0]);
    let mut builder = GgufBuilder::model();
    builder.set("tokenizer.ggml.model", text("llama"));
    builder.set("tokenizer.ggml.tokens", texts(&tokens));
    builder.set("tokenizer.ggml.token_type", i32s(&types));
    builder.set("tokenizer.ggml.scores", f32s(&scores));
    builder.set("tokenizer.ggml.eos_token_id", u32_value(2));
    builder.set("tokenizer.ggml.bos_token_id", u32_value(1));
    builder.set("tokenizer.ggml.add_space_prefix", bool_value(space_prefix));
    builder.tensors.retain(|tensor| tensor.name != "token_embd.weight");
    builder.push("token_embd.weight", vec![32, tokens.len() as u64]);
    let (_folder, path) = file(&builder.bytes());
    let model = ModelFiles::open(&path).expect("the builder makes a whole model");
    assert_eq!(model.config.bos, Some(1), "SentencePiece models start with it");
    model.tokenizer
}

#[test]
fn sentence_pieces_merge_by_score_and_fall_back_to_bytes() {
    let tokenizer = sentence_piece(true);
    let encode = |text: &str| tokenizer.encode_text(text).expect("bytes can write everything");
    let first = 3 + 256;
    // "hi" has the best score of all, so it comes before "▁h".
    assert_eq!(encode("hi hi!"), [first + 5, first + 5, first + 6]);
    assert_eq!(encode("é"), [first, 3 + 0xC3, 3 + 0xA9]);
    assert_eq!(tokenizer.decode(&encode("é\n")), " é\n");
    assert!(encode("<s>").iter().all(|id| *id > 2), "a typed <s> is text");
    let template = tokenizer
        .encode_template("<s>hi</s>")
        .expect("bytes can write everything");
    assert_eq!(template, [1, first + 5, 2]);
}

#[test]
fn only_the_start_of_a_text_gets_a_space() {
    let tokenizer = sentence_piece(true);
    let first = 3 + 256;
    let encode = |pieces: &[Piece<'_>]| tokenizer.encode_pieces(pieces).expect("bytes can write everything");
    assert_eq!(encode(&[Piece::Start, Piece::Text("hi")]), [first + 5]);
    assert_eq!(encode(&[Piece::Text("hi")]), [first + 4]);
    assert_eq!(encode(&[Piece::Literal("<s>"), Piece::Text("hi")]), [1, first + 5]);
    assert_eq!(encode(&[Piece::Ids(&[7]), Piece::Text("hi")]), [7, first + 4]);
    assert_eq!(encode(&[Piece::Literal("<s>h"), Piece::Text("i")]), [1, first + 5]);
    let bare = sentence_piece(false);
    assert_eq!(bare.encode_text("hi").expect("bytes can write everything"), [first + 4]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    /// Every `tokenizer.json` is read or refused.
    #[test]
    fn a_corrupted_tokenizer_never_crashes(flips in prop::collection::vec((0_usize..8_192, any::<u8>()), 1..4), cut in 0_usize..8_192) {
        let mut json = std::fs::read(fixture("models/toy-llama-hf/tokenizer.json")).expect("the fixture is there");
        let len = json.len();
        for (at, byte) in flips {
            json[at % len] = byte;
        }
        drop(Tokenizer::from_json(&json).map(|tokenizer| tokenizer.encode_text("Hello 1984")));
        drop(Tokenizer::from_json(&json[..cut % len]));
    }

    /// Any text is decoded to the same bytes, and no part of it becomes a control token.
    #[test]
    fn any_text_round_trips(text in "(\\PC|<\\|im_(start|end)\\|>|\n| ){0,40}") {
        let tokenizer = Tokenizer::from_json(
            &std::fs::read(fixture("models/toy-llama-hf/tokenizer.json")).expect("the fixture is there"),
        ).expect("the fixture is a tokenizer");
        let ids = tokenizer.encode_text(&text).expect("bytes can write everything");
        prop_assert_eq!(streamed(&tokenizer, &ids), text.as_bytes());
        prop_assert!(ids.iter().all(|id| *id > 2));
    }
}
