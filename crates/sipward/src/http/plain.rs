//! Pages for people that need no log-in: the log-in itself, and what went wrong.

use std::fmt::{self, Write as _};

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::api::model::Problem;

/// What the log-in shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoginView<'a> {
    /// Where it goes on: a path of this server.
    pub(super) next: &'a str,
    /// A one-time code that came with the link.
    pub(super) code: Option<&'a str>,
    /// Why the attempt before failed.
    pub(super) problem: Option<&'a str>,
}

/// The log-in.
pub(super) fn login(status: StatusCode, view: &LoginView<'_>) -> Response {
    let LoginView { next, code, problem } = *view;
    let mut body = String::new();
    if let Some(problem) = problem {
        add(&mut body, format_args!("<p role=\"alert\">{}</p>\n", Text(problem)));
    }
    add(&mut body, format_args!("<form method=\"post\" action=\"/login\">\n"));
    add(
        &mut body,
        format_args!("<input type=\"hidden\" name=\"next\" value=\"{}\">\n", Text(next)),
    );
    match code {
        Some(code) => add(
            &mut body,
            format_args!(
                "<input type=\"hidden\" name=\"code\" value=\"{}\">\n<p>This link logs you in once.</p>\n",
                Text(code)
            ),
        ),
        None => body.push_str(
            "<p><label>Token <input type=\"password\" name=\"token\" required autofocus \
             autocomplete=\"current-password\"></label></p>\n",
        ),
    }
    body.push_str("<p><button type=\"submit\">Log in</button></p>\n</form>\n");
    if code.is_none() {
        body.push_str(
            "<p><code>sipward token add NAME</code> makes a token, <code>sipward token link</code> a link \
             that logs in once.</p>\n",
        );
    }
    add(
        &mut body,
        format_args!("<p><a href=\"{}\">Logged in already? Go on.</a></p>\n", Text(next)),
    );
    (status, page("Log in", &body)).into_response()
}

/// Puts a page in place of a problem document; status and other headers stay.
pub(super) fn instead(response: &mut Response, problem: &Problem) {
    let body = format!("<p>{}</p>\n<p><a href=\"/\">Go on</a></p>\n", Text(&problem.detail));
    let (kind, text) = page(&problem.title, &body);
    *response.body_mut() = Body::from(text);
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    let [(name, value)] = kind;
    headers.insert(name, HeaderValue::from_static(value));
}

type Html = ([(axum::http::HeaderName, &'static str); 1], String);

fn page(title: &str, body: &str) -> Html {
    let title = Text(title);
    let text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{title} – sipward</title>\n<h1>{title}</h1>\n{body}</html>\n"
    );
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], text)
}

fn add(text: &mut String, more: fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = text.write_fmt(more);
}

/// Text inside HTML, in an attribute too.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            _ => f.write_char(c),
        })
    }
}
