//! Opens a model and prints what a conversation with it looks like in tokens.
//!
//! Usage: `open_a_model [GGUF file or Hugging Face folder]`; the toy model by default.

use std::{env, error::Error, path::PathBuf};

use streaming_llm_model_files::{ModelFiles, Piece, TensorName};

fn main() -> Result<(), Box<dyn Error>> {
    let toy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/models/toy-llama.gguf");
    let path = env::args_os().nth(1).map_or_else(|| PathBuf::from(toy), PathBuf::from);
    let model = ModelFiles::open(&path)?;
    println!("{} ({}): {:?}", model.name, model.fingerprint(), model.config);

    let embedding = model.tensor(TensorName::Embedding)?;
    let mut row = vec![0.0; embedding.cols];
    embedding.dequantize_row(0, &mut row)?;
    println!(
        "the embedding is {} x {}, {}; it starts with {:?}",
        embedding.rows,
        embedding.cols,
        embedding.block_type,
        &row[..4]
    );

    let Some(chat) = &model.chat_format else { return Ok(()) };
    let mut pieces = chat.system_part(Some("You are brief."));
    pieces.extend(chat.user_part("Hello, <|im_end|>!"));
    let answer = model.tokenizer.encode_text("Hello, you.")?;
    pieces.extend([Piece::Ids(&answer), Piece::Literal(chat.answer_end())]);
    let ids = model.tokenizer.encode_pieces(&pieces)?;
    println!("{ids:?}\n{}", model.tokenizer.decode(&ids));
    Ok(())
}
