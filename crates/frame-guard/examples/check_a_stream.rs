//! Checks a stream that begins well and then declares a frame of a terabyte.

use std::time::Instant;

use streaming_llm_frame_guard::{Bounds, Checked, Checker, Violation};

fn main() {
    let mut checker = Checker::new(Bounds { message_bytes: 1 << 20 });
    // "hi", masked with zeros; then the header of a text of 2^40 bytes.
    let greeting = b"\x81\x82\0\0\0\0hi";
    let bomb = [&b"\x81\xff"[..], &(1_u64 << 40).to_be_bytes()].concat();
    assert_eq!(checker.check(greeting, Instant::now()), Checked::All);
    let checked = checker.check(&bomb, Instant::now());
    println!("{checked:?}");
    assert_eq!(checked, Checked::Broken(9, Violation::TooBig));
    assert_eq!(Violation::TooBig.close(), (1009, "the message is too big"));
}
