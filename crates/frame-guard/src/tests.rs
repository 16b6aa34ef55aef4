//! Streams that keep the rules, streams that break each of them, and random streams compared with the naive version.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::checker::{CONTROLS_PER_PERIOD, FREE_FRAGMENTS};
use crate::plain::{Plain, check as check_plainly};
use crate::{Bounds, Checked, Checker, Violation};

/// Small, so that a test can exceed it.
const BOUNDS: Bounds = Bounds { message_bytes: 300 };

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// How many bytes a length takes.
#[derive(Debug, Clone, Copy)]
enum Width {
    Short,
    Two,
    Eight,
}

/// Returns a masked frame whose length takes as few bytes as possible.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let width = if payload.len() < 126 { Width::Short } else { Width::Two };
    written(first, payload, width)
}

fn written(first: u8, payload: &[u8], width: Width) -> Vec<u8> {
    let length = payload.len() as u64;
    let mut bytes = vec![first];
    match width {
        Width::Short => bytes.push(0x80 | u8::try_from(length).expect("a short length is short")),
        Width::Two => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).expect("it fits two bytes").to_be_bytes());
        }
        Width::Eight => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    let mask = MASK.iter().cycle();
    bytes.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// Returns the header of a frame with this payload length, without mask and payload.
fn declared(first: u8, length: u64) -> Vec<u8> {
    [&[first, 0x80 | 127][..], &length.to_be_bytes()].concat()
}

/// Checks a stream that arrives in these pieces.
fn checked<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Checked {
    let (mut checker, now, mut before) = (Checker::new(BOUNDS), Instant::now(), 0);
    for piece in pieces {
        match checker.check(piece, now) {
            Checked::All => before += piece.len(),
            Checked::Closed(good) => return Checked::Closed(before + good),
            Checked::Broken(good, violation) => return Checked::Broken(before + good, violation),
        }
    }
    Checked::All
}

/// Checks a stream whole, in two pieces cut at each byte, and in single bytes.
#[track_caller]
fn check(parts: &[&[u8]], expected: Checked) {
    let bytes = parts.concat();
    assert_eq!(checked([&bytes[..]]), expected, "{bytes:02x?}");
    for cut in 0..=bytes.len() {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(checked([first, second]), expected, "cut at {cut}: {bytes:02x?}");
    }
    assert_eq!(checked(bytes.chunks(1)), expected, "byte by byte: {bytes:02x?}");
}

#[track_caller]
fn check_good(parts: &[&[u8]]) {
    check(parts, Checked::All);
}

#[track_caller]
fn check_broken(parts: &[&[u8]], good: usize, violation: Violation) {
    check(parts, Checked::Broken(good, violation));
}

#[test]
fn valid_streams_are_passed_on() {
    check_good(&[]);
    check_good(&[
        &frame(0x81, b""),
        &frame(0x82, b"\xff\xfe"),
        &frame(0x81, "grüße".as_bytes()),
    ]);
    check_good(&[
        &frame(0x01, b"gr\xc3"),
        &frame(0x89, b"ping"),
        &frame(0x80, b"\xbc\xc3\x9fe"),
    ]);
    check_good(&[
        &frame(0x02, &[0xff]),
        &frame(0x00, &[]),
        &frame(0x80, &[0xff]),
        &frame(0x8a, &[]),
    ]);
    check_good(&[
        &frame(0x89, &[7; 125]),
        &frame(0x81, &[b'x'; 300]),
        &frame(0x81, &[b'x'; 300]),
    ]);
    // Lengths need not be written as short as can be.
    check_good(&[&written(0x81, b"ab", Width::Two), &written(0x82, b"ab", Width::Eight)]);
    // Half a frame breaks no rule yet.
    check_good(&[&frame(0x81, b"abc")[..5]]);
    check_good(&[&frame(0x01, b"\xf0\x9f")]);
}

