//! Measures a sidecar with a real model: how long its clients wait. Only the arrival of a token is known here, not when
//! it was generated.

use std::time::Instant;

use tokio::task::spawn_local;

use crate::RealArguments;
use crate::error::{LoadError, Result};
use crate::percentiles::{Latencies, Percentiles};
use crate::reader::Reader;

/// What one socket measured.
#[derive(Default)]
struct Waits {
    first: Latencies,
    between: Latencies,
    frames: u64,
    gaps: u64,
}

/// Runs the turns of all sockets, and prints a table.
pub(crate) async fn measure(arguments: &RealArguments) -> Result<()> {
    let RealArguments {
        authority,
        agent,
        sockets,
        turns,
        tokens,
    } = arguments;
    println!("{sockets} sockets at {authority}, {turns} turns of up to {tokens} tokens on each; in ms");
    let begin = Instant::now();
    let mut running = Vec::new();
    for _ in 0..*sockets {
        let reader = Reader::open(authority).await?;
        let question = serde_json::json!({
            "agentId": agent, "message": "Tell me a story about a lighthouse.", "options": { "maxNewTokens": tokens },
        });
        running.push(spawn_local(converse(reader, question.to_string(), *turns)));
    }
    let mut all = Waits::default();
    for conversation in running {
        let waits = conversation.await.map_err(|error| LoadError::Ended {
            reason: error.to_string(),
        })??;
        all.first.extend(waits.first);
        all.between.extend(waits.between);
        all.frames += waits.frames;
        all.gaps += waits.gaps;
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("                    count       p50       p90       p99       max");
    print_row("first token", all.first.percentiles());
    print_row("between two", all.between.percentiles());
    println!(
        "{:.1} token frames a second in all, {} lost",
        all.frames as f64 / seconds,
        all.gaps
    );
    if all.gaps > 0 {
        return Err(LoadError::Lost {
            lost: all.gaps,
            sent: all.frames,
        });
    }
    Ok(())
}

fn print_row(what: &str, latency: Percentiles) {
    println!(
        "{what:<15} {:>9} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
        latency.count, latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.max_ms
    );
}

async fn converse(mut reader: Reader, question: String, turns: u32) -> Result<Waits> {
    let mut waits = Waits::default();
    for _ in 0..turns {
        let mut last = Instant::now();
        reader.send(question.clone()).await?;
        let (first, between) = (&mut waits.first, &mut waits.between);
        let mut is_first = true;
        let turn = reader
            .turn(|_token| {
                let waited = last.elapsed();
                last = Instant::now();
                if std::mem::take(&mut is_first) {
                    first.add(waited);
                } else {
                    between.add(waited);
                }
                Ok(())
            })
            .await?;
        waits.frames += turn.frames;
        waits.gaps += turn.gaps;
    }
    Ok(waits)
}
