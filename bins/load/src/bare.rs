//! The baseline of the measurements: a server of actix-ws and nothing else.
//!
//! It answers a text frame with the frames of one turn, as the sidecar would send them: no store, no queue, no guard.
//! It echoes the frame `echo`, which makes it the baseline of idle sockets, too.

use std::net::Ipv4Addr;
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_ws::{Message, Session};
use sidecar::settings::HttpLimits;
use tokio::time::{MissedTickBehavior, interval};

use crate::error::{LoadError, Result};
use crate::{Pace, child, clock};

/// The text that is echoed.
pub(crate) const ECHO: &str = "echo";

/// Serves until the parent closes the standard input.
pub(crate) fn serve(pace: Pace) -> Result<()> {
    let failed = |source| LoadError::ServeBare { source };
    let serving = async {
        let routes = move || {
            App::new()
                .app_data(web::Data::new(pace))
                .route("/ws/chat", web::get().to(upgrade))
                .route("/healthz", web::get().to(HttpResponse::Ok))
        };
        // As many workers and connections as the sidecar has, and packets sent as promptly.
        let connections = HttpLimits::default().connections;
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let server = HttpServer::new(routes)
            .workers(workers)
            .max_connections(connections.div_ceil(workers))
            .tcp_nodelay(true)
            .bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(failed)?;
        for address in server.addrs() {
            child::announce_address(&address.to_string());
        }
        tokio::select! {
            ended = server.run() => ended.map_err(failed),
            () = child::parent_closed() => Ok(()),
        }
    };
    actix_web::rt::System::new().block_on(serving)
}

async fn upgrade(
    request: HttpRequest,
    body: web::Payload,
    pace: web::Data<Pace>,
) -> std::result::Result<HttpResponse, actix_web::Error> {
    let (response, mut session, mut messages) = actix_ws::handle(&request, body)?;
    actix_web::rt::spawn(async move {
        let mut seq = 0;
        while let Some(Ok(message)) = messages.recv().await {
            let sent = match message {
                Message::Text(text) if text == ECHO => session.text(text).await,
                Message::Text(_) => answer(&mut session, &mut seq, **pace).await,
                Message::Ping(bytes) => session.pong(&bytes).await,
                Message::Close(_) => break,
                _ => Ok(()),
            };
            if sent.is_err() {
                break;
            }
        }
    });
    Ok(response)
}

/// Sends the frames of one turn; `seq` is the last number that was sent.
async fn answer(session: &mut Session, seq: &mut u64, pace: Pace) -> std::result::Result<(), actix_ws::Closed> {
    let mut ticks = (pace.rate > 0).then(|| {
        let mut ticks = interval(Duration::from_secs(1) / pace.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    });
    for _ in 0..pace.tokens {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        *seq += 1;
        let frame = format!(
            concat!(
                r#"{{"type":"token","seq":{},"conversationId":"01912d68-783e-7a03-8467-5661c1243ad4","#,
                r#""turnId":"01912d68-783e-7a03-8467-5661c1243ad4","at":"2026-01-01T00:00:00.000Z","token":"{} "}}"#
            ),
            seq,
            clock::stamp()
        );
        session.text(frame).await?;
    }
    *seq += 1;
    session.text(format!(r#"{{"type":"done","seq":{seq}}}"#)).await
}
