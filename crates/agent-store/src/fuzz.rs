//! Properties that hold for any bytes in an agent's file, for `cargo xtask fuzz`.

use crate::{
    Agent, AgentId, Draft, FileProblem, markdown,
    store::{Stored, prepare},
};

/// Parses the bytes as an agent's file. A valid one is rewritten with other texts, and must keep all other keys.
///
/// # Panics
/// If a property is violated.
pub fn agent_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let id = AgentId::parse("x").expect("it follows the rule");
    let Ok(agent) = markdown::parse(&id, text) else { return };
    let same = draft(&agent);
    let (rewritten, read_back) = prepare(&same, stored(text, &agent)).expect("what was read can be written");
    assert_eq!(read_back, agent);
    let (again, _) = prepare(&same, stored(&rewritten, &agent)).expect("what was written can be written");
    assert_eq!(again, rewritten, "a second rewrite changes nothing");
    let other = Draft {
        name: "Other: \"name\" #1".to_owned(),
        system_prompt: " ---\n\n- two\n\tlines \n".to_owned(),
        markdown_context: "---\n\nname: no\n".to_owned(),
        ..same
    };
    match prepare(&other, stored(text, &agent)) {
        Ok((rewritten, read_back)) => {
            assert_eq!(
                markdown::other_keys(&rewritten),
                markdown::other_keys(text),
                "unknown keys survive"
            );
            assert_eq!(read_back.behaviour(), agent.behaviour());
        }
        Err(FileProblem::TooLarge { .. }) => {}
        Err(problem) => unreachable!("any words can be stored: {problem}"),
    }
}

fn stored(text: &str, agent: &Agent) -> Option<Stored> {
    Some(Stored {
        text: text.to_owned(),
        agent: agent.clone(),
    })
}

fn draft(agent: &Agent) -> Draft {
    Draft {
        id: agent.id.clone(),
        name: agent.name.clone(),
        system_prompt: agent.system_prompt.clone(),
        markdown_context: agent.markdown_context.clone(),
    }
}
