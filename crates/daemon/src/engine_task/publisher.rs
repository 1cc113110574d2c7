//! What other nodes of a fleet should hear of this one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use sipward_engine::{Cause, Engine, Expiry, KnownToShare, Success, Timestamp, UnblockReason};
use tokio::sync::mpsc;

/// Changes that wait for the fleet's task. It reads everything again when there were more.
const WAITING: usize = 4_096;

/// A change of what this node tells the others.
#[derive(Clone, Debug)]
pub enum Published {
    /// A ban stands, until another time perhaps than before.
    Ban(PublishedBan),
    /// A ban has ended.
    BanEnded {
        /// The network.
        net: IpNet,
        /// By its own end, which the others know.
        expired: bool,
    },
    /// A user logged in from an address that is known here.
    Known {
        /// The address and the user.
        phone: KnownToShare,
        /// The first and the latest log-in, by the engine's clock.
        times: (Timestamp, Timestamp),
    },
}

/// A ban of this node that the others should know.
#[derive(Clone, Debug)]
pub struct PublishedBan {
    /// The network.
    pub net: IpNet,
    /// When it ends, by the engine's clock.
    pub until: Expiry,
    /// Why.
    pub cause: Arc<Cause>,
}

impl PublishedBan {
    /// The ban of `net`, if there is one and the others should know it.
    pub fn of(engine: &Engine, net: IpNet) -> Option<Self> {
        let ban = engine.ban(net).filter(|ban| engine.is_publishable(ban))?;
        Some(Self { net, until: ban.until, cause: ban.cause.get() })
    }
}

/// The engine's end of the way to the fleet.
#[derive(Debug)]
pub struct Publisher {
    out: mpsc::Sender<Published>,
    missed: Arc<AtomicBool>,
}

/// The other end.
#[derive(Debug)]
pub struct Publications {
    /// The changes, in their order.
    pub changes: mpsc::Receiver<Published>,
    missed: Arc<AtomicBool>,
}

/// The way from the engine to the fleet.
#[must_use]
pub fn publications() -> (Publisher, Publications) {
    let (out, changes) = mpsc::channel(WAITING);
    let missed = Arc::new(AtomicBool::new(false));
    (Publisher { out, missed: Arc::clone(&missed) }, Publications { changes, missed })
}

impl Publications {
    /// Whether changes found no room since this was asked last: everything must be read again.
    #[must_use]
    pub fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::AcqRel)
    }
}

impl Publisher {
    pub(super) fn banned(&self, engine: &Engine, net: IpNet) {
        match PublishedBan::of(engine, net) {
            Some(ban) => self.say(Published::Ban(ban)),
            // It may replace one that the others know.
            None => self.say(Published::BanEnded { net, expired: false }),
        }
    }

    pub(super) fn ended(&self, net: IpNet, reason: UnblockReason) {
        self.say(Published::BanEnded { net, expired: reason == UnblockReason::Expired });
    }

    pub(super) fn succeeded(&self, engine: &Engine, success: &Success) {
        if let Some(phone) = engine.known_to_share(success) {
            self.say(Published::Known { phone, times: (success.since, success.at) });
        }
    }

    fn say(&self, change: Published) {
        if self.out.try_send(change).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }
}
