//! The rolling summary: when it is written, its content, and its publication.

use std::fs;

use expect_test::expect;
use serde_json::Value;

use super::{Setup, look, user_message};
use crate::{FakeRelay, WaitFor};

async fn send_messages(setup: &Setup, times: usize) {
    for number in 0..times {
        let answered = setup
            .narrator
            .send(user_message(&format!("{number}\n# x")), WaitFor::Answer)
            .await;
        answered.expect("it is answered");
    }
}

/// Returns the summary files.
fn files(setup: &Setup) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(setup.summary_dir().join("summaries")).expect("the folder is there");
    entries.map(|entry| entry.expect("it can be listed").path()).collect()
}

#[tokio::test]
async fn it_is_written_after_a_number_of_narrations() {
    let setup = Setup::with(FakeRelay::new([]), |settings| settings.summary_refresh = 2);
    setup.register();
    send_messages(&setup, 1).await;
    assert_eq!(files(&setup).len(), 0);
    assert_eq!(
        setup.narrator.feed(look("w")).await.expect("readable").summary_ref,
        None
    );
    send_messages(&setup, 1).await;
    let path = files(&setup).pop().expect("a summary was written");
    expect![[r#"
        # w

        As of 2026-01-01T00:00:00.000Z, the newest first.

        - 2026-01-01T00:00:00.000Z **narrator** echo: 0 # x
        - 2026-01-01T00:00:00.000Z **user** 0 # x
        - 2026-01-01T00:00:00.000Z **narrator** echo: 0 # x
        - 2026-01-01T00:00:00.000Z **user** 0 # x
    "#]]
    .assert_eq(&fs::read_to_string(&path).expect("it can be read"));

    let logged = setup.logged("c").await;
    assert_eq!(logged.len(), 3);
    let summary = logged[2]
        .strip_prefix("summary ")
        .expect("the summary is published too");
    let summary: Value = serde_json::from_str(summary).expect("fields are JSON");
    let name = path.file_name().and_then(|name| name.to_str());
    assert_eq!(summary["ref"].as_str(), name);
    assert!(summary["text"].as_str().is_some_and(|text| text.starts_with("# w\n")));
    let feed = setup.narrator.feed(look("w")).await.expect("readable");
    assert_eq!(feed.summary_ref.as_deref(), name);

    send_messages(&setup, 3).await;
    let kinds: Vec<_> = setup
        .logged("c")
        .await
        .into_iter()
        .map(|event| event.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        kinds.join(" "),
        "narration narration summary narration narration summary narration"
    );
    assert_eq!(files(&setup).len(), 1, "no temporary file is left");
}

#[tokio::test]
async fn it_holds_only_the_newest_events() {
    let setup = Setup::with(FakeRelay::new([]), |settings| settings.summary_refresh = 1);
    setup.register();
    send_messages(&setup, 40).await;
    let text = fs::read_to_string(files(&setup).pop().expect("a summary was written")).expect("it can be read");
    assert_eq!(text.lines().filter(|line| line.starts_with("- ")).count(), 50);
    assert!(
        text.contains("**narrator** echo: 39") && !text.contains("echo: 14 "),
        "{text}"
    );
}

#[tokio::test]
async fn a_narration_stays_published_if_the_summary_fails() {
    let setup = Setup::with(FakeRelay::new([]), |settings| settings.summary_refresh = 1);
    setup.register();
    let folder = setup.summary_dir().join("summaries");
    fs::remove_dir(&folder).expect("it is empty");
    send_messages(&setup, 1).await;
    assert_eq!(setup.logged("c").await.len(), 1);
}
