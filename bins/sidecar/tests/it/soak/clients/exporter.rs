//! Exports conversations, imports the copies, compares, and deletes.

use super::super::harness::SoakHarness;
use super::super::observations::Deletion;
use super::super::random::Random;

/// Copies conversations of the chat clients.
pub async fn run(harness: SoakHarness, mut random: Random, steps: u64) {
    for step in 0..steps {
        let conversations = harness.observations.conversations();
        let talks: Vec<_> = conversations.iter().filter(|id| id.starts_with("talk")).collect();
        if talks.is_empty() {
            // No chat client has received anything yet.
            tokio::task::yield_now().await;
            continue;
        }
        let from = talks[random.below(talks.len() as u64) as usize];
        let Some(exported) = harness.http("GET", &format!("/conversations/{from}/export"), "").await else {
            return;
        };
        harness.report.did("exports asked for");
        if exported.status != 200 {
            continue;
        }
        let copy = format!("copy-{}-{step}", harness.round);
        if import(&harness, &copy, &exported.body).await.is_none() {
            return;
        }
        if random.once_in(2) && delete(&harness, &copy).await.is_none() {
            return;
        }
    }
}

/// Imports lines under another id; returns `None` if the sidecar is gone.
async fn import(harness: &SoakHarness, copy: &str, lines: &str) -> Option<()> {
    harness.report.did("imports sent");
    // Checked whatever the response is: either all of it is stored, or nothing.
    let body = lines.split_once('\n').map_or("", |(_, body)| body).to_owned();
    harness
        .observations
        .change(copy, |observed| observed.imported = Some(body.clone()));
    let imported = harness
        .http("POST", &format!("/conversations/import?as={copy}"), lines)
        .await?;
    let is_answered = matches!(imported.status, 201 | 500 | 503);
    harness
        .report
        .check("an import is accepted or refused with a code", is_answered, || {
            imported.body.clone()
        });
    if imported.status == 201 {
        let again = harness
            .http("GET", &format!("/conversations/{copy}/export"), "")
            .await?;
        let is_same = again.body.split_once('\n').is_some_and(|(_, lines)| lines == body);
        harness
            .report
            .check("an export returns what was imported", is_same, || copy.to_owned());
    }
    Some(())
}

async fn delete(harness: &SoakHarness, copy: &str) -> Option<()> {
    harness.report.did("conversations deleted");
    harness
        .observations
        .change(copy, |observed| observed.deletion = Deletion::Unconfirmed);
    let deleted = harness.http("DELETE", &format!("/conversations/{copy}"), "").await?;
    harness.observations.change(copy, |observed| {
        observed.deletion = if deleted.status == 204 {
            Deletion::Confirmed
        } else {
            Deletion::No
        };
    });
    Some(())
}
