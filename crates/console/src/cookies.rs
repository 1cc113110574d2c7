//! Choices that a browser keeps.

use axum::http::{HeaderMap, header};

/// A year, in seconds, which is as long as browsers keep a cookie.
const LIFE: u32 = 31_536_000;

/// The value of a cookie.
pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim())
}

/// The value of `Set-Cookie` that keeps a choice.
pub(super) fn kept(name: &str, choice: &str) -> String {
    cookie(name, choice, LIFE)
}

/// The value of `Set-Cookie` that ends a choice.
pub(super) fn ended(name: &str, choice: &str) -> String {
    cookie(name, choice, 0)
}

fn cookie(name: &str, choice: &str, life: u32) -> String {
    format!("{name}={choice}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict")
}
