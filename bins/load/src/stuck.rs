//! A reader that asks for a long answer and never reads: what it does to the others.

use std::time::{Duration, Instant};

use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::child::Server;
use crate::error::{LoadError, Result};
use crate::percentiles::{Latencies, Percentiles, median};
use crate::reader::Reader;
use crate::scripted::AGENT;
use crate::stream::open;
use crate::{Pace, StuckArguments};

/// The stuck reader's sockets: one that stalls may be luck, eight fill every buffer on the way.
const STUCK_SOCKETS: usize = 8;

/// Tokens of an answer: the longest that may be asked for, so that a stuck reader's answer outlasts its buffers.
const TOKENS: u32 = 8_192;

/// Measures without and with the stuck readers in turn, on one server.
pub(crate) async fn measure(arguments: StuckArguments) -> Result<()> {
    let StuckArguments {
        sockets,
        seconds,
        rounds,
        rate,
    } = arguments;
    println!("{sockets} sockets at {rate} tokens a second for {seconds} s; latency from engine to client in ms");
    println!("stuck readers       p50       p99       max");
    let server = Server::scripted(Pace { rate, tokens: TOKENS })?;
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let alone = others(&server, arguments).await?;
        say(0, alone);
        let stuck = stuck(&server).await?;
        let beside = others(&server, arguments).await?;
        say(stuck.len(), beside);
        ratios.push(beside.p99_ms / alone.p99_ms);
    }
    println!(
        "p99 beside {STUCK_SOCKETS} stuck readers against p99 without: {:.3} (median of {rounds})",
        median(ratios)
    );
    Ok(())
}

fn say(stuck: usize, latency: Percentiles) {
    println!(
        "{stuck:<13} {:>9.2} {:>9.2} {:>9.2}",
        latency.p50_ms, latency.p99_ms, latency.max_ms
    );
}

/// Sockets that have asked, and whose frames nobody reads.
async fn stuck(server: &Server) -> Result<Vec<Reader>> {
    let mut readers = open(server, STUCK_SOCKETS).await?;
    for reader in &mut readers {
        reader.say(question()).await?;
    }
    Ok(readers)
}

/// What the others see for a while; their sockets are closed in mid-answer.
async fn others(server: &Server, arguments: StuckArguments) -> Result<Percentiles> {
    let until = Instant::now() + Duration::from_secs(arguments.seconds.into());
    let sockets = arguments.sockets;
    let readers = open(server, sockets).await?;
    let running: Vec<_> = readers
        .into_iter()
        .zip(0..)
        .map(|(mut reader, number)| {
            spawn_local(async move {
                // As in `stream`, they don't tick together.
                sleep(Duration::from_secs(1) * number / u32::try_from(sockets).unwrap_or(u32::MAX)).await;
                reader.say(question()).await?;
                reader.stamps_until(until).await
            })
        })
        .collect();
    let mut latencies = Latencies::default();
    for reading in running {
        let read = reading.await.map_err(|error| LoadError::Ended {
            reason: error.to_string(),
        });
        latencies.extend(read??);
    }
    Ok(latencies.percentiles())
}

fn question() -> String {
    format!(r#"{{"agentId":"{AGENT}","message":"What time is it?"}}"#)
}
