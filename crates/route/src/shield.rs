//! Hosts of the shield: the healthy, the unlimited, the slowed. Kept by the daemon, followed by the
//! enforcer.

mod flows;
mod hosts;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::sync::Notify;

use self::flows::KeptFlows;
use self::hosts::{Hosts, keys};
pub(crate) use self::hosts::{Key, Wanted};
use crate::{Flow, ShieldSettings};

/// Healthy hosts at most: IPv4 addresses and IPv6 /64s. Each takes some 400 bytes of kernel memory.
pub const MOST_HEALTHY: usize = 262_144;
/// Unlimited networks at most. The kernel takes so many in some seconds, step by step.
pub const MOST_UNLIMITED: usize = 65_536;
/// Flows of live registrations kept at most.
pub const MOST_KEPT_FLOWS: usize = 65_536;
/// Slowed hosts at most. Those beyond are not slowed.
pub const MOST_SLOWED: usize = 65_536;
/// Longest time a host is slowed by one wish.
const LONGEST_SLOW: Duration = Duration::from_secs(86_400);

/// The hosts and limits of the shield: a handle that clones share. No method waits for the kernel; the
/// [`Enforcer`](crate::Enforcer) that [follows](crate::Enforcer::shield_by) it brings each change into the
/// kernel within 100 ms, thousands at once in steps of some milliseconds.
///
/// Hosts are IPv4 addresses and IPv6 /64s: an IPv6 address stands for its /64. A network is given by its
/// hosts, 256 at most.
///
/// The budgets drop nothing before [`complete`](Self::complete) was called once, except where a gate from
/// an earlier run still holds its hosts: so a start in mid-flood shuts nobody out.
#[derive(Clone, Debug, Default)]
pub struct Shield {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    hosts: Hosts,
    flows: KeptFlows,
    is_complete: bool,
    unlimited: Option<Arc<[IpNet]>>,
    settings: Option<NewSettings>,
    slowed: Vec<Slowed>,
}

/// Settings that were not applied yet; `None` within means no shield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewSettings(pub(crate) Option<ShieldSettings>);

/// A host that is slowed, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slowed {
    pub(crate) key: Key,
    /// Until when; `None` lets it go.
    pub(crate) until: Option<Instant>,
}

/// Whether there was room for a healthy host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is among the healthy.
    Admitted,
    /// It is, and hosts without a registration that were admitted earliest made room.
    Replaced,
    /// [`MOST_HEALTHY`] hosts are there already, and none gives way to it.
    Full,
    /// The network has more than 256 hosts.
    TooWide,
}

/// What came of a new list of healthy hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// Hosts on the list now.
    pub hosts: usize,
    /// Hosts for which there was no room; networks that are too wide count as one.
    pub left_out: usize,
}

impl Shield {
    /// Puts a host among the healthy, or says anew how many registrations it has. With 0 it is known, and
    /// passes as with one; when there is no more room, hosts with registrations take the place of such.
    #[allow(clippy::must_use_candidate, reason = "the next list tells of those left out")]
    pub fn admit(&self, net: IpNet, registrations: u32) -> Admission {
        self.change(|state| {
            let Some(keys) = keys(net) else { return Admission::TooWide };
            let mut worst = Admission::Admitted;
            for key in keys {
                match state.hosts.admit(key, registrations) {
                    Admission::Admitted => {}
                    Admission::Replaced if worst == Admission::Full => {}
                    other @ (Admission::Replaced | Admission::Full | Admission::TooWide) => {
                        worst = other;
                    }
                }
            }
            worst
        })
    }

    /// Makes a host a stranger again.
    pub fn dismiss(&self, net: IpNet) {
        self.change(|state| {
            for key in keys(net).into_iter().flatten() {
                state.hosts.remove(key);
            }
        });
    }

    /// Replaces all healthy hosts. Those with registrations come first, then those earlier on the list.
    pub fn replace(&self, hosts: impl IntoIterator<Item = (IpNet, u32)>) -> Admitted {
        self.change(|state| state.hosts.replace(hosts))
    }

    /// Keeps the flow of a live registration whose host is no longer healthy: it passes with the limits of a healthy
    /// host with one registration, while the rest of the host is a stranger. A kept flow cannot be denied, because
    /// ports can be forged. Flows of hosts with [`Scope::Sip`](crate::Scope::Sip) bans are dropped all the same.
    ///
    /// [`Admission::Full`] when [`MOST_KEPT_FLOWS`] are kept already.
    #[allow(clippy::must_use_candidate, reason = "few hosts have so many phones")]
    pub fn keep_flow(&self, flow: Flow) -> Admission {
        self.change(|state| state.flows.keep(flow))
    }

