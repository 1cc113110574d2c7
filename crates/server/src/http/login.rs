//! The log-in of the page: a token or a one-time code becomes a session.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{Extension, Request, State};
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use super::auth::{self, AuthLayer};
use super::client::Client;
use super::links::{self, Code};
use super::principal::Principal;
use super::secret::NoRandom;
use super::tokens::Shown;
use crate::http::error::ApiError;
use crate::http::extract::read;
use sipward_config::Secret;
use sipward_model::record::Record;
use sipward_model::wire::ProblemKind;
use sipward_model::wire::{AuthMethod, Scope, TokenEnd};

/// Largest form, in bytes: a token, and a path of the page to go on to.
const MAX_FORM: usize = 16 * 1024;

/// Longest path to go on to, in bytes.
const MAX_NEXT: usize = 2_000;

/// What a form or a query says.
#[derive(Debug, Default)]
struct Form {
    /// A token or a code.
    secret: String,
    /// Where to go on.
    next: Option<String>,
}

/// `GET /login`: asks for a token. A one-time link (`?code=`) shows a button: chat and mail programs open links for
/// previews, which would use up the code.
pub(super) async fn show(
    State(auth_layer): State<Arc<AuthLayer>>,
    Extension(client): Extension<Client>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let next = form.next();
    let id = auth::cookie(&headers, client.secure);
    if id.is_some_and(|id| auth_layer.access().sessions.find(id, Instant::now()).is_some()) {
        return auth::see_other(next);
    }
    let code = (!form.secret.is_empty()).then_some(form.secret.as_str());
    (auth_layer.pages.login)(StatusCode::OK, &LoginView { next, code, problem: None })
}

/// `POST /login`.
pub(super) async fn log_in(
    State(auth_layer): State<Arc<AuthLayer>>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    // Another site could log a user in as a different user.
    if !auth::is_own_page(&parts.headers, true) {
        let detail = "this log-in came from another site; open /login directly";
        return ApiError::new(ProblemKind::Forbidden, detail).into_response();
    }
    if !is_form(&parts.headers) {
        let detail = "send `Content-Type: application/x-www-form-urlencoded`";
        return ApiError::new(ProblemKind::UnsupportedMediaType, detail).into_response();
    }
    let body: Bytes = match read(body, MAX_FORM).await {
        Ok(body) => body,
        Err(fault) => return fault.into_response(),
    };
    let form = Form::parse(&body);
    let now = Instant::now();
    if let Some(wait) = auth_layer.wait(client, now) {
        let access = auth_layer.access();
        if let Shown::Nothing = access.tokens.check(form.secret.trim(), access.clock.now()) {
            auth_layer.note_failure(client.address, "login", now).await;
        }
        return auth::too_many(wait);
    }
    match auth_layer.open(form.secret.trim(), client, now) {
        Ok(Opened::Session(id, name, scope)) => {
            Record::LoggedIn { address: client.address, name, scope }.publish(auth_layer.records());
            auth_layer.welcome(&id, client, form.next())
        }
        Ok(refused) => {
            // A credential that was valid once does not count as guessing.
            let problem = match refused {
                Opened::Spent(why) => why,
                Opened::Session(..) | Opened::Nothing => {
                    auth_layer.note_failure(client.address, "login", now).await;
                    "Unknown token or link. It is mistyped, or belongs to another server."
                }
            };
            let view = LoginView { next: form.next(), code: None, problem: Some(problem) };
            (auth_layer.pages.login)(StatusCode::UNAUTHORIZED, &view)
        }
        Err(error) => ApiError::new(ProblemKind::Unavailable, error.to_string()).into_response(),
    }
}

/// `POST /logout`.
pub(super) async fn log_out(
    State(auth_layer): State<Arc<AuthLayer>>,
    Extension(client): Extension<Client>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
) -> Response {
    let id = auth::cookie(&headers, client.secure).filter(|_| principal.way == AuthMethod::Session);
    let sessions = &auth_layer.access().sessions;
    if let Some(found) = id.and_then(|id| sessions.find(id, Instant::now())) {
        sessions.close(&found.hash);
    }
    let mut response = auth::see_other("/login");
    set_cookie(&mut response, "", client, 0);
    response
}

