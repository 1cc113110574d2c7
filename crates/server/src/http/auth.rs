//! Authentication and permissions.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, COOKIE, LOCATION, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sipward_engine::Input;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::client::{self, Client, Link};
use super::principal::Principal;
use super::secret::Hash;
use super::tokens::{Credential, Shown};
use super::{Access, Pages, headers};
use crate::http::error::ApiError;
use sipward_config::HttpSettings;
use sipward_daemon::EngineHandle;
use sipward_model::record::Record;
use sipward_model::wire::{AuthMethod, Problem, ProblemKind, TokenEnd};
use sipward_store::{Entry, Store};

/// Name of the cookie. Under TLS the prefix keeps other hosts and ports from setting it (RFC 6265bis).
const COOKIE_PLAIN: &str = "sipward";
const COOKIE_SECURE: &str = "__Host-sipward";

/// What the guard works with.
pub(super) struct AuthLayer {
    pub(super) access: Arc<Access>,
    pub(super) records: broadcast::Sender<Arc<Record>>,
    pub(super) engine: EngineHandle,
    pub(super) store: Store,
    pub(super) pages: Pages,
    pub(super) settings: Arc<HttpSettings>,
}

/// How long the answer to a request may last: until its token is revoked or its session ends.
struct SessionGuard {
    /// Cancelled when the token is revoked or the session closed.
    ended: CancellationToken,
    until: Option<Instant>,
    session: Option<Hash>,
}

/// Lets a request through to the handlers, as that of a [`Principal`], or answers it.
pub(super) async fn authenticate(
    State(auth_layer): State<Arc<AuthLayer>>,
    mut request: Request,
    next: Next,
) -> Response {
    let pages = auth_layer.pages;
    let page = (wants_page(&request) && !is_for_programs(request.uri().path()))
        .then(|| request.headers().clone());
    let mut response = match auth_layer.admit(&mut request).await {
        Ok(None) => next.run(request).await,
        Ok(Some(lease)) => auth_layer.lend(next.run(request).await, lease),
        Err(answer) => *answer,
    };
    if let Some(headers) = page
        && let Some(problem) = response.extensions_mut().remove::<Problem>()
    {
        (pages.instead)(&headers, &mut response, &problem);
    }
    response
}

impl AuthLayer {
    pub(super) fn records(&self) -> &broadcast::Sender<Arc<Record>> {
        &self.records
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// Marks a request with its [`Client`] and its [`Principal`]; gives nothing where none is needed.
    async fn admit(&self, request: &mut Request) -> Result<Option<SessionGuard>, Box<Response>> {
        let Some(link) = request.extensions().get::<Link>().copied() else {
            let fault = ApiError::new(ProblemKind::Unavailable, "connection metadata missing");
            return Err(fault.into_response().into());
        };
        let path = request.uri().path();
        if path == "/healthz" {
            return Ok(None);
        }
        let host = client::host(request.headers());
        if !self.settings.knows_host(host, link.peer.ip()) {
            return Err(misdirected().into());
        }
        let client = Client::of(link, request.headers(), &self.settings);
        let public = is_public(request.method(), path);
        request.extensions_mut().insert(client);
        if public {
            return Ok(None);
        }
        let Some((principal, lease)) = self.recognise(request.headers(), client).await? else {
            return Err(nobody(request).into());
        };
        let safe = is_safe(request.method());
        if principal.way == AuthMethod::Session && !safe && !is_own_page(request.headers(), false) {
            let detail = "requests that change something with a session must come from the console \
                          itself; programs use a bearer token";
            return Err(ApiError::new(ProblemKind::Forbidden, detail).into_response().into());
        }
        request.extensions_mut().insert(principal);
        Ok(Some(lease))
    }

    /// The user, if the request has credentials; refuses invalid ones.
    async fn recognise(
        &self,
        headers: &HeaderMap,
        client: Client,
    ) -> Result<Option<(Principal, SessionGuard)>, Box<Response>> {
        let now = Instant::now();
        if headers.contains_key(AUTHORIZATION) {
            let shown = bearer(headers).map_or(Err(None), |text| self.token(text, client));
            let Credential { name, scope, until, ended } = match shown {
                Ok(credential) => credential,
                Err(Some(because)) => return Err(dead(because).into()),
                Err(None) => return Err(self.refuse_bearer(client, now).await.into()),
            };
            let until = until.map(|until| now + self.access().clock.until(until));
            let lease = SessionGuard { ended, until, session: None };
            return Ok(Some((Principal { name, scope, way: AuthMethod::Token }, lease)));
        }
        let Some(id) = cookie(headers, client.secure) else {
            return Ok(None);
        };
        Ok(self.access().sessions.find(id, now).map(|found| {
            let principal =
                Principal { name: found.name, scope: found.scope, way: AuthMethod::Session };
            let lease = SessionGuard {
                ended: found.ended,
                until: Some(found.until),
                session: Some(found.hash),
            };
            (principal, lease)
        }))
    }

    /// What a token opens. Its use is noted. The error says why it opens nothing any more; `None` for what was
    /// never one: only that counts as a guess.
    pub(super) fn token(&self, text: &str, client: Client) -> Result<Credential, Option<TokenEnd>> {
        let access = self.access();
        match access.tokens.check(text, access.clock.now()) {
            Shown::Opens(credential, noted) => {
                if let Some(saved) = noted {
                    self.store.put(Entry::Token(saved));
                }
                Ok(credential)
            }
            Shown::Dead(name, because) => {
                access.refused.note(client.address, &name, because, self.records());
                Err(Some(because))
            }
            Shown::Nothing => Err(None),
        }
    }

    async fn refuse_bearer(&self, client: Client, now: Instant) -> Response {
        let wait = self.access().attempts.wait(client.address, now);
        self.note_failure(client.address, "token", now).await;
        // A valid token is still accepted: 256 bits cannot be guessed.
        match wait {
            Some(wait) => too_many(wait),
            None => {
                unauthorized("this token is unknown: it is mistyped, or belongs to another server")
            }
        }
    }

    /// Counts a failed log-in, here and for the rule `login`.
    pub(super) async fn note_failure(&self, source: IpAddr, what: &'static str, now: Instant) {
        let attempts = &self.access().attempts;
        // Attempts during the waiting time are not logged.
        if attempts.wait(source, now).is_none() {
            attempts.fail(source, now);
            Record::LoginFailed { address: source, what }.publish(self.records());
        }
        // When the engine is busy or gone, one failure is not counted.
        let _ = self.engine.call(move |task| task.handle(Input::LoginFailure { source })).await;
    }

    /// How long a client must wait before its next log-in attempt.
    pub(super) fn wait(&self, client: Client, now: Instant) -> Option<Duration> {
        self.access().attempts.wait(client.address, now)
    }

    /// A stream of events lasts no longer than what opened it.
    fn lend(&self, response: Response, lease: SessionGuard) -> Response {
        if !headers::is_stream(response.headers()) {
            return response;
        }
        let SessionGuard { ended, until, session } = lease;
        let awake = session.map(|hash| self.access().sessions.keep_awake(hash));
        let end = async move {
            let late = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = ended.cancelled() => {}
                () = late => {}
            }
        };
        response.map(|body| {
            let parts = body.into_data_stream().take_until(Box::pin(end));
            // Lives as long as the stream.
            let awake = futures_util::stream::poll_fn(move |_| {
                let _ = &awake;
                Poll::Ready(None)
            });
            Body::from_stream(parts.chain(awake))
        })
    }
}

