//! Sets Rust code apart from comments and strings, so that a rule never trips over a word in either.
//!
//! A scanner, not a parser: it knows where comments, strings and characters begin and end, and nothing else.

/// One text twice, each of the same length and with the same lines; what isn't wanted is spaces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Blanked {
    /// Only code.
    pub(super) code: String,
    /// Only comments, with their slashes.
    pub(super) comments: String,
}

/// Takes a Rust text apart.
pub(super) fn blank(text: &str) -> Blanked {
    let mut code = text.as_bytes().to_vec();
    let mut comments = vec![b' '; code.len()];
    let mut at = 0;
    while at < text.len() {
        at += match piece(text, at) {
            Piece::Code(len) => len,
            Piece::Comment(len) => {
                comments[at..at + len].copy_from_slice(&text.as_bytes()[at..at + len]);
                blank_out(&mut code[at..at + len]);
                len
            }
            Piece::Literal(len) => {
                blank_out(&mut code[at..at + len]);
                len
            }
        };
    }
    for (comment, byte) in comments.iter_mut().zip(text.bytes()) {
        if byte == b'\n' {
            *comment = byte;
        }
    }
    Blanked {
        code: into_text(code),
        comments: into_text(comments),
    }
}

/// What begins at a place, with its length in bytes (at least 1).
enum Piece {
    Code(usize),
    Comment(usize),
    Literal(usize),
}

fn piece(text: &str, at: usize) -> Piece {
    let rest = &text[at..];
    let first = rest
        .chars()
        .next()
        .expect("the caller stays inside the text, on a character");
    match first {
        '/' if rest.starts_with("//") => Piece::Comment(rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*") => Piece::Comment(block_comment_len(rest)),
        '"' => Piece::Literal(quoted_len(rest, '"')),
        'r' if !follows_a_word(text, at) => raw_string_len(rest).map_or(Piece::Code(1), Piece::Literal),
        '\'' => char_len(rest).map_or(Piece::Code(1), Piece::Literal),
        other => Piece::Code(other.len_utf8()),
    }
}

fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == quote {
            return at + 1;
        }
    }
    rest.len()
}

fn raw_string_len(rest: &str) -> Option<usize> {
    let hashes = rest[1..].bytes().take_while(|&byte| byte == b'#').count();
    let opening = 1 + hashes + 1;
    if rest.as_bytes().get(opening - 1) != Some(&b'"') {
        return None;
    }
    let closing = format!("\"{}", "#".repeat(hashes));
    Some(
        rest[opening..]
            .find(&closing)
            .map_or(rest.len(), |at| opening + at + closing.len()),
    )
}

/// A character literal's length; `None` for a lifetime.
fn char_len(rest: &str) -> Option<usize> {
    let mut characters = rest.char_indices().skip(1);
    let (_, first) = characters.next()?;
    if first == '\\' {
        return Some(quoted_len(rest, '\''));
    }
    let (at, second) = characters.next()?;
    (second == '\'').then_some(at + 1)
}

/// Whether a letter is inside a word; the `b` and `c` of `br""` and `cr""` don't count.
fn follows_a_word(text: &str, at: usize) -> bool {
    let mut before = text[..at].chars().rev();
    match before.next() {
        Some('b' | 'c') => before.next().is_some_and(is_word),
        other => other.is_some_and(is_word),
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn blank_out(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("whole characters were replaced by spaces")
}
