//! The socket layer without a chat behind it: every message comes back, binary ones too.
//!
//! Conformance tests of the WebSocket protocol connect to it. The frame checks, the outbound queue and the close
//! handshake are those of `/ws/chat`; there is no key, no hello and no ping, so it is for tests only and listens on
//! 127.0.0.1.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_ws::AggregatedMessage;
use frame_guard::Bounds;
use protocol::Limits;

use super::close::End;
use super::incoming::{self, Incoming, Upgraded};
use super::outbound::{Outbound, OutboundFrame, outbound_queue};

/// An echo server that is bound to its address and not served yet.
pub struct Echo {
    addr: SocketAddr,
    server: Server,
}

impl Echo {
    /// Binds a port of 127.0.0.1 (0: a free one), for messages of at most `message_bytes`.
    ///
    /// # Errors
    /// The port can't be bound.
    pub fn bind(port: u16, message_bytes: u64) -> io::Result<Self> {
        let limits = web::Data::new(Limits {
            frame_bytes: message_bytes,
            outbound_bytes: message_bytes,
            ..Limits::default()
        });
        let routes = move || {
            App::new()
                .app_data(limits.clone())
                .default_service(web::get().to(upgrade))
        };
        let server = HttpServer::new(routes).bind((Ipv4Addr::LOCALHOST, port))?;
        let addr = server.addrs().first().copied();
        Ok(Self {
            addr: addr.ok_or_else(|| io::Error::other("no address was bound"))?,
            server: server.run(),
        })
    }

    /// Returns the address that it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until the process is asked to stop.
    ///
    /// # Errors
    /// The server failed while it ran.
    pub async fn serve(self) -> io::Result<()> {
        self.server.await
    }
}

async fn upgrade(
    request: HttpRequest,
    body: web::Payload,
    limits: web::Data<Limits>,
) -> Result<HttpResponse, actix_web::Error> {
    let bounds = Bounds {
        message_bytes: limits.frame_bytes,
    };
    let Upgraded {
        response,
        session,
        incoming,
    } = incoming::upgrade(&request, body, bounds).await?;
    let (outbound, queue) = outbound_queue(&limits);
    let stall = Duration::from_millis(limits.write_stall_ms);
    actix_web::rt::spawn(queue.write_to(session, stall));
    actix_web::rt::spawn(echo(outbound, incoming));
    Ok(response)
}

async fn echo(outbound: Outbound, mut incoming: Incoming) {
    let end = loop {
        let frame = match incoming.recv().await {
            Ok(AggregatedMessage::Text(text)) => OutboundFrame::Text(text.into()),
            Ok(AggregatedMessage::Binary(bytes)) => OutboundFrame::Binary(bytes),
            Ok(AggregatedMessage::Ping(bytes)) => OutboundFrame::Pong(bytes),
            Ok(AggregatedMessage::Pong(_)) => continue,
            Ok(AggregatedMessage::Close(reason)) => break End::closed(reason),
            Err(ended) => break End::from(ended),
        };
        if outbound.send(frame).await.is_err() {
            break End::Lost;
        }
    };
    end.close(&outbound, &mut incoming).await;
}
