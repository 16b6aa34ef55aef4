//! Models and tools in the front matter: read, hashed, and kept by a rewrite.

use serde_json::json;

use super::{draft, folder, id, open, put_file};
use crate::AgentStoreError;

const HEAD: &str = "---\nname: X\nsystem_prompt: P\n";

#[track_caller]
fn models(front_matter: &str) -> Result<Vec<String>, String> {
    let folder = folder();
    put_file(folder.path(), "x.md", format!("{HEAD}{front_matter}\n---\n"));
    match open(&folder).get(&id("x")) {
        Ok(agent) => Ok(agent.models),
        Err(AgentStoreError::Broken { source, .. }) => Err(source.to_string()),
        Err(error) => panic!("neither an agent nor broken: {error}"),
    }
}

#[test]
fn an_agent_names_one_model_or_several() {
    assert_eq!(models("model: llama3.2:latest"), Ok(vec!["llama3.2:latest".to_owned()]));
    let two = vec!["ollama:a".to_owned(), "b".to_owned()];
    assert_eq!(models("model: ['ollama:a', b]"), Ok(two));
    assert_eq!(models("model:"), Ok(Vec::new()));
    for wrong in [
        "model: 5",
        "model: ' '",
        "model: []",
        "model: [a, 1]",
        "model: {a: b}",
        "model: [a,a,a,a,a,a,a,a,a]",
    ] {
        let expected = "model in its front matter is not a model's name, or a list of 1 to 8 of them";
        assert_eq!(models(wrong), Err(expected.to_owned()), "{wrong}");
    }
}

#[test]
fn tools_are_read_unchanged() {
    let folder = folder();
    let tools = "tools:\n  - name: weather\n    parameters: {type: object}\n";
    put_file(folder.path(), "x.md", format!("{HEAD}{tools}---\n"));
    let agent = open(&folder).get(&id("x")).expect("it is sound");
    assert_eq!(
        agent.tools,
        [json!({ "name": "weather", "parameters": { "type": "object" } })]
    );
}

#[test]
fn a_rewrite_keeps_models_and_tools_and_the_hash_covers_them() {
    let folder = folder();
    let store = open(&folder);
    let plain = store.put(draft("x"), None).expect("it can be written").agent;
    put_file(
        folder.path(),
        "x.md",
        format!("{HEAD}model: a\ntools: [{{name: t}}]\n---\n"),
    );
    let put = store.put(draft("x"), None).expect("it can be written").agent;
    assert_eq!(
        (put.models, put.tools),
        (vec!["a".to_owned()], vec![json!({ "name": "t" })])
    );
    assert_ne!(put.hash, plain.hash);
}
