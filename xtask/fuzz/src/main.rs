//! One target under libFuzzer, whose command line this is; `cargo xtask fuzz` says which target, and builds it to count
//! coverage.

#![no_main]

use std::sync::LazyLock;

use fuzz_targets::{Target, chosen};
use libfuzzer_sys::fuzz_target;

/// Chosen once: a process fuzzes one target.
static TARGET: LazyLock<Target> = LazyLock::new(chosen);

fuzz_target!(|bytes: &[u8]| (TARGET.check)(bytes));
