//! The socket layer without a chat behind it: whatever a peer says comes back, binary frames too.
//!
//! It is what judges of the WebSocket protocol talk to. The guard, the outbound queue and the handshake of close frames are those of
//! `/ws/chat`; there is no key, no hello and no ping, so it is for tests only and listens on 127.0.0.1.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_ws::AggregatedMessage;
use frame_guard::Bounds;
use protocol::Limits;

use super::ending::End;
use super::guard::{self, Incoming, Opened};
use super::outbound::{Frame, Outbound, queue};

/// An echo that is bound to its address and not served yet.
pub struct Echo {
    addr: SocketAddr,
    server: Server,
}

impl Echo {
    /// Binds a port of 127.0.0.1 (0: a free one), for messages of at most so many bytes.
    ///
    /// # Errors
    /// The port can't be had.
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

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves, until the process is told to stop.
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
    let Opened {
        response,
        session,
        incoming,
    } = guard::open(&request, body, bounds).await?;
    let (outbound, queue) = queue(&limits);
    let stall = Duration::from_millis(limits.write_stall_ms);
    actix_web::rt::spawn(queue.write_to(session, stall));
    actix_web::rt::spawn(echo(outbound, incoming));
    Ok(response)
}

async fn echo(outbound: Outbound, mut incoming: Incoming) {
    let end = loop {
        let frame = match incoming.recv().await {
            Ok(AggregatedMessage::Text(text)) => Frame::Text(text.into()),
            Ok(AggregatedMessage::Binary(bytes)) => Frame::Binary(bytes),
            Ok(AggregatedMessage::Ping(bytes)) => Frame::Pong(bytes),
            Ok(AggregatedMessage::Pong(_)) => continue,
            Ok(AggregatedMessage::Close(reason)) => break End::closed(reason),
            Err(ended) => break End::from(ended),
        };
        if outbound.send(frame).await.is_err() {
            break End::Lost;
        }
    };
    end.say(&outbound, &mut incoming).await;
}
