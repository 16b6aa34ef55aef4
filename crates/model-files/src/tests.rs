//! Tests of untrusted input (files, templates, texts), and of the models that must work.

mod bad_gguf;
mod bad_safetensors;
mod chat_templates;
mod gguf_builder;
mod models;
mod tokenizers;
