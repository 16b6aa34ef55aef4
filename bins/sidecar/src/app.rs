//! The running sidecar: settings and engines in, a serving server out.
//!
//! Nothing here is about a model: tests pass a scripted engine, the binary the engines of its settings.

mod data_lock;
mod listen;
mod write_timeout;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App as WebApp, HttpServer, web};
use agent_store::AgentStore;
use chat::{Chat, ChatSettings};
use conversation_store::ConversationStore;
use relay::{FakeRelay, HttpRelay, Leases, Narrator, NarratorStores, Relay};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::data_lock::DataLock;
use crate::access::{Access, RateLimiter};
use crate::chat_relay::ChatRelay;
use crate::connections::Sockets;
use crate::error::StartError;
use crate::error_chain::ErrorChain;
use crate::http_guard;
use crate::models::Engines;
use crate::phase::Phase;
use crate::request_id;
use crate::rest;
use crate::server_metrics::ServerMetrics;
use crate::settings::{RelayChoice, Settings};
use crate::state::AppState;

/// Seconds for requests in flight after a stop: only a socket's close handshake takes longer than a moment.
const STOP_SECONDS: u64 = 6;

/// How long running turns may go on after [`Running::stop`]: not at all, so that it is quick. Their logs say
/// `interrupted`.
const STOP_GRACE: Duration = Duration::ZERO;

/// `RATE_PER_MINUTE` beyond loopback, where strangers may connect: ten a second, for all programs of one machine
/// together. On loopback all programs share an address, and any of them could stop the process anyway.
const RATE_PER_MINUTE: u32 = 600;

/// The agent for which the sidecar itself holds the controller's lease, as long as its own agents answer for narrators.
const BUILT_IN_CONTROLLER: &str = "controller";

/// Starts sidecars.
#[derive(Debug)]
pub struct App;

/// A serving sidecar, until it is stopped.
pub struct Running {
    /// The addresses that it listens on.
    pub addrs: Vec<SocketAddr>,
    host: String,
    sockets: Arc<Sockets>,
    chat: Chat,
    phase: watch::Sender<Phase>,
    handle: ServerHandle,
    server: JoinHandle<io::Result<()>>,
    _data: DataLock,
}

impl App {
    /// Opens the stores, ends the turns that a crash cut off, and serves. Must be called inside a multi-threaded
    /// runtime, on which turns then run.
    ///
    /// # Errors
    /// An address or port that can't be bound, a store that can't be opened, an address that would expose the sidecar.
    pub async fn start(settings: Settings, engines: impl Into<Engines>) -> Result<Running, StartError> {
        Self::start_with(settings, engines.into(), None).await
    }

    /// Starts as [`App::start`] does, with the caller's relay in place of the configured one.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_with(
        settings: Settings,
        engines: Engines,
        relay: Option<Arc<dyn Relay>>,
    ) -> Result<Running, StartError> {
        let addresses = listen::resolve(&settings.host)?;
        let on_loopback = addresses.iter().all(IpAddr::is_loopback);
        if !on_loopback && settings.api_key.is_none() && !settings.allow_insecure {
            return Err(StartError::Exposed { host: settings.host });
        }
        let data = DataLock::take(&settings.data_dir)?;
        let listeners = listen::bind(&addresses, settings.port)?;
        let host = settings.host.clone();
        let (phase, watched_phase) = watch::channel(Phase::Serving);
        let builder = StateBuilder {
            settings,
            engines,
            relay,
            on_loopback,
            phase: watched_phase,
        };
        let state = builder.build().await?;
        let (sockets, chat) = (Arc::clone(&state.sockets), state.chat.clone());
        let (addrs, server) = build_server(state, listeners)?;
        let handle = server.handle();
        Ok(Running {
            addrs,
            host,
            sockets,
            chat,
            phase,
            handle,
            server: tokio::spawn(server),
            _data: data,
        })
    }
}

impl Running {
    /// Returns the URL that a person on this machine types.
    #[must_use]
    pub fn url(&self) -> String {
        let port = self.addrs.first().map_or(0, SocketAddr::port);
        if self.host.contains(':') && !self.host.starts_with('[') {
            format!("http://[{}]:{port}", self.host)
        } else {
            format!("http://{}:{port}", self.host)
        }
    }

    /// Returns how many sockets are open.
    #[must_use]
    pub fn open_sockets(&self) -> usize {
        self.sockets.open()
    }

    /// Stops: ends running turns in their logs, closes sockets with 1001.
    ///
    /// # Errors
    /// The server failed while it ran.
    pub async fn stop(self) -> Result<(), StartError> {
        self.drain(STOP_GRACE).await
    }

    /// Refuses new turns from now on, and closes sockets that wait for no turn with 1001. Everything else goes on:
    /// running turns and their sockets, and HTTP.
    pub fn refuse_turns(&self) {
        // The chat first: a socket that then looks for its turns finds the final set.
        self.chat.drain();
        self.phase.send_if_modified(|phase| {
            let is_first = *phase == Phase::Serving;
            *phase = (*phase).max(Phase::Draining);
            is_first
        });
    }

