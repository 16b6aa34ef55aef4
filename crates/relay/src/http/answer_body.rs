//! Parses a relay's HTTP answer: `{text|narration, headline?, playbookId?, suppressed?}`, or `{narrations: [those]}`.

use serde::Deserialize;

use crate::relay::{RelayAnswer, Remark};

/// Most remarks of one answer: more of them are not an answer but a log.
const MAX_REMARKS: usize = 64;

/// The body of an answer; unknown keys are ignored.
#[derive(Deserialize)]
// What clients read where a body is no object.
#[serde(expecting = "struct Answer")]
struct AnswerBody {
    #[serde(flatten)]
    remark: RemarkBody,
    narrations: Option<Vec<RemarkBody>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct RemarkBody {
    text: Option<String>,
    narration: Option<String>,
    headline: Option<String>,
    playbook_id: Option<String>,
    #[serde(default)]
    suppressed: bool,
}

/// Parses an answer, or returns what is wrong with it.
pub(super) fn parse(body: &[u8]) -> Result<RelayAnswer, String> {
    let answer: AnswerBody = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let bodies = match answer.narrations {
        None => vec![answer.remark],
        Some(bodies) if (1..=MAX_REMARKS).contains(&bodies.len()) => bodies,
        Some(bodies) => return Err(format!("it has {} narrations, not 1 to {MAX_REMARKS}", bodies.len())),
    };
    let remarks = bodies.into_iter().map(remark).collect::<Result<_, _>>()?;
    Ok(RelayAnswer { remarks })
}

fn remark(body: RemarkBody) -> Result<Remark, String> {
    let text = match (body.text, body.narration) {
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => return Err("it has neither \"text\" nor \"narration\"".to_owned()),
        (Some(_), Some(_)) => return Err("it has both \"text\" and \"narration\"".to_owned()),
    };
    Ok(Remark {
        text,
        headline: body.headline,
        playbook_id: body.playbook_id,
        suppressed: body.suppressed,
    })
}
