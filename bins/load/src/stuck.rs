//! Measures what readers that ask for a long answer and never read do to the others, against as many that read.

use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

use crate::child::Server;
use crate::error::{LoadError, Result};
use crate::percentiles::{Latencies, Percentiles, median};
use crate::reader::Reader;
use crate::scripted::AGENT;
use crate::stream::open;
use crate::{Pace, StuckArguments};

/// Sockets that are stuck: one could stall by chance, eight fill every buffer between engine and client.
const STUCK_SOCKETS: usize = 8;

/// Tokens of an answer: the most that may be requested, so that a stuck reader's answer exceeds its buffers.
const TOKENS: u32 = 8_192;

/// Measures beside readers that read and beside stuck ones in turn, each on a server of its own, since answers go on
/// after their readers are gone.
pub(crate) async fn measure(arguments: StuckArguments) -> Result<()> {
    let StuckArguments {
        sockets,
        seconds,
        rounds,
        rate,
    } = arguments;
    println!("{sockets} sockets at {rate} tokens a second for {seconds} s; latency from engine to client in ms");
    println!("beside              p50       p99       max");
    let pace = Pace { rate, tokens: TOKENS };
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let server = Server::scripted(pace)?;
        let reading: Vec<_> = stuck(&server).await?.into_iter().map(read_on).collect();
        let alone = others(&server, arguments).await?;
        print_row(&format!("{STUCK_SOCKETS} that read"), alone);
        reading.iter().for_each(JoinHandle::abort);
        let server = Server::scripted(pace)?;
        let stuck = stuck(&server).await?;
        let beside = others(&server, arguments).await?;
        print_row(&format!("{STUCK_SOCKETS} stuck"), beside);
        drop(stuck);
        ratios.push(beside.p99_ms / alone.p99_ms);
    }
    println!(
        "p99 beside {STUCK_SOCKETS} stuck readers against p99 beside as many that read: {:.3} (median of {rounds})",
        median(ratios)
    );
    Ok(())
}

/// Reads one answer to its end.
fn read_on(mut reader: Reader) -> JoinHandle<()> {
    spawn_local(async move {
        // What it reads is not measured, and it fails once the server is ended.
        let _ = reader.turn(|_| Ok(())).await;
    })
}

fn print_row(beside: &str, latency: Percentiles) {
    println!(
        "{beside:<13} {:>9.2} {:>9.2} {:>9.2}",
        latency.p50_ms, latency.p99_ms, latency.max_ms
    );
}

/// Opens sockets that ask and then read nothing.
async fn stuck(server: &Server) -> Result<Vec<Reader>> {
    let mut readers = open(server, STUCK_SOCKETS).await?;
    for reader in &mut readers {
        reader.send(question()).await?;
    }
    Ok(readers)
}

/// Measures the latency of the other sockets for a while; they are closed before their answers end.
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
                reader.send(question()).await?;
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
