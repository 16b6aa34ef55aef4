//! Sockets that stream at once, on the sidecar and on a bare loop in turn: what the whole way from engine to client costs.

use std::time::{Duration, Instant};

use tokio::task::spawn_local;
use tokio::time::sleep_until;

use crate::StreamArguments;
use crate::child::Server;
use crate::error::{LoadError, Result};
use crate::percentiles::{Latencies, Percentiles, median};
use crate::reader::Reader;
use crate::scripted::AGENT;

/// What one server did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Streamed {
    pub(crate) tokens_per_second: f64,
    pub(crate) frames_per_second: f64,
    pub(crate) latency: Percentiles,
    lost: u64,
    sent: u64,
}

/// Measures, and prints a table.
pub(crate) async fn measure(arguments: StreamArguments) -> Result<()> {
    let StreamArguments {
        sockets,
        turns,
        rounds,
        pace,
        ..
    } = arguments;
    println!(
        "{sockets} sockets, {turns} turns of {} tokens on each, {}; latency from engine to client in ms",
        pace.tokens,
        if pace.rate == 0 {
            "as fast as they are taken".to_owned()
        } else {
            format!("{} tokens a second in each", pace.rate)
        }
    );
    println!("server      tokens/s   frames/s  µs/token       p50       p90       p99       max      lost");
    let (mut ratios, mut p99s) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let bare = round(&Server::bare(pace)?, arguments).await?;
        let ours = round(&Server::scripted(pace)?, arguments).await?;
        ratios.push(ours.tokens_per_second / bare.tokens_per_second);
        p99s.push(ours.latency.p99_ms);
    }
    println!(
        "tokens a second against the bare loop: {:.2}; p99 {:.2} ms (medians of {rounds})",
        median(ratios),
        median(p99s)
    );
    Ok(())
}

async fn round(server: &Server, arguments: StreamArguments) -> Result<Streamed> {
    let before = server.processor_time()?;
    let streamed = stream(server, arguments).await?;
    let micros = (server.processor_time()? - before).as_secs_f64() * 1e6 / streamed.sent as f64;
    let latency = streamed.latency;
    println!(
        "{:<9} {:>10.0} {:>10.0} {micros:>9.1} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9}",
        server.name,
        streamed.tokens_per_second,
        streamed.frames_per_second,
        latency.p50_ms,
        latency.p90_ms,
        latency.p99_ms,
        latency.max_ms,
        streamed.lost,
    );
    if streamed.lost > 0 {
        return Err(LoadError::Lost {
            lost: streamed.lost,
            sent: streamed.sent,
        });
    }
    Ok(streamed)
}

/// Opens sockets one after the other.
pub(crate) async fn open(server: &Server, sockets: usize) -> Result<Vec<Reader>> {
    let mut readers = Vec::with_capacity(sockets);
    for _ in 0..sockets {
        readers.push(Reader::open(&server.authority).await?);
    }
    Ok(readers)
}

/// Runs the turns of all sockets at once.
async fn stream(server: &Server, arguments: StreamArguments) -> Result<Streamed> {
    let StreamArguments {
        sockets, turns, pace, ..
    } = arguments;
    let spread = spread(arguments)?;
    let begin = Instant::now();
    let sent = sockets as u64 * u64::from(turns) * u64::from(pace.tokens);
    let apart = spread / u32::try_from(sockets).unwrap_or(u32::MAX).max(1);
    let mut running = Vec::with_capacity(sockets);
    for (_, number) in (0..sockets).zip(0..) {
        sleep_until((begin + apart * number).into()).await;
        // Opened when it has something to say: the sidecar closes those that say nothing at first.
        running.push(spawn_local(converse(Reader::open(&server.authority).await?, turns)));
    }
    let (mut latencies, mut tokens, mut frames, mut gaps) = (Latencies::default(), 0, 0, 0);
    for conversation in running {
        let conversation = conversation.await.map_err(|error| LoadError::Ended {
            reason: error.to_string(),
        })??;
        frames += conversation.frames;
        gaps += conversation.gaps;
        tokens += conversation.tokens;
        latencies.extend(conversation.latencies);
    }
    let seconds = begin.elapsed().max(Duration::from_nanos(1)).as_secs_f64();
    Ok(Streamed {
        tokens_per_second: tokens as f64 / seconds,
        frames_per_second: frames as f64 / seconds,
        latency: latencies.percentiles(),
        lost: gaps + sent.abs_diff(tokens),
        sent,
    })
}

/// Over how long the first questions are spread. Independent conversations neither tick together nor begin together: as long as an
/// answer takes, so that at any time as many end as begin.
fn spread(StreamArguments { spread, pace, .. }: StreamArguments) -> Result<Duration> {
    let an_answer = match pace.rate {
        0 => Duration::from_secs(1),
        rate => Duration::from_secs(pace.tokens.into()) / rate,
    };
    spread.map_or(Ok(an_answer), |seconds| {
        Duration::try_from_secs_f64(seconds).map_err(|_| LoadError::HistogramSnapshot { seconds })
    })
}

/// What one socket saw of all its turns.
#[derive(Default)]
struct Conversation {
    latencies: Latencies,
    tokens: u64,
    frames: u64,
    gaps: u64,
}

async fn converse(mut reader: Reader, turns: u32) -> Result<Conversation> {
    let mut seen = Conversation::default();
    // In the first turn others have not begun, in the last they have ended.
    let measured = if turns < 3 { 0..turns } else { 1..turns - 1 };
    for number in 0..turns {
        let question = format!(r#"{{"agentId":"{AGENT}","message":"What time is it?"}}"#);
        reader.say(question).await?;
        let mut latencies = Latencies::default();
        let turn = reader.turn(|token| latencies.add_stamps(token)).await?;
        seen.tokens += latencies.count();
        if measured.contains(&number) {
            seen.latencies.extend(latencies);
        }
        seen.frames += turn.frames;
        seen.gaps += turn.gaps;
    }
    Ok(seen)
}
