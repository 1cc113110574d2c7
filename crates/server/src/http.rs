//! The API and the console on TCP: access control, and serving.
//!
//! | module | holds |
//! |---|---|
//! | `listener` | the listening sockets, TLS |
//! | `room` | how many connections there may be, and which is closed for another |
//! | `serve` | connections and their limits, of the Unix socket too |
//! | `auth` | authentication and permissions |
//! | `client` | whose client it is, behind trusted proxies |
//! | `login` | the log-in of the page |
//! | `tokens`, `links`, `sessions` | what opens: bearer tokens, one-time links, cookies |
//! | `login_throttle` | who failed to log in too often |
//! | `secret` | random secrets and their hashes |
//! | `extract`, `error` | what comes in, read within limits; what goes wrong, as a document |
//! | `headers` | what every answer says to a browser |
//! | `compress` | answers compressed with gzip |
//!
//! On the Unix socket the kernel knows who is at the other end. On TCP everything but `/healthz` and the
//! log-in needs a bearer token or a session, and all of it has a thread of its own (`Server`).

mod audit;
mod auth;
mod client;
mod compress;
pub mod error;
pub mod extract;
mod headers;
mod links;
mod listener;
mod login;
mod login_throttle;
mod principal;
mod refused;
mod room;
pub mod scope;
mod secret;
pub mod serve;
mod sessions;
mod tokens;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::future::join_all;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use auth::AuthLayer;
pub use client::Client;
pub use links::Links;
use listener::Listener;
pub use login::LoginView;
use login_throttle::LoginThrottle;
pub use principal::Principal;
use refused::Refused;
pub use room::{Caller, Room, raise_descriptors};
pub use secret::NoRandom;
pub use sessions::Sessions;
use sipward_config::HttpSettings;
use sipward_daemon::EngineHandle;
use sipward_daemon::certificates::Certificates;
use sipward_model::clock::Clock;
use sipward_model::record::Record;
use sipward_model::rights;
use sipward_model::wire::Problem;
use sipward_store::{RetiredToken, SavedToken, Store};
pub use tokens::{NotAdded, Tokens};

/// Threads for what blocks: questions to the history, look-ups of names.
const BLOCKING: usize = 8;

/// Access to the API: tokens, sessions and failed log-ins. One for the daemon.
#[derive(Debug)]
pub struct Access {
    pub tokens: Tokens,
    pub sessions: Arc<Sessions>,
    pub links: Arc<Links>,
    attempts: LoginThrottle,
    refused: Refused,
    /// For all connections, those of the Unix socket too.
    pub room: Arc<Room>,
    clock: Clock,
    /// Where it is served.
    bases: Mutex<Vec<String>>,
}

impl Access {
    pub fn new(
        settings: &HttpSettings,
        (saved, retired): (Vec<SavedToken>, Vec<RetiredToken>),
        links: Arc<Links>,
        clock: Clock,
        room: Room,
    ) -> Self {
        Self {
            tokens: Tokens::new(saved, retired),
            refused: Refused::default(),
            sessions: Arc::new(Sessions::new(settings.session)),
            links,
            attempts: LoginThrottle::default(),
            room: Arc::new(room),
            clock,
            bases: Mutex::new(settings.public_bases()),
        }
    }

    /// `path` behind each address at which the page is served.
    pub fn urls(&self, path: &str) -> Vec<String> {
        let bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        bases.iter().map(|base| format!("{base}{path}")).collect()
    }

    /// The page is served at this address too.
    fn opened(&self, address: SocketAddr, tls: bool) {
        let scheme = if tls { "https" } else { "http" };
        let base = match nix::unistd::gethostname().map(OsString::into_string) {
            Ok(Ok(host)) if address.ip().is_unspecified() => {
                format!("{scheme}://{host}:{}", address.port())
            }
            Ok(_) | Err(_) => format!("{scheme}://{address}"),
        };
        self.bases.lock().unwrap_or_else(PoisonError::into_inner).push(base);
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// What is served on TCP, and what the guard in front of it works with.
pub struct Site {
    pub access: Arc<Access>,
    pub records: broadcast::Sender<Arc<Record>>,
    /// Where failed log-ins are counted.
    pub engine: EngineHandle,
    /// Where the use of tokens is noted.
    pub store: Store,
    pub pages: Pages,
    /// Makes the whole router of the log-in's: the API and the console beside it.
    pub build: Box<dyn FnOnce(Router) -> Router + Send>,
}

/// The pages that the guard and the log-in answer with.
#[derive(Clone, Copy)]
pub struct Pages {
    pub login: fn(StatusCode, &LoginView<'_>) -> Response,
    /// Replaces the body of a response to a person by a page that says what is wrong, in the language that the
    /// headers of the request ask for.
    pub instead: fn(&HeaderMap, &mut Response, &Problem),
}

/// The thread that serves. It ends when this is dropped, and every connection with it.
#[derive(Debug)]
pub struct Server {
    stop: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    /// Serves on every address of `settings`, on a thread with a runtime of its own: TLS handshakes and the
    /// making of pages take milliseconds, for which no ban shall wait.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        site: Site,
        settings: HttpSettings,
        certificates: Option<Arc<Certificates>>,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(BLOCKING)
            .enable_all()
            .build()
            .context("cannot start the runtime of the HTTP server")?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || {
                rights::keep_none();
                let served = run(site, settings, certificates);
                runtime.block_on(stopped.run_until_cancelled(served));
                // A look-up without an answer must not delay the end.
                runtime.shutdown_background();
            })
            .context("cannot start the thread of the HTTP server")?;
        Ok(Self { stop })
    }
}

/// Listens on every address of `settings` until dropped. An address that cannot be opened is reported, and tried
/// again; the daemon continues without it.
async fn run(site: Site, settings: HttpSettings, certificates: Option<Arc<Certificates>>) {
    let settings = Arc::new(settings);
    let Site { access, records, engine, store, pages, build } = site;
    let auth_layer =
        AuthLayer { access, records, engine, store, pages, settings: Arc::clone(&settings) };
    let auth_layer = Arc::new(auth_layer);
    let own = Router::new()
        .route("/healthz", get(healthy))
        .route("/login", get(login::show).post(login::log_in))
        .route("/logout", scope::read(post(login::log_out)))
        .with_state(Arc::clone(&auth_layer));
    let router = build(own)
        .layer(from_fn_with_state(Arc::clone(&auth_layer), auth::authenticate))
        .layer(from_fn(compress::compress));
    let endpoints = settings.listen.iter().map(|address| {
        let endpoint = Listener::new(*address, Arc::clone(&settings), certificates.clone());
        listener::run(endpoint, router.clone(), &auth_layer.access, &auth_layer.records)
    });
    join_all(endpoints).await;
}

/// The daemon lives; nothing else is said.
async fn healthy() -> &'static str {
    "ok\n"
}
