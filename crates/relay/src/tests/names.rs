//! Names that are derived from ids.

use std::collections::HashSet;

use protocol::check_conversation_id;

use crate::safe_name::{conversation_id, file_name};

/// Returns ids that cause problems as file names.
fn hostile() -> Vec<String> {
    let long = "x".repeat(10_000);
    let ids = [
        "..",
        ".",
        "../x",
        "..%2f",
        "/etc/passwd",
        "C:\\x",
        "con",
        "CON",
        "nul",
        "a\0b",
        "",
        " ",
        "a ",
        "a.",
        "A",
        "a",
        "\u{e9}",
        "e\u{301}",
        "\u{200b}",
        "\u{202e}gnp",
        "a/b",
        "a\\b",
        "a\nb",
        "-",
        "--",
        ".jsonl",
        "a.md.md",
        "😀",
        &long,
    ];
    ids.map(str::to_owned).to_vec()
}

#[test]
fn no_two_ids_share_a_file_and_no_file_leaves_its_folder() {
    let mut names = HashSet::new();
    for id in hostile() {
        let name = file_name(&id);
        let safe = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        assert!(
            safe && name.len() <= 105 && !name.starts_with('-'),
            "{id:?} became {name:?}"
        );
        assert!(name.len() >= 64, "{name:?} has the whole hash");
        assert!(names.insert(name), "{id:?} shares its file");
    }
}

#[test]
fn a_name_is_readable() {
    assert!(file_name("Team A / build #7").starts_with("team-a-build-7-"));
}

#[test]
fn every_workspace_has_a_conversation() {
    let mut ids = HashSet::new();
    for workspace in hostile() {
        for agent in ["controller", "planner"] {
            let id = conversation_id(&workspace, agent);
            // Room for the number of one that was deleted.
            assert_eq!(check_conversation_id(&format!("{id}-100")), Ok(()), "{workspace:?}");
            assert!(ids.insert(id), "{workspace:?} shares its conversation");
        }
    }
}
