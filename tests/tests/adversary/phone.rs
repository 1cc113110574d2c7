//! Healthy clients: how they register, mistype, restart, move and sleep.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use sipward_engine::Timestamp;

use crate::event::Name;
use crate::sofia::{Answer, Credentials, Nonce};
use crate::world::{DAY, HOUR, MINUTE, SECOND, World};

/// What a client does not notice: some of its packets are lost for less than this.
const CUT_OFF: Duration = MINUTE;

/// How a client answers a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Sends without credentials and is challenged each time (baresip, recording `2-e3`).
    Asks,
    /// Goes on with its nonce, without a challenge (sofia-sip, recording `2-e2`).
    KeepsNonce,
}

/// A client that has an account here.
#[derive(Clone, Debug)]
pub(crate) struct Phone {
    pub(crate) addr: SocketAddr,
    pub(crate) user: Name,
    pub(crate) agent: Name,
    pub(crate) habit: Habit,
    pub(crate) call_id: Name,
    /// What it asks for; it registers again a little earlier.
    pub(crate) expires: Duration,
    /// How long it waits after a wrong password.
    pub(crate) retry: Duration,
    pub(crate) wrong_password: bool,
    pub(crate) asleep: bool,
    /// The number of its plan.
    pub(crate) plan: u64,
    nonce: Option<Nonce>,
    answering: bool,
    lost_since: Option<Timestamp>,
    lost: Duration,
    pub(crate) successes: u32,
    pub(crate) failures: u32,
}

impl Phone {
    pub(crate) fn forget_nonce(&mut self) {
        self.nonce = None;
        self.answering = false;
    }

    /// How long nothing of it got through, although it tried.
    pub(crate) fn cut_off(&self, now: Timestamp) -> Duration {
        self.lost + self.lost_since.map_or(Duration::ZERO, |since| now.since(since))
    }
}

impl World {
    /// An unused address.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let ip = Ipv4Addr::new(
            self.random.u8(45..=95),
            self.random.u8(..),
            self.random.u8(..),
            self.random.u8(1..),
        );
        SocketAddr::new(ip.into(), self.random.u16(1_025..))
    }

    /// A phone of a random kind at an address, which registers within seconds. `age` says how long it is
    /// known there already; zero for a new one.
    pub(crate) fn phone_at(&mut self, addr: SocketAddr, age: Duration) -> usize {
        let habit = if self.random.bool() { Habit::Asks } else { Habit::KeepsNonce };
        let agents =
            ["Yealink SIP-T46S 66.86.0.15", "Grandstream GXP2170 1.0.11", "baresip v1.0.0"];
        let agent: Name = agents[self.random.usize(..agents.len())].into();
        let expires = [MINUTE, 2 * MINUTE, 10 * MINUTE, HOUR][self.random.usize(..4)];
        let phone = Phone {
            addr,
            user: self.fresh("10"),
            agent,
            habit,
            call_id: self.fresh("phone"),
            expires,
            retry: self.between(5 * SECOND, 30 * SECOND),
            wrong_password: false,
            asleep: false,
            plan: 0,
            nonce: None,
            answering: false,
            lost_since: None,
            lost: Duration::ZERO,
            successes: 0,
            failures: 0,
        };
        self.phones.push(phone);
        let index = self.phones.len() - 1;
        if age > Duration::ZERO {
            self.remember(index, age);
        }
        let after = self.between(Duration::ZERO, 5 * SECOND);
        self.wake_phone(index, after);
        index
    }

    /// A phone at an address of its own: new today, or known for some days.
    pub(crate) fn phone(&mut self) -> usize {
        let addr = self.address();
        let ages = [Duration::ZERO, HOUR, 2 * DAY, 20 * DAY];
        let age = ages[self.random.usize(..ages.len())];
        self.phone_at(addr, age)
    }

    /// Several of them.
    pub(crate) fn phones(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.phone()).collect()
    }

    /// Phones behind one address.
    pub(crate) fn office(&mut self, count: usize, age: Duration) -> (IpAddr, Vec<usize>) {
        let ip = self.address().ip();
        let phones = (0..count).map(|n| {
            let port = 10_000 + u16::try_from(n).unwrap();
            self.phone_at(SocketAddr::new(ip, port), age)
        });
        (ip, phones.collect())
    }

    /// All phones begin within this time, whatever they had planned.
    pub(crate) fn together(&mut self, within: Duration) {
        for phone in 0..self.phones.len() {
            let after = self.between(Duration::ZERO, within);
            self.wake_phone(phone, after);
        }
    }

    /// The phone begins anew, at another address perhaps: another Call-ID, no nonce.
    pub(crate) fn reboot(&mut self, phone: usize) {
        let call_id = self.fresh("phone");
        let phone = &mut self.phones[phone];
        phone.call_id = call_id;
        phone.forget_nonce();
    }

    /// The phone does what is next, and plans the step behind it.
    pub(crate) fn step_phone(&mut self, index: usize) {
        if self.phones[index].asleep {
            return;
        }
        let phone = self.phones[index].clone();
        let mut request = self.request(phone.addr, &phone.user, &phone.agent);
        request.call_id = phone.call_id.clone();
        request.expires = phone.expires;
        let with_nonce = phone.answering || phone.habit == Habit::KeepsNonce;
        request.credentials = phone.nonce.filter(|_| with_nonce).map(|nonce| Credentials {
            username: phone.user.clone(),
            nonce,
            right: !phone.wrong_password,
        });
        let answer = self.send(&request);
        let now = self.now;
        let again = match answer {
            Answer::Nothing => self.between(2 * SECOND, 6 * SECOND),
            Answer::Challenged(_) => {
                self.between(10 * crate::world::MILLISECOND, 120 * crate::world::MILLISECOND)
            }
            Answer::Forbidden { .. } => phone.retry,
            Answer::Ok => self.between(phone.expires / 2, phone.expires * 9 / 10),
        };
        let phone = &mut self.phones[index];
        match answer {
            Answer::Nothing => {
                phone.lost_since.get_or_insert(now);
            }
            Answer::Challenged(nonce) => (phone.nonce, phone.answering) = (Some(nonce), true),
            Answer::Forbidden { .. } => {
                phone.failures += 1;
                phone.forget_nonce();
            }
            Answer::Ok => {
                phone.successes += 1;
                phone.answering = false;
                if let Some(since) = phone.lost_since.take() {
                    phone.lost += now.since(since);
                }
            }
        }
        self.wake_phone(index, again);
    }

    /// The most that a phone lost within its worst hour: banned, its port denied, or cut off by a limit. A port
    /// takes nothing from a phone that has no right password to use it with.
    pub(crate) fn lost(&self) -> Duration {
        let lost = |phone: &Phone| {
            let mut banned = self.ledger.worst_hour(phone.addr.ip(), self.now);
            if phone.wrong_password {
                return banned;
            }
            banned = banned.max(self.ledger.worst_hour_denied(phone.addr, self.now));
            // A retransmission of a few seconds is no minute.
            let cut_off = phone.cut_off(self.now);
            if banned.is_zero() && cut_off < CUT_OFF { Duration::ZERO } else { banned.max(cut_off) }
        };
        self.phones.iter().map(lost).max().unwrap_or_default()
    }

    /// Every phone is registered, as it should be before an attack.
    pub(crate) fn all_registered(&self) -> Result<(), String> {
        let all = self.phones.iter().all(|phone| phone.asleep || phone.successes > 0);
        crate::ensure!(all, "a phone did not register");
        Ok(())
    }
}
