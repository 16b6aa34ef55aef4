//! Streaming text: characters over token borders, stop strings over token borders.

use crate::detokenizer::{Detokenizer, Piece, Pushed};

/// Pushes the tokens (token `i` has id `i`) and shows the pieces, each as its text and its ids. What came only at the
/// end follows a `|`; the remainder before a stop string follows a `#`.
fn stream(tokens: &[&[u8]], stop: &[&str]) -> String {
    let stop: Vec<String> = stop.iter().map(|&string| string.to_owned()).collect();
    let mut detokenizer = Detokenizer::new(&stop);
    let mut shown = Vec::new();
    let show = |piece: Piece| format!("{}{:?}", piece.text, piece.ids);
    for (&token, id) in tokens.iter().zip(0..) {
        match detokenizer.push(id, token) {
            Pushed::Held => {}
            Pushed::Released(piece) => shown.push(show(piece)),
            Pushed::Stopped { piece, remainder } => {
                shown.push(format!("{}#{remainder}", show(piece)));
                assert_eq!(
                    detokenizer.finish(),
                    Piece::default(),
                    "nothing is left after a stop string"
                );
                return shown.join(" ");
            }
        }
    }
    shown.push(format!("|{}", show(detokenizer.finish())));
    shown.join(" ")
}

#[track_caller]
fn check(tokens: &[&[u8]], stop: &[&str], expected: &str) {
    assert_eq!(stream(tokens, stop), expected);
}

#[test]
fn text_comes_as_it_is() {
    check(&[b"Hello", b" world"], &[], "Hello[0]  world[1] |[]");
    check(&[], &["x"], "|[]");
}

#[test]
fn a_character_is_never_split() {
    check(&[b"\xF0\x9F", b"\x98", b"\x80!"], &[], "\u{1F600}![0, 1, 2] |[]");
    check(&[b"a\xC3", b"\xA9"], &[], "a\u{E9}[0, 1] |[]");
}

#[test]
fn invalid_bytes_are_replaced_once_they_are_certainly_invalid() {
    check(&[b"\xFF", b"a"], &[], "\u{FFFD}[0] a[1] |[]");
    check(&[b"\xE2\x82", b"a"], &[], "\u{FFFD}a[0, 1] |[]");
    check(&[b"\xE2\x82"], &[], "|\u{FFFD}[0]");
    check(
        &[b"\x80", b"\xC0", b"\xC3"],
        &[],
        "\u{FFFD}[0] \u{FFFD}[1] |\u{FFFD}[2]",
    );
}

#[test]
fn control_tokens_are_sent_with_the_next_text() {
    check(&[b"", b"a", b"", b"b", b""], &[], "a[0, 1] b[2, 3] |[]");
    check(&[b"", b""], &[], "|[]");
}

#[test]
fn a_stop_string_may_cross_token_borders() {
    check(&[b"a", b"<", b"s", b">b"], &["<s>"], "a[0] []#");
    check(&[b"ab<", b"s>"], &["<s>"], "[]#ab");
    check(&[b"ab", b"c<s>d"], &["<s>"], "ab[0] []#c");
    check(&[b"<s>"], &["<s>"], "[]#");
    check(&[b"\xC3", b"\xA9<s>"], &["<s>"], "[]#\u{E9}");
    check(&[b"\xE2\x82", b"<s>"], &["<s>"], "[]#\u{FFFD}");
}

#[test]
fn the_beginning_of_a_stop_string_is_text_if_the_rest_does_not_follow() {
    check(&[b"a", b"<", b"s", b"x"], &["<s>"], "a[0] <sx[1, 2, 3] |[]");
    check(&[b"aa", b"a", b"b"], &["aab"], "[]#a");
    check(&[b"<", b"s"], &["<s>"], "|<s[0, 1]");
    check(&[b"x<", b"<", b"<s>"], &["<s>"], "x<[0] <[1]#");
}

#[test]
fn the_first_complete_stop_string_wins_and_then_the_longest() {
    check(&[b"abcd"], &["bcd", "bc"], "[]#a");
    check(&[b"xabc"], &["c", "abc", "bc"], "[]#x");
    check(&[b"abcd"], &["abcd", "bc"], "[]#a");
}

/// Compares with a naive search: the earliest end of any stop string in the whole text.
#[test]
fn stop_strings_agree_with_a_search_of_the_whole_text() {
    let stops = ["aab", "abab", "ba", "\u{E9}a"];
    for case in 0..2_000_u32 {
        let letters = ["a", "b", "\u{E9}"];
        let text: String = (0..8)
            .map(|idx| letters[(case / 3_u32.pow(idx % 7) + idx) as usize % 3])
            .collect();
        let used = &stops[(case % 4) as usize..];
        let ends = used
            .iter()
            .flat_map(|stop| text.match_indices(stop).map(|(at, found)| (at + found.len(), at)));
        let kept = ends.min().map_or(text.as_str(), |(_, at)| &text[..at]);
        let tokens: Vec<&[u8]> = text.as_bytes().chunks(1 + case as usize % 3).collect();
        let streamed = plain_text(&tokens, used);
        assert_eq!(streamed, kept, "{text:?} with {used:?}");
    }
}

/// Returns all text that is released.
fn plain_text(tokens: &[&[u8]], stop: &[&str]) -> String {
    let stop: Vec<String> = stop.iter().map(|&string| string.to_owned()).collect();
    let mut detokenizer = Detokenizer::new(&stop);
    let mut text = String::new();
    for (&token, id) in tokens.iter().zip(0..) {
        match detokenizer.push(id, token) {
            Pushed::Held => {}
            Pushed::Released(piece) => text.push_str(&piece.text),
            Pushed::Stopped { piece, remainder } => return text + &piece.text + &remainder,
        }
    }
    text + &detokenizer.finish().text
}
