//! The log on disk: complete lines, also after torn writes, and for ids of any content.

use std::fs;
use std::io::Cursor;
use std::ops::ControlFlow;

use protocol::{FeedSeverity, NarrationSource};
use tempfile::TempDir;

use crate::log::{Line, LineType, NarratorLog, headline};

use crate::log::reverse_lines::ReverseLines;

fn open() -> (NarratorLog, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let log = NarratorLog::open(folder.path().join("narrator")).expect("a folder can be made");
    (log, folder)
}

fn line(workspace: &str, detail: &str) -> Line {
    Line {
        id: "1".to_owned(),
        timestamp: "2026-01-01T00:00:00.000Z".to_owned(),
        kind: LineType::Narration,
        workspace_id: workspace.to_owned(),
        conversation_id: "c".to_owned(),
        task_id: None,
        agent_id: "controller".to_owned(),
        headline: headline(detail),
        detail: detail.to_owned(),
        severity: FeedSeverity::Info,
        source: NarrationSource::Narrator,
        playbook_id: None,
    }
}

#[track_caller]
fn append(log: &NarratorLog, detail: &str) {
    log.append(&line("w", detail)).expect("a line can be written");
}

/// Returns the details of workspace `w`, newest first.
#[track_caller]
fn details(log: &NarratorLog, limit: usize) -> Vec<String> {
    let mut details = Vec::new();
    let read = log.newest("w", |_, line| {
        details.push(line.detail);
        if details.len() < limit {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    read.expect("the log can be read");
    details
}

/// Cuts bytes off the end of the log of `w`.
fn tear(log: &NarratorLog, bytes: usize) {
    let path = log.path("w");
    let text = fs::read(&path).expect("there is a log");
    fs::write(&path, &text[..text.len() - bytes]).expect("it can be written");
}

#[test]
fn lines_are_read_newest_first() {
    let (log, _folder) = open();
    assert_eq!(details(&log, 9), [""; 0], "an unknown workspace has none");
    for detail in ["a", "b\nb", "\u{2028} \u{0} \"", "d"] {
        append(&log, detail);
    }
    assert_eq!(details(&log, 9), ["d", "\u{2028} \u{0} \"", "b\nb", "a"]);
    assert_eq!(details(&log, 2).len(), 2);
}

#[test]
fn a_torn_line_loses_only_itself() {
    let (log, _folder) = open();
    let whole = line("w", "torn").json().len();
    for torn in 1..=whole {
        append(&log, "before");
        append(&log, "torn");
        tear(&log, torn);
        assert_eq!(details(&log, 1), ["before"], "{torn} bytes are missing");
        append(&log, "after");
        // A line that lacks only its line feed is completed by the next append.
        let expected: &[&str] = if torn == 1 {
            &["after", "torn", "before"]
        } else {
            &["after", "before"]
        };
        assert_eq!(details(&log, expected.len()), expected, "{torn} bytes are missing");
    }
}

#[test]
fn lines_of_other_programs_are_skipped() {
    let (log, _folder) = open();
    append(&log, "a");
    let path = log.path("w");
    let mut text = fs::read(&path).expect("there is a log");
    text.extend_from_slice(b"\n\n{}\nnull\n\xff\xfe\n{\"type\":\"OTHER\"}\n");
    fs::write(&path, text).expect("it can be written");
    append(&log, "b");
    assert_eq!(details(&log, 9), ["b", "a"]);
}

#[test]
fn a_full_file_becomes_the_older_one() {
    let (log, folder) = open();
    let bytes = line("w", "00").json().len() as u64 + 1;
    let log = log.with_max_file_bytes(3 * bytes);
    for number in 0..10 {
        append(&log, &format!("{number:02}"));
    }
    // Three lines are in the older file, one is in the newer, and six were dropped.
    assert_eq!(details(&log, 99), ["09", "08", "07", "06"]);
    let files = fs::read_dir(folder.path().join("narrator"))
        .expect("the folder is there")
        .count();
    assert_eq!(files, 2);
    append(&log, &"x".repeat(1_000));
    assert_eq!(
        details(&log, 1)[0].len(),
        1_000,
        "a line that is larger than a file is written all the same"
    );
}

#[test]
fn workspaces_with_similar_ids_have_separate_logs() {
    let (log, folder) = open();
    let long = "x".repeat(10_000);
    let workspaces = ["..", "../..", "a\0", "con", "w", "W", "\u{e9}", "e\u{301}", &long];
    for workspace in workspaces {
        log.append(&line(workspace, workspace)).expect("any id will do");
    }
    for workspace in workspaces {
        let mut found = Vec::new();
        let read = log.newest(workspace, |_, line| {
            found.push(line.detail);
            ControlFlow::Continue(())
        });
        read.expect("the log can be read");
        assert_eq!(found, [workspace]);
    }
    let count = |path| fs::read_dir(path).expect("the folder is there").count();
    assert_eq!(
        (count(folder.path().join("narrator")), count(folder.path().to_owned())),
        (9, 1)
    );
}

#[test]
fn one_query_reads_a_bounded_part() {
    let (log, _folder) = open();
    let megabyte = "x".repeat(1 << 20);
    for _ in 0..12 {
        append(&log, &megabyte);
    }
    assert_eq!(details(&log, 99).len(), 8);
}

#[test]
fn concurrent_appends_do_not_mix() {
    let (log, _folder) = open();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let log = log.clone();
            scope.spawn(move || (0..50).for_each(|_| append(&log, &"x".repeat(1_000 + writer))));
        }
    });
    assert_eq!(details(&log, 999).len(), 200);
}

#[test]
fn reverse_lines_agree_with_a_naive_version() {
    let mut state = 7_u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..2_000 {
        let length = random(60);
        let text: Vec<u8> = (0..length).map(|_| b"ab\n"[random(3) as usize]).collect();
        let mut naive: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        // Text after the last line feed is no line yet.
        naive.pop();
        naive.reverse();
        for block in [1, 2, 3, 7, 64] {
            let lines = ReverseLines::with_block(Cursor::new(&text), block).expect("memory can be read");
            let lines: Vec<Vec<u8>> = lines.map(|line| line.expect("memory can be read")).collect();
            assert_eq!(
                lines,
                naive,
                "{:?} in blocks of {block}",
                String::from_utf8_lossy(&text)
            );
        }
    }
}

#[test]
fn headlines_are_short_and_on_one_line() {
    assert_eq!(headline("\n  first   line \nsecond"), "first line");
    assert_eq!(headline(&"é".repeat(100)), format!("{}…", "é".repeat(80)));
    assert_eq!(headline(" \n\t"), "");
}
