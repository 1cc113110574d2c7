//! The log-in page, the only one without a session.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::html;

use super::document;
use super::labels;
use super::language::t;
use sipward_server::http::LoginView;

/// The log-in.
pub fn login(status: StatusCode, view: &LoginView<'_>) -> Response {
    let LoginView { next, code, problem } = *view;
    let body = html! {
        section.card.narrow {
            h1 { (t("Log in")) }
            @if let Some(problem) = problem {
                div.notice.bad #problem role="alert" { (labels::english(problem)) }
            }
            form.login method="post" action="/login" {
                input type="hidden" name="next" value=(next);
                @if let Some(code) = code {
                    input type="hidden" name="code" value=(code);
                    p { (t("This link logs you in once.")) }
                } @else {
                    div.field {
                        label for="token" { (t("Token")) }
                        input type="password" id="token" name="token" required autofocus
                            autocomplete="current-password" spellcheck="false"
                            aria-invalid=[problem.map(|_| "true")]
                            aria-describedby=[problem.map(|_| "problem")];
                    }
                }
                button type="submit" { (t("Log in")) }
            }
            @if code.is_none() {
                p.soft {
                    (t!(
                        "{link} on the server prints a one-time link; {token} creates a token.",
                        link = html! { code { "sipward token link" } },
                        token = html! { code { "sipward token add NAME" } },
                    ))
                }
            }
            p.soft { a href=(next) { (t("Already logged in? Continue.")) } }
        }
    };
    (status, document::bare(t("Log in"), &body)).into_response()
}
