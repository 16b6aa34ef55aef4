//! What a relay answers over HTTP: `{text|narration, headline?, playbookId?, suppressed?}`, or `{narrations: [those]}`.

use serde::Deserialize;

use crate::relay::{RelayAnswer, Remark};

/// Remarks of one answer: more of them is not an answer but a log.
const MAX_REMARKS: usize = 64;

/// An answer; other keys are the relay's own business.
#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    said: Said,
    narrations: Option<Vec<Said>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Said {
    text: Option<String>,
    narration: Option<String>,
    headline: Option<String>,
    playbook_id: Option<String>,
    #[serde(default)]
    suppressed: bool,
}

/// Reads an answer, or says what is wrong with it.
pub(super) fn parse(body: &[u8]) -> Result<RelayAnswer, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let said = match answer.narrations {
        None => vec![answer.said],
        Some(said) if (1..=MAX_REMARKS).contains(&said.len()) => said,
        Some(said) => return Err(format!("it has {} narrations, not 1 to {MAX_REMARKS}", said.len())),
    };
    let remarks = said.into_iter().map(remark).collect::<Result<_, _>>()?;
    Ok(RelayAnswer { remarks })
}

fn remark(said: Said) -> Result<Remark, String> {
    let text = match (said.text, said.narration) {
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => return Err("it has neither \"text\" nor \"narration\"".to_owned()),
        (Some(_), Some(_)) => return Err("it has both \"text\" and \"narration\"".to_owned()),
    };
    Ok(Remark {
        text,
        headline: said.headline,
        playbook_id: said.playbook_id,
        suppressed: said.suppressed,
    })
}
