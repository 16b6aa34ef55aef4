//! Writes: atomic, conditional, and without losing what a person wrote.

use std::{collections::HashSet, fs, sync::Barrier, thread};

use expect_test::{Expect, expect};

use super::{draft, folder, id, ids, open, put_file};
use crate::{AgentStore, AgentStoreError, Condition, Draft, FileProblem};

/// Checks the file of `x` after the usual draft was written over `before`.
#[track_caller]
fn check(before: &str, expected: Expect) {
    let folder = folder();
    put_file(folder.path(), "x.md", before);
    let store = open(&folder);
    let put = store.put(draft("x"), None).expect("it can be written");
    assert!(!put.created);
    assert_eq!(store.get(&id("x")).expect("it can be read back"), put.agent);
    expected.assert_eq(&fs::read_to_string(folder.path().join("x.md")).expect("the file is there"));
}

#[test]
fn a_new_agent_is_a_readable_file() {
    let folder = folder();
    let store = open(&folder);
    let put = store.put(draft("reviewer"), None).expect("it can be written");
    assert!(put.created);
    assert_eq!(put.agent.etag(), format!("\"{}\"", put.agent.hash));
    expect![[r#"
        ---
        id: reviewer
        name: Reviewer
        system_prompt: You are Reviewer, a precise PR reviewer.
        ---

        - Keep responses focused on regressions.
    "#]]
    .assert_eq(&fs::read_to_string(folder.path().join("reviewer.md")).expect("the file is there"));
}

#[test]
fn unknown_keys_are_kept_with_their_comments() {
    check(
        "---\n# who\nname: Old\nversion: 1.10 # not a float\nsystem_prompt: |\n  Old\n\n  # still the prompt\n\n# how\noptions:\n  \
         temperature: 0.2\ntags:\n- a\n- b\nname_of_author: me\n---\nOld body\n",
        expect![[r#"
            ---
            id: x
            name: Reviewer
            system_prompt: You are Reviewer, a precise PR reviewer.
            # who
            version: 1.10 # not a float
            # how
            options:
              temperature: 0.2
            tags:
            - a
            - b
            name_of_author: me
            ---

            - Keep responses focused on regressions.
        "#]],
    );
}

#[test]
fn keys_are_kept_in_notations_that_lines_do_not_separate() {
    check(
        "---\n{\"name\": Old, \"system_prompt\": P, colour: red}\n---\n",
        expect![[r#"
            ---
            id: x
            name: Reviewer
            system_prompt: You are Reviewer, a precise PR reviewer.
            colour: red
            ---

            - Keep responses focused on regressions.
        "#]],
    );
    check(
        "---\nname: &n Old\nsystem_prompt: P\nsame: *n\n---\n",
        expect![[r#"
            ---
            id: x
            name: Reviewer
            system_prompt: You are Reviewer, a precise PR reviewer.
            same: Old
            ---

            - Keep responses focused on regressions.
        "#]],
    );
}

/// Texts that YAML, Markdown or an editor could misread.
const TEXTS: &[&str] = &[
    "",
    "\n",
    "\n\n\n",
    "---",
    "---\n",
    "a\n---\nb",
    " leading",
    "trailing ",
    "trailing\n\n",
    "\ttab",
    "# no comment",
    "a: b",
    "- a",
    "'",
    "\"",
    "yes",
    "null",
    "~",
    "1e5",
    "0x1f",
    "&a",
    "*a",
    "!tag",
    "%",
    "@",
    "`",
    "|",
    ">",
    "{",
    "[",
    "\r\n",
    "a\rb",
    "a\r\n\r\nb",
    "\0",
    "\u{1b}[0m",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{fffe}",
    "\u{10ffff}",
    "\u{7f}",
    "emoji \u{1f600}",
    "<|im_end|>",
    "a\n  b\n c",
    "  a\nb",
    "\n a",
    "\ta\n\tb\n",
];

#[test]
fn any_text_reads_back_as_it_was_written() {
    let folder = folder();
    let store = open(&folder);
    for &text in TEXTS {
        let name = format!("N{text}");
        let wanted = Draft {
            id: id("x"),
            name,
            system_prompt: text.to_owned(),
            markdown_context: text.to_owned(),
        };
        store
            .put(wanted.clone(), None)
            .unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
        let read = store
            .get(&id("x"))
            .unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
        let read = Draft {
            id: read.id,
            name: read.name,
            system_prompt: read.system_prompt,
            markdown_context: read.markdown_context,
        };
        assert_eq!(read, wanted);
    }
}

#[test]
fn a_refused_write_leaves_the_stored_agent() {
    let folder = folder();
    let store = open(&folder);
    store.put(draft("x"), None).expect("it can be written");
    let before = store.get(&id("x")).expect("it is there");

    let too_large = Draft {
        markdown_context: "x".repeat(1 << 20),
        ..draft("x")
    };
    let error = store.put(too_large, None).expect_err("it is too large");
    assert!(
        matches!(
            error,
            AgentStoreError::Unstorable {
                source: FileProblem::TooLarge { .. },
                ..
            }
        ),
        "{error}"
    );

    let blank = Draft {
        name: " \n".into(),
        ..draft("x")
    };
    assert!(matches!(store.put(blank, None), Err(AgentStoreError::BlankName { .. })));

    // A folder with the temporary file's name can't be removed or opened, not even by root.
    fs::create_dir_all(folder.path().join(".x.md.tmp/in-the-way")).expect("a folder can be made");
    let error = store.put(draft("x"), None).expect_err("it cannot be written");
    assert!(matches!(error, AgentStoreError::Write { .. }), "{error}");
    assert_eq!(store.get(&id("x")).expect("it is there"), before);
}

#[test]
fn a_broken_file_is_not_overwritten_but_can_be_deleted() {
    let folder = folder();
    put_file(
        folder.path(),
        "x.md",
        "---\nname: X\nsystem_prompt: [a slip\n---\nlong work\n",
    );
    let store = open(&folder);
    assert!(matches!(
        store.put(draft("x"), None),
        Err(AgentStoreError::Broken { .. })
    ));
    assert!(
        fs::read_to_string(folder.path().join("x.md"))
            .expect("the file is there")
            .contains("long work")
    );
    store.delete(&id("x")).expect("it can be deleted");
    assert!(matches!(store.delete(&id("x")), Err(AgentStoreError::NotFound { .. })));
    assert!(store.put(draft("x"), None).expect("it can be written").created);
}

#[test]
fn a_condition_lets_only_the_version_that_was_read_be_replaced() {
    let folder = folder();
    let store = open(&folder);
    let parse = |header: &str| Condition::parse_if_match(header).expect("the header can be read");
    let error = store
        .put(draft("x"), Some(&Condition::Exists))
        .expect_err("there is none");
    assert!(matches!(error, AgentStoreError::ConditionFailed { stored: None, .. }));

    let hash = store.put(draft("x"), None).expect("it can be written").agent.hash;
    let changed = Draft {
        name: "Changed".into(),
        ..draft("x")
    };
    for header in ["", ",", "\"other\"", "\"a,b\"", "W/\"other\"", &format!("W/\"{hash}\"")] {
        let error = store
            .put(changed.clone(), Some(&parse(header)))
            .expect_err("it is another version");
        assert!(matches!(error, AgentStoreError::ConditionFailed { stored: Some(stored), .. } if stored == hash));
    }
    let put = store
        .put(changed, Some(&parse(&format!(", \"other\" ,, \"{hash}\","))))
        .expect("it is that version");
    assert_ne!(put.agent.hash, hash);
    store.put(draft("x"), Some(&parse(" * "))).expect("there is one");
    for header in ["abc", "\"a", "\"a\"\"b\"", "\"a\" \"b\"", "W/", "*, \"a\"", "\"a\", *"] {
        assert!(
            matches!(
                Condition::parse_if_match(header),
                Err(AgentStoreError::InvalidCondition { .. })
            ),
            "{header}"
        );
    }
}

#[test]
fn of_writers_with_one_condition_one_wins_and_readers_see_whole_files() {
    let folder = folder();
    let store = open(&folder);
    let first = store.put(draft("x"), None).expect("it can be written").agent;
    let condition = Condition::HashIsOneOf(vec![first.hash.clone()]);
    let barrier = Barrier::new(8);
    let write = |writer: usize| {
        let body = writer.to_string().repeat(100_000);
        barrier.wait();
        let put = store.put(
            Draft {
                markdown_context: body,
                ..draft("x")
            },
            Some(&condition),
        );
        let read = store.get(&id("x")).expect("readers always find a whole file");
        (put.map(|put| put.agent.hash).ok(), read.hash)
    };
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|writer| scope.spawn(move || write(writer))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no writer panics"))
            .collect()
    });
    let winners: HashSet<_> = results.iter().filter_map(|(put, _)| put.clone()).collect();
    assert_eq!(results.iter().filter(|(put, _)| put.is_some()).count(), 1);
    assert!(
        results
            .iter()
            .all(|(_, read)| winners.contains(read) || *read == first.hash)
    );
}

#[cfg(unix)]
#[test]
fn a_private_file_stays_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let path = folder.path().join("sound.md");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the mode can be set");
    open(&folder).put(draft("sound"), None).expect("it can be written");
    assert_eq!(
        fs::metadata(&path).expect("the file is there").permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn an_empty_folder_is_seeded_once() {
    let parent = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = parent.path().join("a/b");
    let store = AgentStore::open(&folder).expect("the folder can be made");
    let agents = store.list().expect("the folder can be listed");
    assert_eq!(ids(&agents), ["controller", "planner", "researcher"]);
    assert!(store.problems().is_empty());
    assert!(
        agents
            .iter()
            .all(|agent| agent.system_prompt.len() > 200 && agent.markdown_context.starts_with("- "))
    );
    store.delete(&id("planner")).expect("it can be deleted");
    let again = AgentStore::open(&folder).expect("the folder can be opened");
    assert_eq!(
        ids(&again.list().expect("the folder can be listed")),
        ["controller", "researcher"]
    );
}

#[test]
fn a_folder_that_is_a_file_is_reported() {
    let folder = folder();
    let error = AgentStore::open(&folder.path().join("sound.md")).expect_err("it is a file");
    assert!(error.to_string().ends_with("sound.md"), "{error}");
}

#[test]
fn a_key_that_begins_with_a_dash_keeps_the_comments_beside_it() {
    let folder = folder();
    let rest = "-flag: x\n# kept\nlist:\n- a\n";
    let head = "---\nname: X\nsystem_prompt: P\n";
    put_file(folder.path(), "x.md", format!("{head}{rest}---\n\nbody"));
    let store = open(&folder);
    for name in ["one", "two"] {
        let draft = Draft {
            name: name.into(),
            ..draft("x")
        };
        store.put(draft, None).expect("it can be written");
        let text = fs::read_to_string(folder.path().join("x.md")).expect("it is there");
        assert!(text.contains(rest), "{text}");
    }
}
