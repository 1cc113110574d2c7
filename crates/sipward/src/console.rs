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
//! Handlers go the way of the API's: what is refused there is refused here, in the same words. All text from
//! the network is escaped twice over: control characters by `labels`, markup by the templates.

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

use crate::api::Api;
pub(crate) use error_page::instead;
pub(crate) use login::login;

/// What serves the pages.
pub(crate) fn router(api: Api) -> Router {
    let pages = Router::new()
        .route("/", get(overview::show))
        .route("/users", get(users::list))
        .route("/bans", get(bans::list).post(bans::ban))
        .route("/bans/unban", post(bans::unban))
        .route("/flows", get(flows::list))
        .route("/flows/allow", post(flows::allow))
        .route("/sources", get(source::find))
        .route("/sources/{address}", get(source::show))
        .route("/allow", get(allow::list).post(allow::add))
        .route("/allow/preview", post(allow::preview))
        .route("/allow/remove", post(allow::remove))
        .route("/policy", get(policy::show).post(policy::change))
        .route("/policy/preview", post(policy::preview))
        .route("/policy/reset", post(policy::reset))
        .route("/policy/reload", post(policy::reload))
        .route("/test", get(trial::show).post(trial::ask))
        .route("/history", get(history::list))
        .with_state(api);
    pages.merge(assets::router())
}