#[test]
fn a_header_is_refused_at_the_byte_that_breaks_a_rule() {
    for first in [0x91, 0xa1, 0xc1, 0xf1] {
        check_broken(&[&frame(0x81, b"x"), &frame(first, b"x")], 7, Violation::ReservedBits);
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check_broken(&[&frame(0x80 | opcode, b"x")], 0, Violation::UnknownOpcode);
    }
    check_broken(&[b"\x81\x01x"], 1, Violation::Unmasked);
    for control in [0x88, 0x89, 0x8a] {
        check_broken(
            &[&written(control, &[b'x'; 126], Width::Two)],
            1,
            Violation::LongControl,
        );
        check_broken(&[&declared(control, 2)], 1, Violation::LongControl);
    }
    check_broken(&[&frame(0x09, b"x")], 0, Violation::FragmentedControl);
    check_broken(&[&frame(0x08, b"")], 0, Violation::FragmentedControl);
    check_broken(&[&frame(0x80, b"x")], 0, Violation::NothingToContinue);
    check_broken(
        &[&frame(0x81, b"x"), &frame(0x00, b"x")],
        7,
        Violation::NothingToContinue,
    );
    check_broken(
        &[&frame(0x01, b"x"), &frame(0x81, b"x")],
        7,
        Violation::UnfinishedMessage,
    );
    check_broken(
        &[&frame(0x02, b"x"), &frame(0x02, b"x")],
        7,
        Violation::UnfinishedMessage,
    );
}

#[test]
fn a_size_is_refused_by_the_header_that_declares_it() {
    check_broken(&[&frame(0x81, &[b'x'; 301])], 3, Violation::TooBig);
    check_broken(&[&declared(0x82, 301)], 9, Violation::TooBig);
    check_broken(&[&declared(0x81, 1 << 40), &[0; 64]], 9, Violation::TooBig);
    check_broken(&[&declared(0x81, i64::MAX as u64)], 9, Violation::TooBig);
    check_broken(
        &[&declared(0x81, 0_u64.wrapping_sub(21))],
        9,
        Violation::ImpossibleLength,
    );
    check_broken(&[&declared(0x81, 1 << 63)], 9, Violation::ImpossibleLength);
    let (half, rest) = (frame(0x01, &[b'x'; 200]), frame(0x00, &[b'x'; 100]));
    check_good(&[&half, &rest, &frame(0x80, b"")]);
    check_broken(
        &[&half, &rest, &frame(0x80, b"x")],
        half.len() + rest.len() + 1,
        Violation::TooBig,
    );
    // The sum doesn't overflow.
    check_broken(
        &[&half, &declared(0x00, i64::MAX as u64)],
        half.len() + 9,
        Violation::TooBig,
    );
}

#[test]
fn text_is_refused_at_the_first_byte_that_is_not_utf8() {
    for (text, good) in [
        (&b"a\xffb"[..], 1),
        (b"\x80", 0),
        (b"\xc0\x80", 0),
        (b"\xc3x", 1),
        (b"\xe0\x80\x80", 1),
        (b"\xed\xa0\x80", 1),
        (b"\xf0\x8f\xbf\xbf", 1),
        (b"\xf4\x90\x80\x80", 1),
        (b"\xf5", 0),
        // A text that ends inside a character is refused at its last byte.
        (b"ab\xe2\x82", 3),
    ] {
        check_broken(&[&frame(0x81, text)], 6 + good, Violation::TextNotUtf8);
        check_broken(
            &[&frame(0x01, b"x"), &frame(0x80, text)],
            13 + good,
            Violation::TextNotUtf8,
        );
    }
    check_broken(
        &[&frame(0x01, b"\xe2"), &frame(0x00, b"\x82x")],
        7 + 6 + 1,
        Violation::TextNotUtf8,
    );
    // An empty last fragment leaves the character before it incomplete.
    check_broken(
        &[&frame(0x01, b"\xe2"), &frame(0x80, b"")],
        7 + 5,
        Violation::TextNotUtf8,
    );
}

