//! The format of an agent's file: front matter between two `---` lines, an empty line, and the context as Markdown.

use crate::{Agent, AgentId, Draft, FileProblem, front_matter, front_matter::FrontMatter};

/// Parses a file's text as the agent of that id.
pub(crate) fn parse(id: &AgentId, text: &str) -> Result<Agent, FileProblem> {
    let text = with_plain_line_ends(text);
    let parts = Parts::split(&text)?;
    let FrontMatter {
        id: named,
        name,
        system_prompt,
        behaviour,
    } = FrontMatter::parse(parts.front_matter)?;
    if let Some(named) = named
        && named != id.as_str()
    {
        return Err(FileProblem::OtherId {
            id: named.chars().take(64).collect(),
        });
    }
    let markdown_context = parts.body.to_owned();
    Ok(Agent::new(
        Draft {
            id: id.clone(),
            name,
            system_prompt,
            markdown_context,
        },
        behaviour,
    ))
}

/// Renders a draft as a file's text. Options and unknown keys of `before`, the text that it replaces, are kept.
pub(crate) fn render(draft: &Draft, before: Option<&str>) -> Result<String, FileProblem> {
    let before = before.map(with_plain_line_ends);
    let front_matter = match before.as_deref() {
        Some(before) => front_matter::render(draft, Some(Parts::split(before)?.front_matter))?,
        None => front_matter::render(draft, None)?,
    };
    Ok(format!("---\n{front_matter}---\n\n{}", draft.markdown_context))
}

/// Returns the keys that a draft doesn't write, with their values; `None` if the text is not an agent's file.
#[cfg(feature = "fuzz")]
pub(crate) fn other_keys(text: &str) -> Option<serde_norway::Mapping> {
    let text = with_plain_line_ends(text);
    front_matter::other_keys(Parts::split(&text).ok()?.front_matter)
}

struct Parts<'a> {
    front_matter: &'a str,
    body: &'a str,
}

impl<'a> Parts<'a> {
    /// Splits at the first `---` at the left margin. Any later one is a horizontal rule in the Markdown.
    fn split(text: &'a str) -> Result<Self, FileProblem> {
        let is_fence = |line: &str| line.trim_end() == "---";
        let (first, rest) = text.split_once('\n').ok_or(FileProblem::NoFrontMatter)?;
        if !is_fence(first) {
            return Err(FileProblem::NoFrontMatter);
        }
        let mut end = 0;
        for line in rest.split_inclusive('\n') {
            if is_fence(line) {
                let body = &rest[end + line.len()..];
                // One empty line is only for readability, and not part of the context.
                return Ok(Self {
                    front_matter: &rest[..end],
                    body: body.strip_prefix('\n').unwrap_or(body),
                });
            }
            end += line.len();
        }
        Err(FileProblem::UnclosedFrontMatter)
    }
}

/// Removes a byte order mark. If the first line ends in CRLF, an editor has written all of them so, and they are
/// replaced by LF. In a file that this crate has written, a CRLF is part of the context.
fn with_plain_line_ends(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first.ends_with("\r\n") {
        text.replace("\r\n", "\n")
    } else {
        text.to_owned()
    }
}
