//! What a ban covers: keeps the gate where it is needed and says what is open where it is not.

use ipnet::IpNet;
use tokio::time::Instant;
use tracing::warn;

use super::Enforcer;
use super::unsettled::Extent;
use crate::coverage::{coverage, has_ipv6};
use crate::gate::{Gate, Repaired};
use crate::proof::{self, PassedBy};
use crate::{Coverage, GateMode, RouteError, reverse_path};

/// Of which family gate or `rp_filter` drop what a blackholed source sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drops {
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
}

impl Drops {
    pub(crate) fn all_of(self, net: IpNet) -> bool {
        match net {
            IpNet::V4(_) => self.ipv4,
            IpNet::V6(_) => self.ipv6,
        }
    }
}

impl Enforcer {
    /// Sets the gate where these settings want it, and finds out what is covered. Returns what had to be
    /// put back.
    pub(super) async fn cover(&mut self) -> Result<Repaired, RouteError> {
        let open = reverse_path::open_interfaces(&mut self.route).await?;
        let shield = self.settings.gate.effective_shield().is_some();
        let needed = !open.is_empty() || has_ipv6(&self.host) || shield || self.needs_sets();
        let mut refused = None;
        let mut repaired = Repaired::default();
        let mut stands = false;
        // A gate that stands is kept although it is not needed any more: the switch that made it so
        // may be switched back.
        match self.settings.gate.mode {
            GateMode::Auto if needed || self.coverage.gate => match self.set_gate().await {
                Ok(done) => {
                    stands = true;
                    repaired = done;
                }
                Err(error @ (RouteError::Socket(_) | RouteError::Silent)) => return Err(error),
                Err(
                    error @ (RouteError::Refused { .. }
                    | RouteError::NotPermitted
                    | RouteError::Settings(_)),
                ) => refused = Some(format!("the gate could not be set: {error}")),
            },
            GateMode::Auto | GateMode::RpFilter | GateMode::Off => {}
        }
        let mut coverage = coverage(&self.settings.gate, stands, &open, &self.host);
        coverage.gaps.splice(0..0, refused);
        if stands && let Some(reason) = self.gate.as_ref().ok().and_then(Gate::shield_refused) {
            coverage.gaps.push(format!("the SIP ports are not shielded: {reason}"));
        }
        // A new table waits for its hosts.
        self.sip.note_change(Instant::now());
        let drops = Drops { ipv4: coverage.ipv4_inbound, ipv6: coverage.ipv6_inbound };
        if drops != std::mem::replace(&mut self.drops, drops) {
            self.round.note(Extent::All, Instant::now());
        }
        if self.coverage.gate != coverage.gate {
            // So do bans from the SIP ports.
            self.round.note(Extent::All, Instant::now());
        }
        // Look-ups carry the gate's mark where it stands.
        self.coverage.gate = coverage.gate;
        self.renew_proof();
        let passed_by = proof::passed_by(&mut self.route, &self.proof).await?;
        self.coverage = coverage.passed_by(passed_by, self.proof.place.table);
        self.mend_sets().await?;
        Ok(repaired)
    }

    /// Takes away what an earlier run with other settings left: an abandoned gate would continue to drop packets
    /// against the settings.
    pub(super) async fn tidy_gate(&mut self) -> Result<(), RouteError> {
        let Ok(gate) = &mut self.gate else {
            return Ok(());
        };
        let outcome = match self.settings.gate.mode {
            GateMode::Auto => gate.remove_others(&mut self.route).await,
            GateMode::RpFilter | GateMode::Off => gate.remove(&mut self.route).await.map(drop),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error @ (RouteError::Socket(_) | RouteError::Silent)) => Err(error),
            Err(error) => {
                warn!(%error, "an old gate may still be active");
                Ok(())
            }
        }
    }

    async fn set_gate(&mut self) -> Result<Repaired, RouteError> {
        match &mut self.gate {
            Ok(gate) => gate.ensure(&mut self.route).await,
            Err(reason) => Err(RouteError::Refused {
                what: "open netfilter".to_owned(),
                reason: reason.clone(),
            }),
        }
    }
}

impl Coverage {
    /// With what rules before the bans let through.
    pub(crate) fn passed_by(mut self, passed: PassedBy, table: u32) -> Self {
        self.ipv4_inbound &= passed.ipv4.is_empty();
        self.ipv6_inbound &= passed.ipv6.is_empty();
        let all_the_same =
            if self.gate { "; the gate still drops packets of single hosts" } else { "" };
        let gaps = passed.ipv4.into_iter().chain(passed.ipv6);
        self.gaps.extend(gaps.map(|gap| gap + all_the_same));
        self.gaps.truncate(MOST_GAPS);
        self.table = table;
        self
    }
}

/// Gaps named at most.
const MOST_GAPS: usize = 32;
