//! Measures sockets that stream at the same time, on the sidecar and on a bare loop in turn: what the whole path from
//! engine to client costs.

use std::time::{Duration, Instant};

use tokio::task::spawn_local;
use tokio::time::sleep_until;

use crate::StreamArguments;
use crate::child::Server;
use crate::error::{LoadError, Result};
use crate::percentiles::{Latencies, Percentiles, median};
use crate::reader::Reader;
use crate::scripted::AGENT;

/// What was measured of one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Throughput {
    pub(crate) tokens_per_second: f64,
    pub(crate) frames_per_second: f64,
    pub(crate) latency: Percentiles,
    lost: u64,
    sent: u64,
}

/// Measures both servers, and prints a table.
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

async fn round(server: &Server, arguments: StreamArguments) -> Result<Throughput> {
    let before = server.processor_time()?;
    let throughput = stream(server, arguments).await?;
    let micros = (server.processor_time()? - before).as_secs_f64() * 1e6 / throughput.sent as f64;
    let latency = throughput.latency;
    println!(
        "{:<9} {:>10.0} {:>10.0} {micros:>9.1} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9}",
        server.name,
        throughput.tokens_per_second,
        throughput.frames_per_second,
        latency.p50_ms,
        latency.p90_ms,
        latency.p99_ms,
        latency.max_ms,
        throughput.lost,
    );
    if throughput.lost > 0 {
        return Err(LoadError::Lost {
            lost: throughput.lost,
            sent: throughput.sent,
        });
    }
    Ok(throughput)
}

/// Opens sockets one after the other.
pub(crate) async fn open(server: &Server, sockets: usize) -> Result<Vec<Reader>> {
    let mut readers = Vec::with_capacity(sockets);
    for _ in 0..sockets {
        readers.push(Reader::open(&server.authority).await?);
    }
    Ok(readers)
}

/// Runs the turns of all sockets concurrently.
async fn stream(server: &Server, arguments: StreamArguments) -> Result<Throughput> {
    let StreamArguments {
        sockets, turns, pace, ..
    } = arguments;
    let spread = spread(arguments)?;
    let begin = Instant::now();
    let sent = sockets as u64 * u64::from(turns) * u64::from(pace.tokens);
    let interval = spread / u32::try_from(sockets).unwrap_or(u32::MAX).max(1);
    let mut running = Vec::with_capacity(sockets);
    for (_, number) in (0..sockets).zip(0..) {
        sleep_until((begin + interval * number).into()).await;
        // Opened only when its first frame is due: the sidecar closes sockets that send none for too long.
        running.push(spawn_local(converse(Reader::open(&server.authority).await?, turns)));
    }
    let (mut latencies, mut tokens, mut frames, mut gaps) = (Latencies::default(), 0, 0, 0);
    for conversation in running {
        let totals = conversation.await.map_err(|error| LoadError::Ended {
            reason: error.to_string(),
        })??;
        frames += totals.frames;
        gaps += totals.gaps;
        tokens += totals.tokens;
        latencies.extend(totals.latencies);
    }
    let seconds = begin.elapsed().max(Duration::from_nanos(1)).as_secs_f64();
    Ok(Throughput {
        tokens_per_second: tokens as f64 / seconds,
        frames_per_second: frames as f64 / seconds,
        latency: latencies.percentiles(),
        lost: gaps + sent.abs_diff(tokens),
        sent,
    })
}

/// Returns the time over which the first questions are spread. Independent conversations neither tick nor start
/// together: by default it is as long as an answer takes, so that at any time as many end as start.
fn spread(StreamArguments { spread, pace, .. }: StreamArguments) -> Result<Duration> {
    let answer_duration = match pace.rate {
        0 => Duration::from_secs(1),
        rate => Duration::from_secs(pace.tokens.into()) / rate,
    };
    spread.map_or(Ok(answer_duration), |seconds| {
        Duration::try_from_secs_f64(seconds).map_err(|_| LoadError::Spread { seconds })
    })
}

/// Totals of all turns of one socket.
#[derive(Default)]
struct SocketTotals {
    latencies: Latencies,
    tokens: u64,
    frames: u64,
    gaps: u64,
}

async fn converse(mut reader: Reader, turns: u32) -> Result<SocketTotals> {
    let mut totals = SocketTotals::default();
    // In the first turn others have not started, in the last they have ended.
    let measured = if turns < 3 { 0..turns } else { 1..turns - 1 };
    for number in 0..turns {
        let question = format!(r#"{{"agentId":"{AGENT}","message":"What time is it?"}}"#);
        reader.send(question).await?;
        let mut latencies = Latencies::default();
        let turn = reader.turn(|token| latencies.add_stamps(token)).await?;
        totals.tokens += latencies.count();
        if measured.contains(&number) {
            totals.latencies.extend(latencies);
        }
        totals.frames += turn.frames;
        totals.gaps += turn.gaps;
    }
    Ok(totals)
}