/// Paths without a log-in: only the log-in itself.
fn is_public(method: &Method, path: &str) -> bool {
    match path {
        "/login" => is_safe(method) || *method == Method::POST,
        _ => path.starts_with("/login/") && is_safe(method),
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the browser confirms a same-origin request. Without its header, `or_unsaid` decides.
pub(super) fn is_own_page(headers: &HeaderMap, or_unsaid: bool) -> bool {
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(site) = said("sec-fetch-site") {
        return site == "same-origin";
    }
    match said(ORIGIN.as_str()) {
        Some(origin) => {
            let host = client::host(headers);
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            !host.is_empty() && authority.is_some_and(|it| it.eq_ignore_ascii_case(host))
        }
        None => or_unsaid,
    }
}

/// The token in `Authorization`, if it is one header and that of a bearer (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// The cookie of a session (RFC 6265 section 5.4). One that was set in clear is none under TLS.
pub(super) fn cookie(headers: &HeaderMap, secure: bool) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut pairs = pairs.map(|(name, value)| (name.trim(), value.trim()));
    pairs.find(|(name, _)| *name == cookie_name(secure)).map(|(_, value)| value)
}

pub(super) const fn cookie_name(secure: bool) -> &'static str {
    if secure { COOKIE_SECURE } else { COOKIE_PLAIN }
}

/// A browser that shows what comes.
fn wants_page(request: &Request) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Paths whose errors are read by programs, even where a browser shows them.
fn is_for_programs(path: &str) -> bool {
    path.starts_with("/api/") || path == "/metrics"
}

/// The request has no credentials.
fn nobody(request: &Request) -> Response {
    if wants_page(request) && matches!(*request.method(), Method::GET | Method::HEAD) {
        let next = request.uri().path_and_query().map_or("/", |uri| uri.as_str());
        let place = match next {
            "/" => "/login".to_owned(),
            _ => format!("/login?next={}", utf8_percent_encode(next, NON_ALPHANUMERIC)),
        };
        return see_other(&place);
    }
    unauthorized("send `Authorization: Bearer TOKEN`; `sipward token add NAME` creates a token")
}

/// Sends a browser elsewhere on this server.
pub(super) fn see_other(place: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // A value that is invalid in a header cannot have been in a request.
    let place = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, place);
    response
}

fn unauthorized(detail: &str) -> Response {
    let mut response = ApiError::new(ProblemKind::Unauthorized, detail).into_response();
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sipward\""));
    response
}

/// A token that was valid once.
fn dead(because: TokenEnd) -> Response {
    unauthorized(match because {
        TokenEnd::Expired => "this token has expired; `sipward token add NAME` creates a new one",
        TokenEnd::Revoked => "this token was revoked; `sipward token add NAME` creates a new one",
    })
}

pub(super) fn too_many(wait: Duration) -> Response {
    let seconds = wait.as_secs() + 1;
    let detail = format!("too many failed log-ins from your address; wait {seconds} s");
    let mut response = ApiError::new(ProblemKind::TooMany, detail).into_response();
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

fn misdirected() -> Response {
    let detail =
        "the `Host` of this request is unknown; use the address, or add the name to `http.hosts`";
    ApiError::new(ProblemKind::Misdirected, detail).into_response()
}

#[cfg(test)]
mod tests;
