//! Reading files that people, editors and attackers have written.

use expect_test::{Expect, expect};
use serde_json::Value;

use super::{folder, id, ids, open, put_file};
use crate::{AgentStoreError, FileProblem, MAX_FILE_BYTES};

/// Checks what one file, `x.md`, is read as: the agent, or its problem, which doesn't affect other files.
#[track_caller]
fn check(content: impl AsRef<[u8]>, expected: Expect) {
    let folder = folder();
    put_file(folder.path(), "x.md", content);
    let store = open(&folder);
    let listed = store.list().expect("the folder can be listed");
    let problems = store.problems();
    let seen = match store.get(&id("x")) {
        Ok(agent) => {
            assert_eq!(ids(&listed), ["sound", "x"]);
            assert!(problems.is_empty());
            let options = Value::Object(agent.options);
            format!(
                "{:?} {:?} {:?} {options}",
                agent.name, agent.system_prompt, agent.markdown_context
            )
        }
        Err(AgentStoreError::Broken { file, source }) => {
            assert_eq!(ids(&listed), ["sound"]);
            let [problem] = &problems[..] else {
                panic!("one problem, not {problems:?}")
            };
            assert_eq!(
                (problem.file.as_str(), problem.problem.to_string()),
                (file.as_str(), source.to_string())
            );
            source.to_string()
        }
        Err(error) => panic!("neither an agent nor broken: {error}"),
    };
    expected.assert_eq(&seen);
}

const HEAD: &str = "---\nname: X\nsystem_prompt: P\n";

#[test]
fn a_file_with_everything() {
    let text = "---\nid: x\nname: X\nsystem_prompt: |-\n  One\n\n  Two\noptions:\n  temperature: 0.2\n  stop: [\"a\", b]\n  \
                seed: 18446744073709551615\ncolour: red\n---\n\n# Context\n\nText\n";
    check(
        text,
        expect![[
            r##""X" "One\n\nTwo" "# Context\n\nText\n" {"seed":18446744073709551615,"stop":["a","b"],"temperature":0.2}"##
        ]],
    );
}

