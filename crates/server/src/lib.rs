//! HTTP: access control, and the control API.
//!
//! | module | holds |
//! |---|---|
//! | [`http`] | listening sockets, TLS, log-in, tokens, sessions, scopes, limits, errors as problem documents |
//! | [`api`] | the control API: a handler for each path, and the `OpenAPI` document |
//!
//! Handlers turn HTTP into calls of [`sipward_daemon::control`] and its answers into HTTP; they decide nothing. The
//! server knows no page: the console is mounted by the program.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "a part of the program, not a library for others"
)]

pub mod api;
pub mod http;
