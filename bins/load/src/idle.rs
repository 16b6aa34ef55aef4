//! Measures idle sockets: what each costs in memory, against a bare actix-ws echo, and how soon a request is answered
//! beside them.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::child::Server;
use crate::error::{LoadError, Result};
use crate::percentiles::{Latencies, Percentiles};
use crate::reader::Reader;
use crate::scripted::AGENT;
use crate::{IdleArguments, Pace, bare};

/// Sockets that are opened and closed again before the first measurement, so that what a server allocates once isn't
/// counted.
const WARM_UP_SOCKETS: usize = 100;

/// Required to start a server; no socket streams here.
const PACE: Pace = Pace { rate: 20, tokens: 16 };

/// Measures both servers, and prints a table.
pub(crate) async fn measure(arguments: IdleArguments) -> Result<()> {
    println!("{} idle sockets; /healthz beside them in ms", arguments.sockets);
    println!("server     KiB a socket       p50       p99       max");
    let bare = server(&Server::bare(PACE)?, bare::ECHO, arguments).await?;
    let hello = format!(r#"{{"agentId":"{AGENT}"}}"#);
    let ours = server(&Server::scripted(PACE)?, &hello, arguments).await?;
    println!("memory of a socket against the bare echo: {:.2}", ours / bare);
    Ok(())
}

/// Measures one server; returns the bytes that a socket costs.
async fn server(server: &Server, first_frame: &str, arguments: IdleArguments) -> Result<f64> {
    drop(open_and_greet(server, WARM_UP_SOCKETS, first_frame).await?);
    let before = server.resident_bytes()?;
    let _sockets = open_and_greet(server, arguments.sockets, first_frame).await?;
    let after = server.resident_bytes()?;
    let bytes = after.saturating_sub(before) as f64 / arguments.sockets as f64;
    let health = health(&server.authority, arguments.requests).await?;
    println!(
        "{:<9} {:>13.1} {:>9.2} {:>9.2} {:>9.2}",
        server.name,
        bytes / 1024.0,
        health.p50_ms,
        health.p99_ms,
        health.max_ms,
    );
    Ok(bytes)
}

/// Opens sockets and waits for the answer to the first frame of each.
async fn open_and_greet(server: &Server, sockets: usize, first_frame: &str) -> Result<Vec<Reader>> {
    let mut readers = Vec::with_capacity(sockets);
    for _ in 0..sockets {
        let mut reader = Reader::open(&server.authority).await?;
        reader.send(first_frame).await?;
        reader.recv().await?;
        readers.push(reader);
    }
    Ok(readers)
}

/// Requests /healthz again and again on one connection, and measures how long each answer takes.
async fn health(authority: &str, requests: u32) -> Result<Percentiles> {
    let failed = |source| LoadError::Health {
        authority: authority.to_owned(),
        source,
    };
    let mut stream = TcpStream::connect(authority).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {authority}\r\n\r\n");
    let mut latencies = Latencies::default();
    // An answer is one small packet.
    let mut answer = [0; 4096];
    for _ in 0..requests {
        let asked = Instant::now();
        stream.write_all(request.as_bytes()).await.map_err(failed)?;
        let read = stream.read(&mut answer).await.map_err(failed)?;
        latencies.add(asked.elapsed());
        if !answer[..read].starts_with(b"HTTP/1.1 200") {
            let frame = String::from_utf8_lossy(&answer[..read]).into_owned();
            return Err(LoadError::Frame { frame });
        }
    }
    Ok(latencies.percentiles())
}
