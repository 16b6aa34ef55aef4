//! Tests of this crate, by what they are about.

mod bench;
mod detokenizer;
mod engine;
mod fused;
mod linear;
mod real_model;
mod rows;
mod sampler;
mod steps;
mod threads;
mod toy;
