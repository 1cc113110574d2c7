//! The connection to other nodes.

use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use sipward_config::{Config, Secrets};
use sipward_daemon::fleet::FleetHandle;
use sipward_daemon::{EngineHandle, EngineTask, Settings};
use sipward_model::record::Record;
use sipward_store::Store;

/// Connects this node with its fleet, if `[fleet]` names one. Without it there is no task.
///
/// # Errors
/// When the settings do not fit together, or this program was built without the feature.
#[cfg_attr(
    not(feature = "fleet"),
    expect(clippy::unused_async, reason = "waits with a fleet only")
)]
pub(super) async fn join(
    engine_task: &mut EngineTask,
    (config, secrets): (&Config, &Secrets),
    (engine, settings, store): (&EngineHandle, &Arc<Settings>, &Store),
    records: &broadcast::Sender<Arc<Record>>,
    helpers: &mut Vec<JoinHandle<()>>,
) -> anyhow::Result<FleetHandle> {
    let Some(fleet) = &config.fleet else { return Ok(FleetHandle::default()) };
    #[cfg(feature = "fleet")]
    {
        use anyhow::Context as _;
        let deps = sipward_daemon::fleet::Deps {
            config: fleet,
            secrets,
            settings: Arc::clone(settings),
            engine: engine.clone(),
            records: records.clone(),
            lifted: sipward_daemon::fleet::lifted(store, engine_task.clock()).await,
        };
        let joined = sipward_daemon::fleet::start(engine_task, deps);
        let (handle, work) = joined.context("cannot join the fleet ([fleet])")?;
        helpers.push(tokio::spawn(work));
        Ok(handle)
    }
    #[cfg(not(feature = "fleet"))]
    {
        // `sipward run` has started the other program already.
        let _ = (fleet, engine_task, secrets, engine, settings, store, records, helpers);
        anyhow::bail!("[fleet] needs a program that was built with the feature `fleet`");
    }
}
