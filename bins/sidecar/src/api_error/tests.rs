//! The status, code and text of errors, which don't depend on the way by which an error comes.

use std::io;
use std::path::PathBuf;

use agent_store::{AgentId, AgentStoreError, FileProblem};
use chat::ChatError;
use conversation_store::StoreError;
use expect_test::{Expect, expect};
use relay::NarratorError;

use super::ApiError;

fn shown(error: ApiError) -> String {
    format!("{} {}: {}", error.status.as_u16(), error.code.as_str(), error.detail)
}

/// Compares how a store's error is answered, whether it comes from the store, through a turn or through the narrator.
#[track_caller]
fn check_store(error: StoreError, expected: Expect) {
    let through_chat = shown(ChatError::Store(error.clone()).into());
    let through_narrator = shown(NarratorError::Store(error.clone()).into());
    assert_eq!(
        ChatError::Store(error.clone()).event().code.as_str(),
        code_of(&through_chat)
    );
    let direct = shown(error.into());
    assert_eq!((&through_chat, &through_narrator), (&direct, &direct));
    expected.assert_eq(&direct);
}

/// Compares how an agent store's error is answered, whether it comes from the store or through a turn.
#[track_caller]
fn check_agent(error: impl Fn() -> AgentStoreError, expected: Expect) {
    let direct = shown(error().into());
    assert_eq!(shown(ChatError::Agent(error()).into()), direct);
    assert_eq!(ChatError::Agent(error()).code().as_str(), code_of(&direct));
    expected.assert_eq(&direct);
}

fn code_of(shown: &str) -> &str {
    let code = shown.split(' ').nth(1).unwrap_or_default();
    code.trim_end_matches(':')
}

fn planner() -> AgentId {
    AgentId::parse("planner").expect("it is an id")
}

#[test]
fn a_store_error_has_one_code_on_every_way() {
    let conversation = || "c".to_owned();
    check_store(
        StoreError::TooLarge {
            what: "an event",
            bytes: 9,
            limit: 8,
        },
        expect!["413 too_large: an event of 9 bytes is over the limit of 8"],
    );
    check_store(
        StoreError::Closed,
        expect!["503 draining: the conversation store is closed"],
    );
    check_store(
        StoreError::Running {
            conversation: conversation(),
        },
        expect![[r#"429 busy: a turn of conversation "c" runs: it can be exported when it has ended"#]],
    );
    check_store(
        StoreError::ConversationExists {
            conversation: conversation(),
        },
        expect![[r#"409 conflict: conversation "c" exists already"#]],
    );
    check_store(
        StoreError::BadArchive {
            line: 2,
            reason: "it is cut off".to_owned(),
        },
        expect!["400 invalid_request: line 2: it is cut off"],
    );
    check_store(
        StoreError::Gone {
            conversation: conversation(),
        },
        expect![[r#"410 gone: conversation "c" was deleted"#]],
    );
    check_store(
        StoreError::NothingPublished {
            conversation: conversation(),
        },
        expect!["500 internal: the conversation store failed"],
    );
}

#[test]
fn an_agent_store_error_has_one_code_on_every_way() {
    check_agent(
        || AgentStoreError::TooManyAgents { limit: 3 },
        expect!["413 too_large: there are 3 agents already, which is the most"],
    );
    check_agent(
        || AgentStoreError::BlankName { id: planner() },
        expect![[r#"422 invalid_request: agent "planner" needs a name that is not blank"#]],
    );
    check_agent(
        || AgentStoreError::Unstorable {
            id: planner(),
            source: FileProblem::ReadsBackDifferently,
        },
        expect![[r#"422 invalid_request: agent "planner" cannot be stored: it does not read back as it was written"#]],
    );
    check_agent(
        || AgentStoreError::Broken {
            file: "planner.md".to_owned(),
            source: FileProblem::NoFrontMatter,
        },
        expect![[r#"500 internal: agent file "planner.md" is broken: its first line is not ---"#]],
    );
    check_agent(
        || AgentStoreError::Write {
            path: PathBuf::from("planner.md"),
            source: io::Error::from(io::ErrorKind::StorageFull),
        },
        expect!["500 internal: cannot write the agent: no storage space"],
    );
    check_agent(
        || AgentStoreError::OpenFolder {
            path: PathBuf::from("agents"),
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        },
        expect!["500 internal: the agent store failed"],
    );
}

#[test]
fn a_missing_agent_is_named_where_a_turn_asks_for_it() {
    let missing = || AgentStoreError::NotFound { id: planner() };
    assert_eq!(shown(missing().into()), "404 agent_not_found: Agent not found");
    assert_eq!(
        shown(ChatError::Agent(missing()).into()),
        "404 agent_not_found: agent \"planner\" not found"
    );
}