    /// Refuses new turns as [`Running::refuse_turns`] does, gives running ones `grace` to end, and then stops: turns
    /// that are left end as `interrupted` in their logs, and their sockets are closed with 1001.
    ///
    /// # Errors
    /// The server failed while it ran.
    pub async fn drain(self, grace: Duration) -> Result<(), StartError> {
        self.refuse_turns();
        self.chat.shutdown(grace).await;
        self.handle.pause().await;
        // Only now: a socket that is about to close first sends how its turn ended.
        self.phase.send_replace(Phase::Stopping);
        self.handle.stop(true).await;
        let ended = self.server.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        ended.map_err(|source| StartError::Serve { source })
    }
}

/// The parts from which the shared state of all requests is built.
struct StateBuilder {
    settings: Settings,
    engines: Engines,
    /// Replaces the configured relay.
    relay: Option<Arc<dyn Relay>>,
    on_loopback: bool,
    phase: watch::Receiver<Phase>,
}

impl StateBuilder {
    async fn build(self) -> Result<AppState, StartError> {
        let Self {
            settings,
            engines,
            relay,
            on_loopback,
            phase,
        } = self;
        let agents = AgentStore::open(&settings.agents_dir)?;
        for problem in agents.problems() {
            tracing::warn!(file = problem.file, problem = %ErrorChain(&problem.problem), "an agent's file is left out");
        }
        let store = ConversationStore::open(&settings.data_dir)?;
        let chat_settings = ChatSettings {
            max_new_tokens: settings.max_new_tokens,
            ..ChatSettings::default()
        };
        let chat = Chat::new(agents.clone(), store.clone(), engines.models.clone(), chat_settings);
        let interrupted = chat.recover().await?;
        if interrupted > 0 {
            tracing::warn!(interrupted, "turns were cut off by the end of the last process");
        }
        let narrator = open_narrator(&settings, relay, &chat, &store)?;
        Ok(AppState {
            chat,
            agents,
            store,
            narrator,
            engines,
            access: Arc::new(access_rules(&settings, on_loopback)),
            limits: settings.limits,
            http: settings.http,
            ping_period: settings.ping_period,
            runtime: Handle::current(),
            server_metrics: ServerMetrics::new(),
            owners: Arc::default(),
            sockets: Arc::default(),
            phase,
            boot_id: uuid::Uuid::now_v7().to_string(),
        })
    }
}

/// Derives the access rules from the settings.
fn access_rules(settings: &Settings, on_loopback: bool) -> Access {
    let usual = if on_loopback { 0 } else { RATE_PER_MINUTE };
    let rate = settings.rate_per_minute.unwrap_or(usual);
    Access {
        on_loopback,
        key: settings.api_key.clone(),
        origins: settings.allowed_origins.clone(),
        starts: RateLimiter::per_minute(rate),
        failed_keys: RateLimiter::per_minute(rate),
    }
}

/// Opens the narrator and the relay that answers for it.
fn open_narrator(
    settings: &Settings,
    relay: Option<Arc<dyn Relay>>,
    chat: &Chat,
    store: &ConversationStore,
) -> Result<Narrator, StartError> {
    let leases = Leases::new(settings.narrator.clock.clone());
    let (relay, leases): (Arc<dyn Relay>, _) = match (relay, &settings.relay) {
        (Some(relay), _) => (relay, leases),
        (None, RelayChoice::Chat) => (
            Arc::new(ChatRelay::new(chat.clone(), store.clone())),
            leases.with_built_in(BUILT_IN_CONTROLLER),
        ),
        (None, RelayChoice::Fake(file)) => (Arc::new(FakeRelay::from_file(file)?), leases),
        (None, RelayChoice::Http(url)) => (Arc::new(HttpRelay::new(url)?), leases),
    };
    let stores = NarratorStores {
        conversations: store.clone(),
        log_dir: settings.log_dir.clone(),
        summary_dir: settings.summary_dir.clone(),
    };
    Ok(Narrator::open(relay, leases, stores, settings.narrator.clone())?)
}

/// Builds the server on listeners that are already bound.
fn build_server(state: AppState, listeners: Vec<TcpListener>) -> Result<(Vec<SocketAddr>, Server), StartError> {
    let refused = |source| StartError::Serve { source };
    let limits = state.http.clone();
    let stall = limits.stall;
    let access = web::Data::from(Arc::clone(&state.access));
    let state = web::Data::new(state);
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let mut server = HttpServer::new(move || {
        WebApp::new()
            .app_data(state.clone())
            .app_data(access.clone())
            .wrap(from_fn(http_guard::guard))
            // The outermost layer: a refused request has an id too.
            .wrap(from_fn(request_id::assign))
            .configure(rest::routes)
    })
    .on_connect(move |connection, _| write_timeout::set(connection, stall))
    .workers(workers)
    .max_connections(limits.connections.div_ceil(workers))
    .client_request_timeout(limits.head)
    .client_disconnect_timeout(limits.disconnect)
    .keep_alive(limits.idle)
    // Tokens are small: none waits for the peer's acknowledgement of the one before.
    .tcp_nodelay(true)
    .disable_signals()
    .shutdown_timeout(STOP_SECONDS);
    for listener in listeners {
        server = server.listen(listener).map_err(refused)?;
    }
    Ok((server.addrs(), server.run()))
}
