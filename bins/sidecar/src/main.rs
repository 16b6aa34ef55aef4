//! The `sidecar` command.
fn main() {}
