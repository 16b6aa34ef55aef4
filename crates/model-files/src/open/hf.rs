//! Builds a model of the Llama family from a Hugging Face folder.

use std::path::Path;

use crate::{
    ChatFormat, ModelFileError, ModelFiles, Tokenizer,
    architecture::{Naming, resolve_tensors},
    files::fingerprint,
    hf::{config, shards},
    limits,
};

/// Opens a folder with config.json, tokenizer.json and safetensors files as a model.
pub(crate) fn open(folder: &Path) -> Result<ModelFiles, ModelFileError> {
    let config_json = config::read_required(folder, config::CONFIG, limits::MAX_CONFIG_BYTES)?;
    let shards = shards::open(folder)?;
    let tokenizer_json = config::read_required(folder, config::TOKENIZER, limits::MAX_TOKENIZER_BYTES)?;
    let in_tokenizer = |error: ModelFileError| error.within(&folder.join(config::TOKENIZER));
    let tokenizer = Tokenizer::from_json(&tokenizer_json).map_err(in_tokenizer)?;
    let special = config::special_tokens(folder)?;
    let config = config::read(folder, &config_json, &tokenizer, &special)?;
    let tensors =
        resolve_tensors(&config, Naming::HuggingFace, shards.tensors).map_err(|error| error.within(folder))?;
    let chat_format = match &special.template {
        None => None,
        Some(template) => {
            let format = ChatFormat::compile(template, &special.bos_text, &special.eos_text);
            Some(format.map_err(|error| error.within(folder))?)
        }
    };
    let mut headers: Vec<&[u8]> = vec![&config_json, &tokenizer_json];
    headers.extend(
        shards
            .maps
            .iter()
            .zip(&shards.header_lens)
            .map(|(map, len)| &map[..*len]),
    );
    let fingerprint = fingerprint(&headers, &shards.maps, &tensors);
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(ModelFiles {
        config,
        tokenizer,
        chat_format,
        name,
        maps: shards.maps,
        tensors,
        fingerprint,
    })
}
