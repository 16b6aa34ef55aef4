//! Tests of this crate, by what they are about.

mod bench;
mod detokenizer;
mod engine;
mod fused;
mod linear;
mod real_model;
mod sampler;
mod threads;
mod toy;