/// What the log-in shows.
#[derive(Clone, Copy, Debug)]
pub struct LoginView<'a> {
    /// The next page: a path of this server.
    pub next: &'a str,
    /// A one-time code that came with the link.
    pub code: Option<&'a str>,
    /// Why the attempt before failed.
    pub problem: Option<&'a str>,
}

/// What a log-in led to.
enum Opened {
    /// A session: its cookie, user and scope.
    Session(Secret, String, Scope),
    /// What was shown opened something once.
    Spent(&'static str),
    /// It never did.
    Nothing,
}

impl AuthLayer {
    /// Opens a session.
    fn open(&self, text: &str, client: Client, now: Instant) -> Result<Opened, NoRandom> {
        let access = self.access();
        if text.starts_with(links::PREFIX) {
            let scope = match access.links.take(text, now) {
                Code::Opens(scope) => scope,
                Code::Spent => {
                    return Ok(Opened::Spent("This link was used already, or has expired."));
                }
                Code::Nothing => return Ok(Opened::Nothing),
            };
            let id = access.sessions.open_by_link(scope, now)?;
            return Ok(Opened::Session(id, super::sessions::BY_LINK.to_owned(), scope));
        }
        let credential = match self.token(text, client) {
            Ok(credential) => credential,
            Err(Some(TokenEnd::Expired)) => return Ok(Opened::Spent("This token has expired.")),
            Err(Some(TokenEnd::Revoked)) => return Ok(Opened::Spent("This token was revoked.")),
            Err(None) => return Ok(Opened::Nothing),
        };
        let left = credential.until.map(|until| access.clock.until(until));
        let id = access.sessions.open_by_token(&credential, left, now)?;
        Ok(Opened::Session(id, credential.name, credential.scope))
    }

    fn welcome(&self, id: &Secret, client: Client, next: &str) -> Response {
        let mut response = auth::see_other(next);
        set_cookie(&mut response, id.expose(), client, self.access().sessions.life().as_secs());
        response
    }
}

impl Form {
    /// The first of each field. `token` and `code` are the same to us.
    fn parse(text: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(text) {
            match &*name {
                "token" | "code" if form.secret.is_empty() => form.secret = value.into_owned(),
                "next" if form.next.is_none() => form.next = Some(value.into_owned()),
                _ => {}
            }
        }
        form
    }

    /// Where to go on: a path of this server, or its front page.
    fn next(&self) -> &str {
        self.next.as_deref().filter(|next| is_local(next)).unwrap_or("/")
    }
}

/// A path of this server. Browsers read `//host` and `/\host` as another one, and leave tabs and line ends
/// out before they look.
fn is_local(next: &str) -> bool {
    let mut bytes = next.bytes();
    next.len() <= MAX_NEXT
        && bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && next.bytes().all(|byte| byte.is_ascii_graphic())
        && next != "/logout"
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn set_cookie(response: &mut Response, id: &str, client: Client, seconds: u64) {
    let name = auth::cookie_name(client.secure);
    let secure = if client.secure { "; Secure" } else { "" };
    let cookie =
        format!("{name}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    // Hexadecimal digits and these texts are always valid.
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_leads_to_a_path_of_this_server_only() {
        for local in ["/", "/bans?search=%22", "/sources/192.0.2.7"] {
            assert!(is_local(local), "{local}");
        }
        for elsewhere in [
            "",
            "bans",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x=y",
            "/é",
            "javascript:alert(1)",
            "/logout",
        ] {
            assert!(!is_local(elsewhere), "{elsewhere}");
        }
        assert!(!is_local(&format!("/{}", "x".repeat(MAX_NEXT))));
    }

    #[test]
    fn the_first_of_each_field_counts() {
        let form = Form::parse(b"token=a&code=b&next=%2Fbans&next=%2Fx&other=1");
        assert_eq!((form.secret.as_str(), form.next()), ("a", "/bans"));
        assert_eq!(Form::parse(b"next=//x").next(), "/");
    }
}