#[test]
fn a_close_frame_is_checked_and_later_bytes_are_ignored() {
    let code = |code: u16, reason: &[u8]| [&code.to_be_bytes()[..], reason].concat();
    for good in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4000, 4999] {
        let bytes = frame(0x88, &code(good, b"bye"));
        check(&[&bytes], Checked::Closed(bytes.len()));
        check(&[&bytes, b"\xff\xff whatever"], Checked::Closed(bytes.len()));
    }
    check(&[&frame(0x88, b"")], Checked::Closed(6));
    for bad in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX] {
        check_broken(&[&frame(0x88, &code(bad, b""))], 7, Violation::UnknownCloseCode);
    }
    check_broken(&[&frame(0x88, b"\x03")], 1, Violation::HalfACloseCode);
    check_broken(&[&frame(0x88, &code(1000, b"\xff"))], 8, Violation::CloseReasonNotUtf8);
    check_broken(&[&frame(0x88, &code(1000, b"\xc3"))], 8, Violation::CloseReasonNotUtf8);
}

#[test]
fn many_small_fragments_are_refused_but_many_large_ones_are_not() {
    let mut checker = Checker::new(Bounds { message_bytes: 1 << 30 });
    let now = Instant::now();
    checker.check(&frame(0x01, b"x"), now);
    let refused = (1_u64..100_000).find(|_| checker.check(&frame(0x00, b"x"), now) != Checked::All);
    assert!(
        refused.is_some_and(|at| (FREE_FRAGMENTS..FREE_FRAGMENTS + 100).contains(&at)),
        "{refused:?}"
    );

    let mut checker = Checker::new(Bounds { message_bytes: 1 << 30 });
    checker.check(&frame(0x02, b"x"), now);
    for _ in 0..100_000 {
        assert_eq!(checker.check(&frame(0x00, &[0; 64]), now), Checked::All);
    }
}

#[test]
fn pings_are_limited_per_second() {
    let (mut checker, start) = (Checker::new(BOUNDS), Instant::now());
    for second in 0..3 {
        let now = start + Duration::from_secs(second);
        for _ in 0..CONTROLS_PER_PERIOD {
            assert_eq!(checker.check(&frame(0x89, b"p"), now), Checked::All);
        }
    }
    let broken = Checked::Broken(0, Violation::TooManyControls);
    assert_eq!(
        checker.check(&frame(0x8a, b"p"), start + Duration::from_millis(2_999)),
        broken
    );
    assert_eq!(
        checker.check(&frame(0x81, b"x"), start + Duration::from_secs(9)),
        Checked::Closed(0)
    );
}

/// Generates frames most of which keep the rules, so that a stream is long before one breaks a rule.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        20 => prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        2 => Just(0x88_u8),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => "[a-zß-€😀]{0,40}".prop_map(String::into_bytes),
        2 => (1000_u16..1016).prop_map(|code| code.to_be_bytes().to_vec()),
        // Parts of characters.
        2 => prop::sample::select(vec![&b"\xe2\x82"[..], b"\xac", b"\xf0\x9f", b"\x98\x80", b"\xc3"]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ];
    let width = prop::sample::select(vec![Width::Short, Width::Two, Width::Eight]);
    (first, payload, width, 0..40_u8).prop_map(|(first, payload, width, spoiled)| {
        let width = if payload.len() > 125 || (spoiled > 30 && first < 0x88) {
            width
        } else {
            Width::Short
        };
        let width = if payload.len() > 125 && matches!(width, Width::Short) {
            Width::Two
        } else {
            width
        };
        let mut bytes = written(first, &payload, width);
        if spoiled == 0 {
            bytes[1] &= 0x7f;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_in_any_pieces_agrees_with_the_naive_version(
        frames in prop::collection::vec(any_frame(), 1..8),
        pieces in prop::collection::vec(1_usize..30, 1..60),
    ) {
        let bytes = frames.concat();
        let mut rest = &bytes[..];
        let mut cut = Vec::new();
        for piece in pieces {
            let (first, second) = rest.split_at(piece.min(rest.len()));
            cut.push(first);
            rest = second;
        }
        cut.push(rest);
        let found = checked(cut);
        prop_assert_eq!(found, checked([&bytes[..]]));
        let found = match found {
            Checked::All => Plain::Open,
            Checked::Closed(_) => Plain::Closed,
            Checked::Broken(_, violation) => Plain::Broken(violation.close().0),
        };
        prop_assert_eq!(found, check_plainly(&bytes, BOUNDS.message_bytes));
    }
}
