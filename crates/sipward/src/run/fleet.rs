//! The connection to other nodes.

use std::sync::Arc;

use super::Common;
use sipward_daemon::fleet::FleetHandle;
use sipward_daemon::{EngineHandle, EngineTask, Settings};

/// Connects this node with its fleet, if `[fleet]` names one. Without it there is no task.
///
/// # Errors
/// When the settings do not fit together, or this program was built without the feature.
#[cfg_attr(
    not(feature = "fleet"),
    expect(clippy::unused_async, reason = "waits with a fleet only")
)]
pub(super) async fn join(
    common: &mut Common,
    engine_task: &mut EngineTask,
    engine: &EngineHandle,
    settings: &Arc<Settings>,
) -> anyhow::Result<FleetHandle> {
    let Some(fleet) = &common.config.fleet else { return Ok(FleetHandle::default()) };
    #[cfg(feature = "fleet")]
    {
        use anyhow::Context as _;
        let deps = sipward_daemon::fleet::Deps {
            config: fleet,
            secrets: &common.secrets,
            settings: Arc::clone(settings),
            engine: engine.clone(),
            records: common.records.clone(),
            lifted: sipward_daemon::fleet::lifted(&common.store, engine_task.clock()).await,
        };
        let joined = sipward_daemon::fleet::start(engine_task, deps);
        let (handle, work) = joined.context("cannot join the fleet ([fleet])")?;
        common.helpers.push(tokio::spawn(work));
        Ok(handle)
    }
    #[cfg(not(feature = "fleet"))]
    {
        // `sipward run` has started the other program already.
        let _ = (fleet, engine_task, engine, settings);
        anyhow::bail!("[fleet] needs a program that was built with the feature `fleet`");
    }
}
