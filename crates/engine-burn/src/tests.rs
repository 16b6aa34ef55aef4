//! Tests of this crate, by what they are about.

mod bench;
mod cpu;
mod detokenizer;
mod elementwise;
mod engine;
mod operations;
mod quant_linear;
mod real_model;
mod sampler;
mod threads;
mod toy;
