//! What this node says of itself: bans, exemptions, known phones.

use std::collections::{HashMap, HashSet};

use hmac::{Hmac, KeyInit as _, Mac as _};
use ipnet::IpNet;
use sha2::Sha256;
use sipward_engine::{Expiry, Home, HomeHash, KnownClass, KnownToShare, Timestamp};
use sipward_fleet::message::{self, Ban, Body, Known, Veto};
use sipward_fleet::{Own, Text};

use super::words;
use crate::engine_task::{EngineTask, PublishedBan};
use sipward_config::Secret;
use sipward_model::clock::Clock;
use sipward_model::text::api_name;

/// Networks that this node vetoes: those of trunks, proxies, access lists and `allow`, in this order.
const MAX_VETOES: usize = 2_048;

/// Bans that this node says: what a peer believes, without the vetoes.
pub(super) const MAX_SAID: usize = sipward_fleet::MAX_OWN - MAX_VETOES;

/// What this node has told the link.
#[derive(Default)]
pub(super) struct Said {
    /// Bans, and when each was said first, by the wall clock. The others count a ban for the minute of that time: one
    /// that is said again must not count again.
    pub(super) bans: HashMap<IpNet, Timestamp>,
    pub(super) vetoes: HashSet<IpNet>,
}

impl Said {
    /// All that stands at the start. A node that observes blocks nobody, here or elsewhere.
    pub(super) fn everything(
        &mut self,
        task: &EngineTask,
        observes: bool,
        clock: &Clock,
    ) -> Vec<Own> {
        let engine = task.engine();
        let bans = engine.bans_after(None).filter(|_| !observes).filter_map(|ban| {
            let since = clock.wall(ban.since);
            Some((PublishedBan::of(engine, ban.net)?, since))
        });
        let mut all = Vec::new();
        for (ban, since) in bans.take(MAX_SAID) {
            self.bans.insert(ban.net, since);
            all.push(self.ban(&ban, since, clock));
        }
        for (net, class) in vetoes(task) {
            self.vetoes.insert(net);
            all.push(own_veto(net, &class));
        }
        all
    }

    /// A ban as it is said, for the first time at `now`.
    pub(super) fn ban(&self, ban: &PublishedBan, now: Timestamp, clock: &Clock) -> Own {
        let decided = self.bans.get(&ban.net).copied().unwrap_or(now);
        let until = match clock.wall_end(ban.until) {
            Expiry::At(until) => Some(millis(until)),
            Expiry::Never => None,
        };
        let body = Body::Ban(ban.net, Ban::Stands(words::standing(ban, millis(decided))));
        Own { body, until }
    }
}

/// What this node exempts and the others must not ban either, with the class.
pub(super) fn vetoes(task: &EngineTask) -> Vec<(IpNet, String)> {
    let nets = task.protected().exempt_nets();
    let vetoed = nets.filter(|(class, net)| words::is_vetoed(*class, net));
    vetoed.take(MAX_VETOES).map(|(class, net)| (net, api_name(&class))).collect()
}

pub(super) fn own_veto(net: IpNet, class: &str) -> Own {
    let body = Body::Veto(net, Veto::Stands { class: Text::cut(class) });
    Own { body, until: None }
}

/// A known phone as it is said; the times of its first and latest log-in by the engine's clock.
pub(super) fn own_known(
    phone: &KnownToShare,
    (since, last): (Timestamp, Timestamp),
    home: &HomeHash,
    clock: &Clock,
) -> Own {
    let class = match phone.class {
        KnownClass::Known => message::Class::Known,
        KnownClass::Trusted => message::Class::Trusted,
        KnownClass::Shared => message::Class::Shared,
    };
    let home = Some(message::Home(home.of(&phone.user, &phone.user_agent).0));
    let (since, last) = (millis(clock.wall(since)), millis(clock.wall(last)));
    let body = Body::Known(phone.source.into(), Known::Stands { class, since, last, home });
    Own { body, until: None }
}

fn millis(time: Timestamp) -> u64 {
    time.as_micros() / 1_000
}

/// The first eight bytes of HMAC-SHA256(key, user NUL agent).
pub(super) fn home_hash(key: &Secret) -> HomeHash {
    let key = key.clone();
    HomeHash::new(move |user, user_agent| {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else {
            return Home([0; 8]);
        };
        mac.update(user.as_bytes());
        mac.update(&[0]);
        mac.update(user_agent.as_bytes());
        let mut first = [0; 8];
        first.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        Home(first)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use sipward_engine::Cause;

    use super::*;

    #[test]
    fn a_ban_that_is_said_again_is_the_same_words_until_it_has_ended() {
        let clock = Clock::start(None);
        let net: IpNet = "198.51.100.7/32".parse().unwrap();
        let cause = Cause::Manual { reason: "rings at night".to_owned(), force: false };
        let ban = PublishedBan { net, until: Expiry::Never, cause: Arc::new(cause) };
        let mut said = Said::default();
        let now = clock.now();
        let first = said.ban(&ban, now, &clock);
        said.bans.insert(net, now);
        let later = now + Duration::from_secs(3_600);
        assert_eq!(
            said.ban(&ban, later, &clock),
            first,
            "else it counts as another ban of that minute"
        );
        said.bans.remove(&net);
        assert_ne!(said.ban(&ban, later, &clock), first);
    }
}
