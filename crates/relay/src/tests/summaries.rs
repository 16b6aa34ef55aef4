//! The rolling summary: when it is written, what is in it, whom it reaches.

use std::fs;

use expect_test::expect;
use serde_json::Value;

use super::{Desk, look, said};
use crate::{FakeRelay, Waits};

async fn tell(desk: &Desk, times: usize) {
    for number in 0..times {
        let told = desk
            .narrator
            .tell(said(&format!("{number}\n# x")), Waits::ForTheAnswer)
            .await;
        told.expect("it is answered");
    }
}

/// The summary files.
fn files(desk: &Desk) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(desk.summary_dir().join("summaries")).expect("the folder is there");
    entries.map(|entry| entry.expect("it can be listed").path()).collect()
}

#[tokio::test]
async fn it_is_written_after_so_many_narrations() {
    let desk = Desk::with(FakeRelay::new([]), |settings| settings.summary_refresh = 2);
    desk.register();
    tell(&desk, 1).await;
    assert_eq!(files(&desk).len(), 0);
    assert_eq!(desk.narrator.feed(look("w")).await.expect("readable").summary_ref, None);
    tell(&desk, 1).await;
    let path = files(&desk).pop().expect("a summary was written");
    expect![[r#"
        # w

        As of 2026-01-01T00:00:00.000Z, the newest first.

        - 2026-01-01T00:00:00.000Z **narrator** echo: 0 # x
        - 2026-01-01T00:00:00.000Z **user** 0 # x
        - 2026-01-01T00:00:00.000Z **narrator** echo: 0 # x
        - 2026-01-01T00:00:00.000Z **user** 0 # x
    "#]]
    .assert_eq(&fs::read_to_string(&path).expect("it can be read"));

    let logged = desk.logged("c").await;
    assert_eq!(logged.len(), 3);
    let summary = logged[2].strip_prefix("summary ").expect("the summary is said too");
    let summary: Value = serde_json::from_str(summary).expect("fields are JSON");
    let name = path.file_name().and_then(|name| name.to_str());
    assert_eq!(summary["ref"].as_str(), name);
    assert!(summary["text"].as_str().is_some_and(|text| text.starts_with("# w\n")));
    let feed = desk.narrator.feed(look("w")).await.expect("readable");
    assert_eq!(feed.summary_ref.as_deref(), name);

    tell(&desk, 3).await;
    let kinds: Vec<_> = desk
        .logged("c")
        .await
        .into_iter()
        .map(|event| event.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        kinds.join(" "),
        "narration narration summary narration narration summary narration"
    );
    assert_eq!(files(&desk).len(), 1, "no temporary file is left");
}

#[tokio::test]
async fn it_holds_the_newest_only() {
    let desk = Desk::with(FakeRelay::new([]), |settings| settings.summary_refresh = 1);
    desk.register();
    tell(&desk, 40).await;
    let text = fs::read_to_string(files(&desk).pop().expect("a summary was written")).expect("it can be read");
    assert_eq!(text.lines().filter(|line| line.starts_with("- ")).count(), 50);
    assert!(
        text.contains("**narrator** echo: 39") && !text.contains("echo: 14 "),
        "{text}"
    );
}

#[tokio::test]
async fn a_narration_stays_said_when_the_summary_fails() {
    let desk = Desk::with(FakeRelay::new([]), |settings| settings.summary_refresh = 1);
    desk.register();
    let folder = desk.summary_dir().join("summaries");
    fs::remove_dir(&folder).expect("it is empty");
    tell(&desk, 1).await;
    assert_eq!(desk.logged("c").await.len(), 1);
}
