//! What attackers send.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use sipward_engine::{Method, Timestamp};

use crate::event::{Kind, Name};
use crate::sofia::{Answer, Credentials, Nonce, Request};
use crate::world::{MILLISECOND, SECOND, World};

/// How a guess is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// From the own address: asks for a challenge and answers it.
    Answered,
    /// With a nonce that came to another dialog, or to another address: one packet.
    Reused(Nonce),
    /// In another's name: a forged request without credentials first, then a forged answer in the same
    /// dialog with a nonce from elsewhere.
    Patient(Nonce),
    /// One blind packet whose nonce is never looked at.
    Blind,
}

/// A wrong password.
#[derive(Clone, Debug)]
pub(crate) struct Guess {
    pub(crate) source: SocketAddr,
    pub(crate) user: Name,
    pub(crate) agent: Name,
    pub(crate) method: Method,
    pub(crate) websocket: bool,
    /// `None`: a new one for each guess.
    pub(crate) call_id: Option<Name>,
    pub(crate) padding: usize,
}

impl Guess {
    pub(crate) fn new(source: SocketAddr, user: &Name) -> Self {
        Self {
            source,
            user: user.clone(),
            agent: "PolycomVVX-VVX_400-UA/5.9.0".into(),
            method: Method::Register,
            websocket: false,
            call_id: None,
            padding: 0,
        }
    }
}

/// A sender off the path with forged source addresses. Its nonces come to its own hosts.
#[derive(Debug, Default)]
pub(crate) struct Forger {
    nonce: Option<(Nonce, Timestamp)>,
}

impl Forger {
    /// A nonce that is good for some seconds more.
    pub(crate) fn nonce(&mut self, world: &mut World) -> Nonce {
        let fresh = |(_, at): &(Nonce, Timestamp)| world.now.since(*at) < 40 * SECOND;
        if let Some((nonce, _)) = self.nonce.filter(|held| fresh(held)) {
            return nonce;
        }
        let host = world.address();
        let nonce = world.challenge(host).expect("nobody knows this host");
        self.nonce = Some((nonce, world.now));
        nonce
    }
}

impl World {
    /// Sends a guess. True when FreeSWITCH checked the password.
    pub(crate) fn guess(&mut self, guess: &Guess, how: How) -> bool {
        let mut request = self.request(guess.source, &guess.user, &guess.agent);
        request.method = guess.method;
        request.websocket = guess.websocket;
        request.padding = guess.padding;
        if let Some(call_id) = &guess.call_id {
            request.call_id = call_id.clone();
        }
        let nonce = match how {
            How::Answered => match self.send(&request) {
                Answer::Challenged(nonce) => {
                    let round_trip = self.between(5 * MILLISECOND, 60 * MILLISECOND);
                    self.pass(round_trip);
                    nonce
                }
                _ => return false,
            },
            How::Reused(nonce) => nonce,
            How::Patient(nonce) => {
                self.send(&request);
                let gap = self.between(MILLISECOND, 60 * MILLISECOND);
                self.pass(gap);
                nonce
            }
            How::Blind => 0,
        };
        let blind = how == How::Blind;
        let username = if blind { "somebody-else".into() } else { guess.user.clone() };
        request.credentials = Some(Credentials { username, nonce, right: false });
        let guessed = self.send(&request) == Answer::Forbidden { guessed: true };
        if guessed {
            self.guessed += 1;
            *self.guesses.entry(guess.source.ip()).or_default() += 1;
        }
        guessed
    }

    /// Guesses that came from an address and were checked.
    pub(crate) fn guesses_of(&self, addr: IpAddr) -> u64 {
        self.guesses.get(&addr).copied().unwrap_or_default()
    }

    /// Asks for a challenge from an address.
    pub(crate) fn challenge(&mut self, host: SocketAddr) -> Option<Nonce> {
        let nobody: Name = "nobody".into();
        let request = self.request(host, &nobody, &nobody);
        match self.send(&request) {
            Answer::Challenged(nonce) => Some(nonce),
            _ => None,
        }
    }

    /// Logs in with the right password, as a client that is there. Gives nonce and Call-ID.
    pub(crate) fn log_in(&mut self, host: SocketAddr, user: &Name) -> Option<(Nonce, Name)> {
        let agent: Name = "Zoiper rv2.10".into();
        let mut request = self.request(host, user, &agent);
        let Answer::Challenged(nonce) = self.send(&request) else { return None };
        self.pass(20 * MILLISECOND);
        self.answer(&mut request, nonce);
        self.pass(200 * MILLISECOND);
        Some((nonce, request.call_id))
    }

    /// Sends the right password with a nonce; true when FreeSWITCH takes it.
    pub(crate) fn answer(&mut self, request: &mut Request, nonce: Nonce) -> bool {
        let username = request.to.clone();
        request.credentials = Some(Credentials { username, nonce, right: true });
        self.send(request) == Answer::Ok
    }

    /// Logs out again.
    pub(crate) fn log_out(&mut self, host: SocketAddr, user: &Name, nonce: Nonce, call_id: &Name) {
        let agent: Name = "Zoiper rv2.10".into();
        let mut request = self.request(host, user, &agent);
        request.call_id = call_id.clone();
        request.expires = Duration::ZERO;
        self.answer(&mut request, nonce);
        self.pass(200 * MILLISECOND);
    }

    /// An unauthenticated call that the dialplan reports.
    pub(crate) fn report(&mut self, source: SocketAddr, proved: bool) {
        self.dialplan(source, Kind::Report { proved });
    }

    /// Users whose numbers an attacker knows.
    pub(crate) fn users(&mut self, count: usize) -> Vec<Name> {
        (0..count).map(|_| self.fresh("20")).collect()
    }

    /// A random address of an IPv6 network of so many bits.
    pub(crate) fn inside(&mut self, net: Ipv6Addr, bits: u32) -> SocketAddr {
        let host = u128::from(self.random.u64(..)) << 64 | u128::from(self.random.u64(1..));
        let host = host & (u128::MAX >> bits);
        let addr = Ipv6Addr::from_bits(net.to_bits() & !(u128::MAX >> bits) | host);
        SocketAddr::new(addr.into(), self.random.u16(1_025..))
    }

    /// A network of an attacker's own.
    pub(crate) fn network6(&mut self) -> Ipv6Addr {
        Ipv6Addr::new(
            0x2a0d,
            self.random.u16(..),
            self.random.u16(..),
            self.random.u16(..),
            0,
            0,
            0,
            1,
        )
    }
}
