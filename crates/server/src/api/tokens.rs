//! `/tokens`, `/links`, `/sessions`: access to the API on TCP. Only on the Unix socket: a token must not create
//! tokens.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::Api;
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::{Place, Sent};
use crate::http::{NotAdded, Principal};
use sipward_daemon::control::between;
use sipward_model::record::Record;
use sipward_model::text::Time;
use sipward_model::wire::AuthMethod;
use sipward_model::wire::{
    LinkMade, NewLink, NewToken, Problem, ProblemKind, SessionsEnded, TokenEntry, TokenList,
    TokenMade, TokenRevoked,
};
use sipward_store::{Entry, SavedToken};

/// Longest name, in bytes.
const MAX_NAME: usize = 64;

/// Lives of a token, in seconds: a minute to ten years.
const LIFE: std::ops::RangeInclusive<u64> = 60..=315_360_000;

/// Lives of a link, in seconds: ten seconds to a day.
const LINK_LIFE: std::ops::RangeInclusive<u32> = 10..=86_400;

/// Life of a link when nothing is said, in seconds.
const USUAL_LINK_LIFE: u32 = 600;

/// A user of the Unix socket.
pub(super) struct AtHome;

impl<S: Send + Sync> FromRequestParts<S> for AtHome {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let principal = parts.extensions.get::<Principal>();
        if principal.is_some_and(|principal| principal.way == AuthMethod::Socket) {
            return Ok(Self);
        }
        let detail = "tokens can only be managed on the server itself: `sipward token`";
        Err(ApiError::new(ProblemKind::Forbidden, detail))
    }
}

/// All tokens, without their secrets.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "tokens", security(()),
    responses((status = 200, description = "The tokens", body = TokenList), error::CommonErrors)
)]
pub(super) async fn list(_: AtHome, State(api): State<Api>) -> Json<TokenList> {
    let tokens = api.access.tokens.list();
    let items = tokens.into_iter().map(|token| entry(&api, token)).collect();
    let link_sessions = api.access.sessions.count_of(None) as u64;
    Json(TokenList { items, link_sessions, store: api.control.store_health() })
}

/// Makes a token. Its secret is shown here and nowhere else.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens", security(()), request_body = NewToken,
    responses(
        (status = 201, description = "It was created", body = TokenMade),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(super) async fn add(
    _: AtHome,
    State(api): State<Api>,
    Sent(NewToken { name, scope, expires_seconds }): Sent<NewToken>,
) -> Result<Response, ApiError> {
    if !is_name(&name) {
        let detail = format!("expected 1 to {MAX_NAME} letters, digits, `.`, `_`, `-`");
        return Err(ApiError::field("name", detail));
    }
    let life =
        expires_seconds.map(|seconds| between("expires_seconds", seconds, &LIFE)).transpose()?;
    let now = api.access.clock().now();
    let until = life.map(|seconds| now + Duration::from_secs(seconds));
    let (secret, saved) =
        api.access.tokens.add(&name, scope, until, now).map_err(|error| match error {
            NotAdded::Taken | NotAdded::Full => ApiError::field("name", error.to_string()),
            NotAdded::NoRandom(_) => ApiError::new(ProblemKind::Unavailable, error.to_string()),
        })?;
    api.control.store().put(Entry::Token(saved.clone()));
    Record::TokenAdded { name, scope, expires: until.map(Time) }.publish(api.control.records());
    let store = api.control.store_settled().await;
    let made = TokenMade { token: secret.expose().to_owned(), entry: entry(&api, saved), store };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// Revokes a token. What it opened ends at once: sessions, and streams of events.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{name}", tag = "tokens", security(()),
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "It was revoked", body = TokenRevoked),
        (status = 404, description = "No such token", body = Problem,
         content_type = "application/problem+json"),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn revoke(
    _: AtHome,
    State(api): State<Api>,
    Place(name): Place,
) -> Answer<TokenRevoked> {
    let now = api.access.clock().now();
    let Some(retired) = api.access.tokens.revoke(&name, now) else {
        let detail = "no token has this name; `sipward token list` shows all";
        return Err(ApiError::new(ProblemKind::NotFound, detail));
    };
    let sessions_ended = api.access.sessions.close_of(&name) as u64;
    api.control.store().put(Entry::RevokeToken(retired));
    Record::TokenRevoked { name: name.clone(), sessions_ended }.publish(api.control.records());
    let store = api.control.store_settled().await;
    Ok(Json(TokenRevoked { name, sessions_ended, store }))
}

/// Makes a link that logs a browser in once.
#[utoipa::path(
    post, path = "/api/v1/links", tag = "tokens", security(()), request_body = NewLink,
    responses(
        (status = 201, description = "It was created", body = LinkMade),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(super) async fn link(
    _: AtHome,
    State(api): State<Api>,
    Sent(NewLink { scope, seconds }): Sent<NewLink>,
) -> Result<Response, ApiError> {
    let seconds = between("seconds", seconds.unwrap_or(USUAL_LINK_LIFE), &LINK_LIFE)?;
    let life = Duration::from_secs(seconds.into());
    let code = api.access.links.make(scope, life);
    let code = code.map_err(|error| ApiError::new(ProblemKind::Unavailable, error.to_string()))?;
    let path = format!("/login?code={}", code.expose());
    let urls = api.access.urls(&path);
    let expires = Time(api.access.clock().now() + life);
    Ok((StatusCode::CREATED, Json(LinkMade { path, urls, scope, expires })).into_response())
}

/// Ends every session of a browser. Tokens stay.
#[utoipa::path(
    delete, path = "/api/v1/sessions", tag = "tokens", security(()),
    responses((status = 200, description = "The sessions were ended", body = SessionsEnded), error::CommonErrors)
)]
pub(super) async fn end_sessions(_: AtHome, State(api): State<Api>) -> Json<SessionsEnded> {
    Json(SessionsEnded { count: api.access.sessions.close_all() as u64 })
}

fn entry(api: &Api, token: SavedToken) -> TokenEntry {
    let SavedToken { name, hash: _, scope, since, until, used } = token;
    TokenEntry {
        sessions: api.access.sessions.count_of(Some(&name)) as u64,
        expired: until.is_some_and(|until| until <= api.access.clock().now()),
        name,
        scope,
        created: Time(since),
        expires: until.map(Time),
        last_used: used.map(Time),
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
