//! Finds stop strings in a text that grows byte by byte.
//!
//! Runs one Knuth-Morris-Pratt automaton for each string: a byte costs the same however long the text is, and nothing
//! depends on where a token ends. The first string to be complete wins; of those complete at the same byte, the
//! longest.

/// The stop strings of one answer, and how much of each the end of the text spells.
#[derive(Debug, Clone)]
pub(crate) struct StopStrings {
    matchers: Vec<Matcher>,
}

#[derive(Debug, Clone)]
struct Matcher {
    pattern: Box<[u8]>,
    /// `border[i]`: length of the longest proper prefix of `pattern[..=i]` that is its suffix too.
    border: Box<[usize]>,
    /// Bytes of the pattern that the end of the text spells.
    matched: usize,
}

impl StopStrings {
    /// Prepares the strings; an empty one never matches.
    pub(crate) fn new(stop: &[String]) -> Self {
        let matchers = stop
            .iter()
            .filter(|string| !string.is_empty())
            .map(|string| Matcher::new(string.as_bytes()));
        Self {
            matchers: matchers.collect(),
        }
    }

    /// Adds one byte of the text. Returns the length of the stop string that it completes, if any.
    pub(crate) fn push(&mut self, byte: u8) -> Option<usize> {
        self.matchers.iter_mut().filter_map(|matcher| matcher.push(byte)).max()
    }

    /// Returns the number of bytes at the end of the text that may turn out to begin a stop string.
    pub(crate) fn held(&self) -> usize {
        self.matchers.iter().map(|matcher| matcher.matched).max().unwrap_or(0)
    }
}

impl Matcher {
    fn new(pattern: &[u8]) -> Self {
        let mut border = vec![0; pattern.len()];
        let mut length = 0;
        for idx in 1..pattern.len() {
            while length > 0 && pattern[idx] != pattern[length] {
                length = border[length - 1];
            }
            if pattern[idx] == pattern[length] {
                length += 1;
            }
            border[idx] = length;
        }
        Self {
            pattern: pattern.into(),
            border: border.into(),
            matched: 0,
        }
    }

    fn push(&mut self, byte: u8) -> Option<usize> {
        while self.matched > 0 && self.pattern[self.matched] != byte {
            self.matched = self.border[self.matched - 1];
        }
        if self.pattern[self.matched] == byte {
            self.matched += 1;
        }
        if self.matched < self.pattern.len() {
            return None;
        }
        self.matched = self.border[self.matched - 1];
        Some(self.pattern.len())
    }
}
