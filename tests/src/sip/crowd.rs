//! Phones that register at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use super::socket::ManySocket;
use super::text::{Answer, Draft, password_of};
use crate::netns::Host;

/// Time to the first retransmission (RFC 3261 section 17.1.2.2, T1); each further one takes twice as long.
const T1: Duration = Duration::from_millis(500);
/// Longest time between two retransmissions (T2).
const T2: Duration = Duration::from_secs(4);
/// When a request is given up (timer F, 64 × T1).
const TIMER_F: Duration = Duration::from_secs(32);
/// Rest of a phone before it begins anew.
const PAUSE: Duration = Duration::from_secs(5);
/// Longest rest between two looks at the socket.
const REST: Duration = Duration::from_millis(1);

/// Phones, each with an address of its own. They retransmit as RFC 3261 says, and begin anew 5 s after they have
/// given up.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// The address of each.
    pub addresses: Vec<IpAddr>,
    /// User of the first; each further one has the next number.
    pub first_user: u32,
    /// Where they register.
    pub server: SocketAddr,
    /// Time from the first that begins to the last; zero is all at once.
    pub spread: Duration,
    /// Whether they retransmit and begin anew. If not, each packet is sent once.
    pub patient: bool,
}

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// How long each took that got in, shortest first.
    pub took: Vec<Duration>,
    /// Phones that did not within the limit.
    pub out: usize,
    /// Packets that they sent.
    pub sent: u64,
}

#[derive(Clone, Debug)]
struct Member {
    address: IpAddr,
    user: String,
    cseq: u32,
    nonce: Option<String>,
    /// When the present request was first sent, or is to be.
    begun: Instant,
    /// Time to the next retransmission.
    pause: Duration,
    took: Option<Duration>,
}

impl Crowd {
    /// Registers them all; returns when the last is in or `limit` is over.
    #[must_use]
    pub fn register(&self, host: &Host, limit: Duration) -> Registered {
        let is_ipv4 = self.server.is_ipv4();
        let mut work = Work {
            socket: ManySocket::open(host, 0, is_ipv4),
            server: self.server,
            began: Instant::now(),
            sent: 0,
        };
        let began = work.began;
        let count = u32::try_from(self.addresses.len()).expect("a crowd that fits").max(1);
        let mut members: Vec<Member> = (self.first_user..)
            .zip(&self.addresses)
            .enumerate()
            .map(|(place, (user, address))| Member {
                address: *address,
                user: user.to_string(),
                cseq: 1,
                nonce: None,
                begun: began + self.spread * u32::try_from(place).unwrap_or(u32::MAX) / count,
                pause: Duration::ZERO,
                took: None,
            })
            .collect();
        // When each member sends next.
        let mut due: BinaryHeap<Reverse<(Instant, usize, u32)>> = BinaryHeap::new();
        due.extend(members.iter().enumerate().map(|(n, member)| Reverse((member.begun, n, 1))));
        let mut out = members.len();
        let mut buffer = [0; 4_096];
        while out > 0 && began.elapsed() < limit {
            while let Some(message) = work.socket.receive(&mut buffer) {
                let Some((place, cseq)) = work.hear(&mut members, message) else { continue };
                match cseq {
                    None => out -= 1,
                    Some(cseq) => due.push(Reverse((Instant::now() + T1, place, cseq))),
                }
            }
            let now = Instant::now();
            while let Some(Reverse((_, place, cseq))) =
                due.peek().copied().filter(|Reverse((at, ..))| *at <= now)
            {
                due.pop();
                let member = &mut members[place];
                let is_first = member.pause.is_zero();
                if (is_first || self.patient) && member.took.is_none() && member.cseq == cseq {
                    let again = work.again(place, member, now);
                    due.push(Reverse((again, place, member.cseq)));
                }
            }
            thread::sleep(REST);
        }
        let mut took: Vec<Duration> = members.iter().filter_map(|member| member.took).collect();
        took.sort_unstable();
        Registered { took, out, sent: work.sent }
    }
}

struct Work {
    socket: ManySocket,
    server: SocketAddr,
    began: Instant,
    sent: u64,
}

impl Work {
    fn send(&mut self, place: usize, member: &Member) {
        let Member { address, user, cseq, nonce, .. } = member;
        let (call_id, password) = (format!("crowd-{place}"), password_of(user));
        let request = Draft {
            method: "REGISTER",
            from: SocketAddr::new(*address, self.socket.port()),
            user,
            call_id: &call_id,
            cseq: *cseq,
            answer: nonce.as_deref().map(|nonce| (nonce, password.as_str())),
            transport: "UDP",
        };
        self.socket.send(*address, self.server, request.text().as_bytes());
        self.sent += 1;
    }

    /// Takes an answer: the phone, and the number of its next request, `None` when it is in.
    fn hear(&mut self, members: &mut [Member], message: &str) -> Option<(usize, Option<u32>)> {
        let answer = Answer::read(message)?;
        let place: usize = answer.call_id.strip_prefix("crowd-")?.parse().ok()?;
        let member = members.get_mut(place)?;
        if member.took.is_some() || answer.cseq != member.cseq {
            return None;
        }
        match (answer.status, answer.nonce) {
            (200, _) => {
                member.took = Some(self.began.elapsed());
                Some((place, None))
            }
            (401, Some(nonce)) => {
                member.cseq += 1;
                member.nonce = Some(nonce.to_owned());
                (member.begun, member.pause) = (Instant::now(), T1);
                let cseq = member.cseq;
                self.send(place, &members[place]);
                Some((place, Some(cseq)))
            }
            (status, _) => panic!("user {} with the right password got {status}", member.user),
        }
    }

    /// Sends the present request once more, or gives it up; when to look again.
    fn again(&mut self, place: usize, member: &mut Member, now: Instant) -> Instant {
        if member.pause.is_zero() {
            member.pause = T1;
        } else if now - member.begun >= TIMER_F + PAUSE {
            member.cseq += 1;
            member.nonce = None;
            (member.begun, member.pause) = (now, T1);
        } else if now - member.begun >= TIMER_F {
            return member.begun + TIMER_F + PAUSE;
        } else {
            member.pause = (member.pause * 2).min(T2);
        }
        self.send(place, member);
        now + member.pause
    }
}
