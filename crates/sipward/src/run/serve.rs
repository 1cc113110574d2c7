//! The API and the console, on the Unix socket and on TCP.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinHandle;

use sipward_config::Config;
use sipward_console as console;
use sipward_daemon::certificates::Certificates;
use sipward_daemon::control::Control;
use sipward_model::clock::Clock;
use sipward_server::api::{self, Api};
use sipward_server::http::{Access, Links, Pages, Room, Server, Site, raise_descriptors};
use sipward_store::Saved;

/// Serves the API on the Unix socket and on TCP, as far as it is wanted.
pub(super) fn serve(
    config: &Config,
    control: Control,
    access: Arc<Access>,
    certificates: Option<Arc<Certificates>>,
    helpers: &mut Vec<JoinHandle<()>>,
) -> anyhow::Result<Option<Server>> {
    let api = Api::new(control.clone(), Arc::clone(&access));
    if let Some(socket) = config.api.socket.clone() {
        let api = api.clone();
        helpers.push(tokio::spawn(async move { api.run(&socket).await }));
    }
    if config.http.listen.is_empty() {
        return Ok(None);
    }
    let site = Site {
        access,
        records: control.records().clone(),
        engine: control.engine().clone(),
        store: control.store().clone(),
        pages: Pages { login: console::login, instead: console::instead },
        build: Box::new(move |login| {
            let pages = login.merge(console::router(control.clone()));
            console::framed(api::router(api, pages), control)
        }),
    };
    Server::start(site, config.http.clone(), certificates).map(Some)
}

/// Access to the API and the console, and the limit of connections.
pub(super) fn access(config: &Config, saved: &Saved, links: Arc<Links>, clock: &Clock) -> Access {
    let room = Room::within(raise_descriptors());
    let tokens = (saved.tokens.clone(), saved.retired.clone());
    Access::new(&config.http, tokens, links, clock.clone(), room)
}

/// The certificate of the API on TCP. One that cannot be used ends the start: nothing may be served in clear
/// that was to be encrypted.
pub(super) fn certificates(config: &Config) -> anyhow::Result<Option<Arc<Certificates>>> {
    let files = config.http.tls.as_ref().filter(|_| !config.http.listen.is_empty());
    let read = files.map(Certificates::read).transpose().context("cannot serve TLS ([http])")?;
    Ok(read.map(Arc::new))
}
