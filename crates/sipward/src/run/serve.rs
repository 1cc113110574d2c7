//! The API and the console, on the Unix socket and on TCP.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Common;
use super::shut_down::Ended;
use super::wire::{Session, Wired};
use crate::doctor;
use sipward_console as console;
use sipward_daemon::control::{Control, Parts};
use sipward_daemon::{EngineTask, Inputs};
use sipward_server::api::{self, Api};
use sipward_server::http::{Pages, Server, Site};

/// Everything, ready to run.
pub(super) struct Served {
    common: Common,
    engine_task: EngineTask,
    inputs: Inputs,
    session: Session,
    server: Option<Server>,
}

impl Wired {
    /// Starts the API on the Unix socket, and with the console on TCP, as far as it is wanted.
    ///
    /// # Errors
    /// When an address of `[http] listen` cannot be had.
    pub(super) fn serve(self) -> anyhow::Result<Served> {
        let Self { mut common, engine_task, inputs, session, engine, settings, fleet, notified } =
            self;
        let credentials = common.credentials.clone();
        let control = Control::new(Parts {
            engine,
            settings,
            store: common.store.clone(),
            records: common.records.clone(),
            config: &common.config,
            metrics: Arc::clone(&common.metrics),
            lookups: common.lookups.clone(),
            secrets: &common.secrets,
            fleet,
            notified,
            examine: Arc::new(move |control| doctor::from_within(control, &credentials)),
        });
        let server = common.start(control)?;
        Ok(Served { common, engine_task, inputs, session, server })
    }
}

impl Served {
    /// Judges events until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) -> Ended {
        let Self { common, engine_task, inputs, session, server } = self;
        let (totals, end) = engine_task.run(inputs, stop).await;
        Ended { common, session, server, totals, end }
    }
}

impl Common {
    fn start(&mut self, control: Control) -> anyhow::Result<Option<Server>> {
        let api = Api::new(control.clone(), Arc::clone(&self.access));
        if let Some(socket) = self.config.api.socket.clone() {
            let api = api.clone();
            self.helpers.push(tokio::spawn(async move { api.run(&socket).await }));
        }
        if self.config.http.listen.is_empty() {
            return Ok(None);
        }
        let site = Site {
            access: Arc::clone(&self.access),
            records: self.records.clone(),
            engine: control.engine().clone(),
            store: self.store.clone(),
            pages: Pages { login: console::login, instead: console::instead },
            build: Box::new(move |login| {
                let pages = login.merge(console::router(control.clone()));
                console::framed(api::router(api, pages), control)
            }),
        };
        Server::start(site, self.config.http.clone(), self.certificates.clone()).map(Some)
    }
}
