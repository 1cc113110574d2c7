//! The console: pages for people, made on the server.
//!
//! Every page works without a script: lists are read, bans made and lifted by plain forms. One small script
//! keeps what is shown fresh. A page holds one page of rows, however many there are.
//!
//! | path | shows | changes |
//! |---|---|---|
//! | `/` | how it stands, what happened lately | |
//! | `/bans` | who is banned | ban, unban |
//! | `/flows` | which single ports are denied, where their hosts stay | allow |
//! | `/sources/{address}` | why an address is banned, or is not | |
//! | `/users` | which accounts are attacked from where, which healthy phones fail | |
//! | `/allow` | who is never banned by a rule | add, remove |
//! | `/policy` | every value and where it comes from | set, reset, reload |
//! | `/test` | what would happen | |
//! | `/history` | what was decided | |
//!
//! | module | holds |
//! |---|---|
//! | `document`, `frame` | what is around every page |
//! | `fields` | queries and forms, read within limits |
//! | `paging` | the ways from one part of a list to the others |
//! | `error_page` | what goes wrong, as a page |
//! | `labels` | values as people read them; text from the network, escaped |
//! | `login` | the page for who is nobody yet |
//! | `assets` | style sheet, script, icon |
//! | the others | a page each |
//!
//! Pages ask [`sipward_daemon::control`], as the API does: what is refused there is refused here, in the same words. All
//! text from the network is escaped twice over: control characters by `labels`, markup by the templates.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "a part of the program, not a library for others"
)]

mod allow;
mod assets;
mod bans;
mod chart;
mod context;
mod document;
mod error_page;
mod fields;
mod flood;
mod flows;
mod forms;
mod frame;
mod history;
mod labels;
mod login;
mod overview;
mod paging;
mod policy;
mod source;
mod trial;
mod users;

use axum::Router;
use axum::routing::{get, post};

pub use error_page::instead;
pub use login::login;
use sipward_daemon::control::Control;
use sipward_server::http::scope::{read, write};

/// What serves the pages, each with the scope it needs.
pub fn router(control: Control) -> Router {
    let pages = Router::new()
        .route("/", read(get(overview::show)))
        .route("/users", read(get(users::list)))
        .route("/bans", read(get(bans::list)))
        .route("/bans", write(post(bans::ban)))
        .route("/bans/unban", write(post(bans::unban)))
        .route("/flows", read(get(flows::list)))
        .route("/flows/allow", write(post(flows::allow)))
        .route("/sources", read(get(source::find)))
        .route("/sources/{address}", read(get(source::show)))
        .route("/allow", read(get(allow::list)))
        .route("/allow", write(post(allow::add)))
        .route("/allow/preview", read(post(allow::preview)))
        .route("/allow/remove", write(post(allow::remove)))
        .route("/policy", read(get(policy::show)))
        .route("/policy", write(post(policy::change)))
        .route("/policy/preview", read(post(policy::preview)))
        .route("/policy/reset", write(post(policy::reset)))
        .route("/policy/reload", write(post(policy::reload)))
        .route("/test", read(get(trial::show).post(trial::ask)))
        .route("/history", read(get(history::list)))
        .with_state(control);
    pages.merge(assets::router())
}
