//! One model server: its address, its key, and the HTTP client of its requests.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use engine::EngineError;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, Url};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::status::Refusal;
use crate::{Framing, Settings, UpstreamError, error_message};

/// How often a request is sent to a busy server, which hasn't begun an answer: enough for a slot to become free, and
/// few enough not to add to the server's load.
const MAX_ATTEMPTS: u32 = 3;

/// The longest `Retry-After` that is honoured; a server that asks for more is not retried, as users don't wait longer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Most bytes of a list of models: thousands of names.
const LIST_BYTES: usize = 1 << 20;

/// Most bytes of an error's body that are read to find its message.
const ERROR_BYTES: usize = 64 << 10;

/// A model that a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerModel {
    /// The name under which the server knows it.
    pub name: String,
    /// True if it is in memory, so that an answer starts at once; `None` if the server doesn't report it.
    pub loaded: Option<bool>,
}

/// A model server. Clones share everything.
#[derive(Debug, Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The server's kind and address, as users know it.
    name: String,
    /// Without a slash at its end.
    base: String,
    settings: Settings,
    client: Client,
    runtime: Handle,
}

impl Server {
    /// Describes a server at an address, without sending a request. `kind` is the first word of its name in errors,
    /// `runtime` runs the tasks that read answers.
    ///
    /// # Errors
    /// [`UpstreamError::Url`] for anything but `http://…` and `https://…`, or with a user, query or fragment;
    /// [`UpstreamError::Client`] when the system has no certificates to check an `https` server by.
    pub fn new(kind: &str, url: &str, settings: Settings, runtime: Handle) -> Result<Self, UpstreamError> {
        let address = address(url)?;
        let base = address.as_str().trim_end_matches('/').to_owned();
        let name = format!("{kind} at {base}");
        let client = client(&address, &settings).map_err(|source| UpstreamError::Client {
            server: name.clone(),
            source,
        })?;
        let inner = Inner {
            name,
            base,
            settings,
            client,
            runtime,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the server's kind and address, as users know it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the settings of the server.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Fetches a list as text, within its time limit and 1 MiB.
    ///
    /// # Errors
    /// [`EngineError::UpstreamTimeout`], [`EngineError::UpstreamBusy`], else [`EngineError::UpstreamFailed`].
    pub async fn list(&self, path: &str) -> Result<String, EngineError> {
        let limit = self.settings().timeouts.list;
        timeout(limit, self.list_without_limit(path))
            .await
            .unwrap_or_else(|_| Err(self.timed_out("no list of models", limit)))
    }

    async fn list_without_limit(&self, path: &str) -> Result<String, EngineError> {
        let request = self.request(self.inner.client.get(self.url(path)));
        let mut response = request.send().await.map_err(|error| match self.send_error("", error) {
            EngineError::ModelUnavailable { reason, .. } => self.failed(reason),
            other => other,
        })?;
        if !response.status().is_success() {
            let refusal = self.refusal(response).await;
            return Err(match self.refused("", refusal) {
                EngineError::ModelUnavailable { reason, .. } | EngineError::InvalidRequest { reason } => {
                    self.failed(reason)
                }
                other => other,
            });
        }
        let body = self.read_at_most(&mut response, LIST_BYTES + 1).await;
        if body.len() > LIST_BYTES {
            return Err(self.failed(format!("its list has more than {LIST_BYTES} bytes")));
        }
        String::from_utf8(body).map_err(|_| self.failed("its list isn't UTF-8"))
    }

    /// Sends a request, again while the server is busy, and returns the response whose body is the answer.
    pub(crate) async fn send(
        &self,
        path: &str,
        body: &str,
        model: &str,
        deadline: Instant,
    ) -> Result<Response, EngineError> {
        let mut back_off = self.settings().timeouts.back_off;
        let mut attempts_left = MAX_ATTEMPTS;
        loop {
            attempts_left -= 1;
            let request = self.request(self.inner.client.post(self.url(path)));
            let request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
            let Ok(sent) = timeout_at(deadline, request.send()).await else {
                return Err(self.timed_out("no answer", self.settings().timeouts.first_byte));
            };
            let response = sent.map_err(|error| self.send_error(model, error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            let refusal = self.refusal(response).await;
            let wait = match &refusal {
                Refusal::Busy { after, .. } => Some(after.unwrap_or(back_off)),
                Refusal::NotFound { .. } | Refusal::InvalidRequest { .. } | Refusal::Failed { .. } => None,
            };
            let Some(after) = wait.filter(|after| attempts_left > 0 && *after <= LONGEST_WAIT) else {
                return Err(self.refused(model, refusal));
            };
            tracing::debug!(server = self.name(), ?after, "busy, asking again");
            sleep(after).await;
            back_off *= 2;
        }
    }

    /// Reads why an unsuccessful response gives no answer.
    async fn refusal(&self, mut response: Response) -> Refusal {
        let body = self.read_at_most(&mut response, ERROR_BYTES).await;
        let message = self.redact(&error_message(&String::from_utf8_lossy(&body)));
        Refusal::of(response.status(), response.headers(), &message)
    }

    /// Converts a refusal to an error, which names the model as `model`.
    fn refused(&self, model: &str, refusal: Refusal) -> EngineError {
        let server = self.name();
        match refusal {
            Refusal::Busy { reason, .. } => EngineError::UpstreamBusy {
                server: server.to_owned(),
                reason,
            },
            Refusal::NotFound { reason } => self.unavailable(model, format!("{server} says: {reason}")),
            Refusal::InvalidRequest { reason } => EngineError::InvalidRequest {
                reason: format!("{server} refuses the request: {reason}"),
            },
            Refusal::Failed { reason } => self.failed(reason),
        }
    }

    /// Refuses a successful response that is no stream: an HTML page, such as a proxy's login, or a single object in
    /// place of events.
    pub(crate) async fn streaming(&self, mut response: Response, framing: Framing) -> Result<Response, EngineError> {
        let header = response.headers().get(CONTENT_TYPE);
        let kind = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "text/html" => Err(self.failed("it answered with an HTML page; is its address right?")),
            "application/json" if framing == Framing::Events => {
                let body = self.read_at_most(&mut response, ERROR_BYTES).await;
                let message = self.redact(&error_message(&String::from_utf8_lossy(&body)));
                Err(self.failed(format!("it answered with no stream: {message}")))
            }
            _ => Ok(response),
        }
    }

    /// Reads at most `most` bytes of a body; fewer if it breaks off or is slow.
    pub(crate) async fn read_at_most(&self, response: &mut Response, most: usize) -> Vec<u8> {
        let deadline = Instant::now() + self.settings().timeouts.list;
        let mut body = Vec::new();
        while body.len() < most
            && let Ok(Ok(Some(bytes))) = timeout_at(deadline, response.chunk()).await
        {
            let room = most - body.len();
            body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        body
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    pub(crate) fn failed(&self, reason: impl Into<String>) -> EngineError {
        EngineError::UpstreamFailed {
            server: self.name().to_owned(),
            reason: self.redact(&reason.into()),
        }
    }

    fn unavailable(&self, model: &str, reason: String) -> EngineError {
        EngineError::ModelUnavailable {
            model: model.to_owned(),
            reason,
        }
    }

    pub(crate) fn timed_out(&self, what: &str, waited: Duration) -> EngineError {
        EngineError::UpstreamTimeout {
            server: self.name().to_owned(),
            reason: format!("{what} within {waited:?}"),
        }
    }

    /// Replaces the API key in a text of the server.
    fn redact(&self, text: &str) -> String {
        match &self.inner.settings.key {
            Some(key) => key.redact(text),
            None => text.to_owned(),
        }
    }

    fn send_error(&self, model: &str, error: reqwest::Error) -> EngineError {
        if error.is_connect() && error.is_timeout() {
            self.timed_out("no connection", self.settings().timeouts.connect)
        } else if error.is_connect() {
            self.unavailable(model, format!("{} can't be reached: {}", self.name(), cause(&error)))
        } else {
            self.failed(format!("it broke off before it answered: {}", cause(&error)))
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.inner.base)
    }

    fn request(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.inner.settings.key {
            Some(key) => request.bearer_auth(key.secret()),
            None => request,
        }
    }
}

/// Returns the root cause of an error of the HTTP client, whose own message only names the request.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Checks an address. It must not contain credentials, since it is logged and shown; they have a setting of their own.
fn address(url: &str) -> Result<Url, UpstreamError> {
    let refuse = |reason: &str| {
        let (before, after) = url.rsplit_once('@').map_or(("", url), |(_, host)| ("…@", host));
        UpstreamError::Url {
            url: format!("{before}{after}"),
            reason: reason.to_owned(),
        }
    };
    let address = Url::parse(url.trim()).map_err(|error| refuse(&error.to_string()))?;
    if !["http", "https"].contains(&address.scheme()) {
        return Err(refuse("it has to begin with http:// or https://"));
    }
    if !address.username().is_empty() || address.password().is_some() {
        return Err(refuse("a user or password can't be part of it; set an API key"));
    }
    if address.query().is_some() || address.fragment().is_some() {
        return Err(refuse("it ends before `?` and `#`"));
    }
    Ok(address)
}

fn client(address: &Url, settings: &Settings) -> Result<Client, reqwest::Error> {
    // A provider that the program has installed before is kept.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder()
        .user_agent(concat!("streaming-llm-sidecar/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.timeouts.connect)
        // The key must not be sent to another host, and most clients turn a redirected POST into a GET.
        .redirect(Policy::none())
        // Connecting is cheap compared with an answer, and an idle connection may have been closed by the server.
        .pool_max_idle_per_host(0);
    if address.scheme() == "http" {
        // No certificate is needed, so a container without any will do.
        client = client.tls_certs_only([]);
    }
    if is_loopback(address) {
        // The loopback address of a proxy is on another computer.
        client = client.no_proxy();
    }
    client.build()
}

fn is_loopback(address: &Url) -> bool {
    let host = address.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || host.ends_with(".localhost") || ip.is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}