#[test]
fn a_rule_in_the_body_or_in_the_prompt_ends_nothing() {
    check(
        format!("{HEAD}---\n\nabove\n\n---\n\nbelow\n---\n"),
        expect![[r#""X" "P" "above\n\n---\n\nbelow\n---\n" {}"#]],
    );
    check(
        "---\nname: X\nsystem_prompt: |-\n  a\n  ---\n  b\n---\nbody",
        expect![[r#""X" "a\n---\nb" "body" {}"#]],
    );
}

#[test]
fn line_ends_and_byte_order_marks_of_other_editors() {
    let crlf = format!("{HEAD}---\n\none\ntwo\n").replace('\n', "\r\n");
    check(&crlf, expect![[r#""X" "P" "one\ntwo\n" {}"#]]);
    check(format!("\u{feff}{HEAD}--- \n\nbody"), expect![[r#""X" "P" "body" {}"#]]);
    check(format!("{HEAD}---"), expect![[r#""X" "P" "" {}"#]]);
    check(format!("{HEAD}---\n\nkept\r\n"), expect![[r#""X" "P" "kept\r\n" {}"#]]);
}

#[test]
fn invalid_front_matter() {
    check("", expect!["its first line is not ---"]);
    check("# Only Markdown\n", expect!["its first line is not ---"]);
    check("----\n", expect!["its first line is not ---"]);
    check(HEAD, expect!["its front matter has no closing ---"]);
    check("---\n---\n", expect!["its front matter has no name"]);
    check("---\n- a\n---\n", expect!["its front matter is not a mapping"]);
    check("---\nname: X\n---\n", expect!["its front matter has no system_prompt"]);
    check(
        "---\nname: 5\nsystem_prompt: P\n---\n",
        expect!["name in its front matter is not text"],
    );
    check(
        "---\nname: ' '\nsystem_prompt: P\n---\n",
        expect!["name in its front matter is blank"],
    );
    check(
        format!("{HEAD}name: Y\n---\n"),
        expect![[r#"its front matter is not valid YAML: duplicate entry with key "name""#]],
    );
    check(
        format!("{HEAD}id: y\n---\n"),
        expect![[r#"id in its front matter is "y", which is not the file's name"#]],
    );
    check(
        format!("{HEAD}a: [1\n---\n"),
        expect![
            "its front matter is not valid YAML: did not find expected ',' or ']' at line 4 column 1, while parsing a flow sequence at line 3 column 4"
        ],
    );
}

#[test]
fn options_that_json_cannot_represent() {
    check(
        format!("{HEAD}options: 5\n---\n"),
        expect!["options in its front matter is not a mapping"],
    );
    check(
        format!("{HEAD}options: {{temperature: .nan}}\n---\n"),
        expect!["options.temperature in its front matter is not a finite number"],
    );
    check(
        format!("{HEAD}options: {{stop: [a, .inf]}}\n---\n"),
        expect!["options.stop[1] in its front matter is not a finite number"],
    );
    check(
        format!("{HEAD}options: {{1: 2}}\n---\n"),
        expect!["options in its front matter is not a mapping with text keys only"],
    );
    check(
        format!("{HEAD}options: {{seed: !secret 2}}\n---\n"),
        expect!["options.seed in its front matter is not a plain value"],
    );
    check(format!("{HEAD}options:\n---\n"), expect![[r#""X" "P" "" {}"#]]);
}

#[test]
fn bytes_that_are_not_text() {
    check(b"---\nname: \xff\n---\n", expect!["it is not UTF-8 at byte 10"]);
    check(
        format!("{HEAD}a: \"\0\"\n---\n"),
        expect!["its front matter is not valid YAML: control characters are not allowed at position 29"],
    );
}

#[test]
fn a_file_of_ten_megabytes_is_not_read() {
    let text = format!("{HEAD}---\n\n{}", "x".repeat(10 << 20));
    check(text, expect!["it has 10485794 bytes, over the limit of 1048576"]);
}

#[test]
fn the_largest_file_is_served() {
    let head = format!("{HEAD}---\n\n");
    let folder = folder();
    let body = "x".repeat(usize::try_from(MAX_FILE_BYTES).expect("a megabyte") - head.len());
    put_file(folder.path(), "x.md", format!("{head}{body}"));
    assert_eq!(
        open(&folder)
            .get(&id("x"))
            .expect("it is at the limit")
            .markdown_context,
        body
    );
}

#[test]
fn aliases_that_grow_without_end() {
    let mut bomb = format!("{HEAD}a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    check(
        format!("{bomb}---\n"),
        expect!["its front matter grows over 2097152 bytes when its aliases are expanded"],
    );

    let long_text = format!(
        "{HEAD}a: &a {}\nb: [{}]\n---\n",
        "x".repeat(100_000),
        vec!["*a"; 1_000].join(", ")
    );
    check(
        long_text,
        expect!["its front matter grows over 2097152 bytes when its aliases are expanded"],
    );

    check(
        format!("{HEAD}a: &a [*a]\n---\n"),
        expect!["its front matter is not valid YAML: recursion limit exceeded at line 3 column 4"],
    );
    check(
        format!("{HEAD}a: *a\n---\n"),
        expect!["its front matter is not valid YAML: unknown anchor at line 3 column 4"],
    );
    check(
        "---\nname: &n X\nsystem_prompt: *n\n---\n",
        expect![[r#""X" "X" "" {}"#]],
    );
}

#[test]
fn nesting_without_end_overflows_no_stack_and_takes_no_minutes() {
    check(
        format!("{HEAD}a: {}\n---\n", "[".repeat(5_000)),
        expect!["its front matter is not valid YAML: recursion limit exceeded at line 3 column 131"],
    );
    check(
        format!("{HEAD}a: {}\n---\n", "{a: ".repeat(2_000)),
        expect!["its front matter is not valid YAML: recursion limit exceeded at line 3 column 512"],
    );
    check(
        format!("{HEAD}a:\n- {}\n---\n", "- ".repeat(400_000)),
        expect!["its front matter is not valid YAML: recursion limit exceeded at line 4 column 255"],
    );
    check(
        format!("{HEAD}a: {}\n---\n", "[".repeat(1_000_000)),
        expect!["its front matter opens more than 268 brackets, too many for its length"],
    );
    check(
        format!("{HEAD}a: [{}\n---\n", "'x]', [".repeat(100_000)),
        expect!["its front matter opens more than 383 brackets, too many for its length"],
    );
}

#[test]
fn files_that_are_not_agents_are_reported_and_affect_no_other() {
    let folder = folder();
    put_file(folder.path(), "Sound.md", "the same name in capitals");
    put_file(folder.path(), "con.md", "a device");
    put_file(folder.path(), "notes.txt", "not ours");
    put_file(folder.path(), ".sound.md.tmp", "what a crash left");
    put_file(
        folder.path(),
        "sound.md.md",
        "---\nname: Other\nsystem_prompt: Not sound.\n---\n",
    );
    std::fs::create_dir(folder.path().join("folder.md")).expect("a folder can be made");
    let store = open(&folder);
    assert_eq!(
        ids(&store.list().expect("the folder can be listed")),
        ["sound", "sound.md"]
    );
    let problems: Vec<String> = store
        .problems()
        .iter()
        .map(|found| format!("{}: {}\n", found.file, found.problem))
        .collect();
    expect![[r#"
        Sound.md: agent id "Sound" has a character other than a-z, 0-9, '.', '_' and '-'
        con.md: agent id "con" is the name of a device
        folder.md: it is not a regular file
    "#]]
    .assert_eq(&problems.concat());
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed() {
    let (folder, outside) = (folder(), folder());
    std::os::unix::fs::symlink(outside.path().join("sound.md"), folder.path().join("x.md"))
        .expect("a link can be made");
    std::os::unix::fs::symlink("nowhere", folder.path().join("y.md")).expect("a link can be made");
    let store = open(&folder);
    for link in ["x", "y"] {
        let error = store.get(&id(link)).expect_err("a link is refused");
        assert!(
            matches!(
                error,
                AgentStoreError::Broken {
                    source: FileProblem::SymbolicLink,
                    ..
                }
            ),
            "{error}"
        );
    }
    assert_eq!(store.problems().len(), 2);
    store.delete(&id("x")).expect("the link itself can go");
    assert!(outside.path().join("sound.md").exists());
}

#[test]
fn an_edit_and_a_deletion_by_hand_are_seen_at_once() {
    let folder = folder();
    let store = open(&folder);
    let before = store.get(&id("sound")).expect("it is there");
    // The same length, within the same tick of the clock.
    put_file(
        folder.path(),
        "sound.md",
        "---\nname: Sound\nsystem_prompt: Be quiet\n---\n\nBody\n",
    );
    let after = store.get(&id("sound")).expect("it is there");
    assert_eq!(after.system_prompt, "Be quiet");
    assert_ne!(after.hash, before.hash);
    put_file(folder.path(), "new.md", "---\nname: New\nsystem_prompt: P\n---\n");
    assert_eq!(ids(&store.list().expect("the folder can be listed")), ["new", "sound"]);
    std::fs::remove_file(folder.path().join("sound.md")).expect("it can be removed");
    assert!(matches!(store.get(&id("sound")), Err(AgentStoreError::NotFound { .. })));
    std::fs::remove_dir_all(folder.path()).expect("the folder can be removed");
    assert!(matches!(store.list(), Err(AgentStoreError::OpenFolder { .. })));
    assert_eq!(store.problems().len(), 1);
}

#[test]
fn two_agents_never_share_a_hash_by_where_their_fields_end() {
    let folder = folder();
    put_file(folder.path(), "x.md", "---\nname: ab\nsystem_prompt: c\n---\n");
    let store = open(&folder);
    let first = store.get(&id("x")).expect("it is there").hash;
    put_file(folder.path(), "x.md", "---\nname: a\nsystem_prompt: bc\n---\n");
    assert_ne!(store.get(&id("x")).expect("it is there").hash, first);
    assert_eq!(first.len(), 64);
}
