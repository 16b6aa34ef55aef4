//! Tests of this crate, by what they are about.

mod bench;
mod detokenizer;
mod engine;
mod real_model;
mod sampler;
mod toy;
