//! Opens a folder of agents, changes one under a condition, and lists what is there.
//!
//! `cargo run -p streaming-llm-agent-store --example agents -- FOLDER` (a temporary one if none is named)

use std::{env, error::Error, fs, path::PathBuf, process};

use streaming_llm_agent_store::{AgentId, AgentStore, Condition, Draft};

fn main() -> Result<(), Box<dyn Error>> {
    let named = env::args_os().nth(1).map(PathBuf::from);
    let folder = named
        .clone()
        .unwrap_or_else(|| env::temp_dir().join(format!("agents-example-{}", process::id())));

    let store = AgentStore::open(&folder)?;
    let reviewer = Draft {
        id: AgentId::parse("reviewer")?,
        name: "Reviewer".into(),
        system_prompt: "You are Reviewer, a precise PR reviewer.".into(),
        markdown_context: "- Keep responses focused on regressions.\n".into(),
    };
    let put = store.put(reviewer.clone(), None)?;
    println!(
        "{} reviewer, ETag {}",
        if put.created { "created" } else { "changed" },
        put.agent.etag()
    );

    // The second writer has not seen the first one's change, and is refused.
    let condition = Condition::parse_if_match("\"an older version\"")?;
    if let Err(error) = store.put(reviewer, Some(&condition)) {
        println!("refused: {error}");
    }

    for agent in store.list()? {
        println!("{:12} {} bytes of prompt", agent.id.as_str(), agent.system_prompt.len());
    }
    for problem in store.problems() {
        println!("not served: {}: {}", problem.file, problem.problem);
    }
    if named.is_none() {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}