    /// Ends that: the registration has ended, or its host is healthy again.
    pub fn drop_flow(&self, flow: Flow) {
        self.change(|state| state.flows.remove(flow));
    }

    /// Replaces all kept flows. Gives how many of them, the last ones, found no room.
    #[allow(clippy::must_use_candidate, reason = "few lists are too long")]
    pub fn replace_flows(&self, flows: impl IntoIterator<Item = Flow>) -> usize {
        self.change(|state| state.flows.replace(flows))
    }

    /// Number of kept flows.
    #[must_use]
    pub fn kept_flows(&self) -> usize {
        self.state().flows.len()
    }

    /// Says that all healthy hosts and kept flows are named: the budgets may drop from now on.
    pub fn complete(&self) {
        self.change(|state| state.is_complete = true);
    }

    /// Whether all healthy hosts are named.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state().is_complete
    }

    /// Number of healthy hosts.
    #[must_use]
    pub fn healthy(&self) -> usize {
        self.state().hosts.len()
    }

    /// Replaces the networks that the shield does not limit: configured and exempt ones, trunks, access
    /// lists. They may overlap. Gives how many of them, the last ones, found no room.
    #[allow(clippy::must_use_candidate, reason = "few lists are too long")]
    pub fn set_unlimited(&self, nets: &[IpNet]) -> usize {
        let taken = nets.get(..MOST_UNLIMITED).unwrap_or(nets);
        self.change(|state| state.unlimited = Some(taken.into()));
        nets.len() - taken.len()
    }

    /// Limits a host to one packet a second, 20 at once, whether it is healthy or not; for a day at
    /// most. Unlimited hosts are not slowed. Again prolongs it.
    pub fn slow(&self, net: IpNet, time: Duration) {
        let until = Instant::now() + time.min(LONGEST_SLOW);
        self.slow_until(net, Some(until));
    }

    /// Ends that.
    pub fn release(&self, net: IpNet) {
        self.slow_until(net, None);
    }

    /// Replaces the settings; `None` takes the shield away. What is out of range is refused and reported
    /// ([`Report::ShieldFailed`](crate::Report::ShieldFailed)).
    pub fn set_settings(&self, settings: Option<ShieldSettings>) {
        self.change(|state| state.settings = Some(NewSettings(settings)));
    }

    fn slow_until(&self, net: IpNet, until: Option<Instant>) {
        self.change(|state| {
            for key in keys(net).into_iter().flatten() {
                if state.slowed.len() < MOST_SLOWED {
                    state.slowed.push(Slowed { key, until });
                }
            }
        });
    }

    /// Waits for a change. Cancel safe.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Takes up to `most` hosts that have changed.
    pub(crate) fn take_hosts(&self, most: usize) -> Vec<Wanted> {
        self.state().hosts.take_changed(most)
    }

    /// Whether hosts have changed that were not taken.
    pub(crate) fn has_changed_hosts(&self) -> bool {
        self.state().hosts.has_changed()
    }

    /// Makes all hosts changed ones: what the kernel holds is not known any more. `also` are hosts that
    /// the kernel may hold beside them.
    pub(crate) fn forget_taken(&self, also: impl IntoIterator<Item = Key>) {
        self.change(|state| state.hosts.mark_all(also));
    }

    /// Takes up to `most` flows that have changed, each with whether it is kept.
    pub(crate) fn take_flows(&self, most: usize) -> Vec<(Flow, bool)> {
        self.state().flows.take_changed(most)
    }

    /// Whether flows have changed that were not taken.
    pub(crate) fn has_changed_flows(&self) -> bool {
        self.state().flows.has_changed()
    }

    /// As [`forget_taken`](Self::forget_taken), for flows.
    pub(crate) fn forget_taken_flows(&self, also: impl IntoIterator<Item = Flow>) {
        self.change(|state| state.flows.mark_all(also));
    }

    /// Takes new networks without a limit.
    pub(crate) fn take_unlimited(&self) -> Option<Arc<[IpNet]>> {
        self.state().unlimited.take()
    }

    /// Takes new settings.
    pub(crate) fn take_settings(&self) -> Option<NewSettings> {
        self.state().settings.take()
    }

    /// Takes the hosts to slow.
    pub(crate) fn take_slowed(&self) -> Vec<Slowed> {
        std::mem::take(&mut self.state().slowed)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let outcome = change(&mut self.state());
        self.shared.changed.notify_one();
        outcome
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No method leaves the state half changed.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
