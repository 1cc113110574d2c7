//! The console: HTML pages, rendered on the server.
//!
//! Every page works without a script: bans are added and lifted by plain forms. One small script refreshes the
//! page. Lists are paged.
//!
//! | path | shows | changes |
//! |---|---|---|
//! | `/` | current state and recent events | acknowledge alarms |
//! | `/bans` | bans | ban, unban |
//! | `/undo` | | undo a ban or an unban |
//! | `/flows` | denied flows | allow |
//! | `/sources/{address}` | why an address is banned or not | |
//! | `/search` | bans and users with a text; leads to the page of an address or a network | |
//! | `/users` | accounts under attack, phones that need attention | |
//! | `/allow` | the allow list | add, remove |
//! | `/policy` | every value and its origin | set, reset, reload |
//! | `/test` | the rule test | |
//! | `/notifications` | what mail and webhooks delivered | test |
//! | `/history` | past decisions | |
//! | `/doctor` | whether everything works that a ban depends on | |
//! | `/fleet` | the nodes that share their bans | |
//!
//! | module | holds |
//! |---|---|
//! | `document`, `frame` | the frame of every page |
//! | `fields` | queries and forms, parsed within limits |
//! | `paging` | links between the pages of a list |
//! | `error_page`, `framed` | errors as pages |
//! | `live` | what happens, in short, for the script |
//! | `language` | the texts of the pages in other languages: `messages` beside the sources |
//! | `theme`, `preferences`, `cookies` | light or dark, the language; whether the first steps are hidden |
//! | `labels` | values as text; text from the network, escaped |
//! | `login` | the log-in page |
//! | `assets` | style sheet, script, icon, map of the world |
//! | `chart`, `insights`, `map` | parts of the overview: over time; countries and networks, as tables and as a map |
//! | `flood`, `mode` | what a page says about a flood and about the mode in force |
//! | `context` | what every page is rendered with |
//! | others | one page each |
//!
//! Pages use [`sipward_daemon::control`] like the API, so they refuse the same requests with the same texts. Text from
//! the network is escaped twice: control characters by `labels`, markup by the templates. The console calls no handler of
//! the API, and knows neither the store nor the kernel.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "a part of the program, not a public library"
)]

mod allow;
mod assets;
mod bans;
mod chart;
mod context;
mod cookies;
mod doctor;
mod document;
mod error_page;
mod fields;
mod fleet;
mod flood;
mod flows;
mod forms;
mod frame;
mod framed;
mod history;
mod insights;
mod labels;
mod language;
mod live;
mod login;
mod map;
mod mode;
mod notifications;
mod overview;
mod paging;
mod policy;
mod preferences;
mod search;
mod source;
#[cfg(test)]
mod tests;
mod theme;
mod trial;
mod undo;
mod users;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

pub use error_page::instead;
pub use login::login;
use sipward_daemon::control::Control;
use sipward_server::http::scope::{read, write};

/// Shows the errors of `site`, unknown paths among them, in the frame of the console, and everything in the language
/// of the request.
pub fn framed(site: Router, control: Control) -> Router {
    site.layer(from_fn_with_state(control, framed::in_frame)).layer(from_fn(language::in_language))
}

/// The routes of the pages, each with the scope it needs.
pub fn router(control: Control) -> Router {
    let pages = Router::new()
        .route("/", read(get(overview::show)))
        .route("/alarms/ack", write(post(overview::acknowledge)))
        .route("/users", read(get(users::list)))
        .route("/bans", read(get(bans::list)))
        .route("/bans", write(post(bans::ban)))
        .route("/bans/unban", write(post(bans::unban)))
        .route("/live", read(get(live::listen)))
        .route("/theme", read(post(preferences::choose_theme)))
        .route("/language", read(post(preferences::choose_language)))
        .route("/first-steps/hide", read(post(preferences::hide_steps)))
        .route("/doctor", read(get(doctor::show)))
        .route("/undo", write(post(undo::undo)))
        .route("/fleet", read(get(fleet::show)))
        .route("/flows", read(get(flows::list)))
        .route("/flows/allow", write(post(flows::allow)))
        .route("/search", read(get(search::show)))
        .route("/sources", read(get(source::find)))
        .route("/sources/{address}", read(get(source::show)))
        .route("/allow", read(get(allow::list)))
        .route("/allow", write(post(allow::add)))
        .route("/allow/preview", read(post(allow::preview)))
        .route("/allow/remove", write(post(allow::remove)))
        .route("/mode", read(get(mode::show)))
        .route("/mode", write(post(mode::change)))
        .route("/policy", read(get(policy::show)))
        .route("/policy", write(post(policy::change)))
        .route("/policy/preview", read(post(policy::preview)))
        .route("/policy/reset", write(post(policy::reset)))
        .route("/policy/reload", write(post(policy::reload)))
        .route("/test", read(get(trial::show).post(trial::ask)))
        .route("/notifications", read(get(notifications::show)))
        .route("/notifications/test", write(post(notifications::test)))
        .route("/history", read(get(history::list)))
        .with_state(control);
    pages.merge(assets::router())
}
