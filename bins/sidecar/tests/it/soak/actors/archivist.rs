//! Exports conversations, imports them beside themselves, compares, and deletes.

use super::super::ledger::Gone;
use super::super::random::Random;
use super::super::stage::Stage;

/// Copies conversations of the talkers.
pub async fn play(stage: Stage, mut random: Random, steps: u64) {
    for step in 0..steps {
        let conversations = stage.ledger.conversations();
        let talks: Vec<_> = conversations.iter().filter(|id| id.starts_with("talk")).collect();
        if talks.is_empty() {
            // Nobody has said anything yet.
            tokio::task::yield_now().await;
            continue;
        }
        let from = talks[random.below(talks.len() as u64) as usize];
        let Some(exported) = stage.http("GET", &format!("/conversations/{from}/export"), "").await else {
            return;
        };
        stage.report.did("exports asked for");
        if exported.status != 200 {
            continue;
        }
        let copy = format!("copy-{}-{step}", stage.round);
        if import(&stage, &copy, &exported.body).await.is_none() {
            return;
        }
        if random.once_in(2) && delete(&stage, &copy).await.is_none() {
            return;
        }
    }
}

/// Imports lines under another id; `None` when the sidecar is gone.
async fn import(stage: &Stage, copy: &str, lines: &str) -> Option<()> {
    stage.report.did("imports sent");
    // Whatever comes of it, it is looked at: all of it is there, or nothing.
    let body = lines.split_once('\n').map_or("", |(_, body)| body).to_owned();
    stage.ledger.change(copy, |told| told.imported = Some(body.clone()));
    let imported = stage
        .http("POST", &format!("/conversations/import?as={copy}"), lines)
        .await?;
    let is_answered = matches!(imported.status, 201 | 500 | 503);
    stage
        .report
        .check("an import is taken or refused by name", is_answered, || {
            imported.body.clone()
        });
    if imported.status == 201 {
        let again = stage.http("GET", &format!("/conversations/{copy}/export"), "").await?;
        let is_same = again.body.split_once('\n').is_some_and(|(_, lines)| lines == body);
        stage
            .report
            .check("an import comes out again as it went in", is_same, || copy.to_owned());
    }
    Some(())
}

async fn delete(stage: &Stage, copy: &str) -> Option<()> {
    stage.report.did("conversations deleted");
    stage.ledger.change(copy, |told| told.gone = Gone::Perhaps);
    let deleted = stage.http("DELETE", &format!("/conversations/{copy}"), "").await?;
    stage.ledger.change(copy, |told| {
        told.gone = if deleted.status == 204 { Gone::Yes } else { Gone::No };
    });
    Some(())
}
