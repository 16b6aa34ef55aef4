//! Tests of what a stranger can hand in (files, templates, texts), and of the models that must work.

mod bad_gguf;
mod bad_safetensors;
mod chat_templates;
mod draft;
mod models;
mod tokenizers;
