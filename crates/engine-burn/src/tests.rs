//! Tests of this crate, by what they are about.

mod real_model;
