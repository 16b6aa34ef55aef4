//! GGUF and Hugging Face folders, tokenizer and chat template, as one checked ModelFiles.
