//! A phone that registers several times a second.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::socket::ManySocket;
use super::text::{Answer, Draft, password_of};
use crate::netns::Host;

/// How long the last answers may take on a busy machine.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Longest rest between two looks at the socket.
const REST: Duration = Duration::from_millis(2);

/// A phone: each of its registrations is a REGISTER, a challenge, a REGISTER with the right password, and each
/// packet is sent once. So what is lost on the way, either way, is a registration that fails.
#[derive(Clone, Debug)]
pub struct Phone {
    /// Its address, one of its host's.
    pub address: IpAddr,
    /// Its user; its password is [`password_of`](super::password_of) it.
    pub user: String,
    /// Where it registers.
    pub server: SocketAddr,
    /// Time between two registrations.
    pub every: Duration,
}

/// What became of its registrations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Registrations that it began.
    pub begun: u32,
    /// Those of them that got their 200.
    pub registered: u32,
}

impl Heard {
    /// Registrations that came to nothing.
    #[must_use]
    pub fn lost(self) -> u32 {
        self.begun - self.registered
    }
}

/// A phone at work.
#[derive(Debug)]
pub struct Calling {
    goes_on: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Registration>>,
}

/// One registration.
#[derive(Clone, Copy, Debug)]
struct Registration {
    begun: Instant,
    registered: bool,
}

impl Phone {
    /// One that registers five times a second.
    #[must_use]
    pub fn new(address: &str, user: &str, server: SocketAddr) -> Self {
        let address = address.parse().expect("an address");
        Self { address, user: user.to_owned(), server, every: Duration::from_millis(200) }
    }

    /// Registers from a thread of its own until it is stopped.
    #[must_use]
    pub fn start(self, host: &Host) -> Calling {
        let goes_on = Arc::new(AtomicBool::new(true));
        let socket = ManySocket::open(host, 0, self.address.is_ipv4());
        let wanted = Arc::clone(&goes_on);
        Calling { goes_on, thread: thread::spawn(move || self.run(&socket, &wanted)) }
    }

    fn run(&self, socket: &ManySocket, goes_on: &AtomicBool) -> Vec<Registration> {
        let password = password_of(&self.user);
        let call_id = format!("phone-{}-{}", self.user, self.address);
        let send = |cseq, answer: Option<(&str, &str)>| {
            let request = Draft {
                method: "REGISTER",
                from: SocketAddr::new(self.address, socket.port()),
                user: &self.user,
                call_id: &call_id,
                cseq,
                answer,
                transport: "UDP",
            };
            socket.send(self.address, self.server, request.text().as_bytes());
        };
        let mut all: Vec<Registration> = Vec::new();
        // CSeq of each packet that may be answered, and which registration it is of.
        let mut open: HashMap<u32, usize> = HashMap::new();
        let mut cseq = 0;
        let mut due = Instant::now();
        let mut last_look = None;
        let mut buffer = [0; 4_096];
        loop {
            let now = Instant::now();
            if goes_on.load(Ordering::Relaxed) {
                if now >= due {
                    cseq += 1;
                    open.insert(cseq, all.len());
                    all.push(Registration { begun: now, registered: false });
                    send(cseq, None);
                    due += self.every;
                }
            } else {
                let until = *last_look.get_or_insert(now + LAST_ANSWERS);
                if open.is_empty() || now >= until {
                    return all;
                }
            }
            let Some(message) = socket.receive(&mut buffer) else {
                thread::sleep(REST);
                continue;
            };
            let Some(answer) = Answer::read(message) else { continue };
            let Some(place) = open.remove(&answer.cseq) else { continue };
            match (answer.status, answer.nonce) {
                (200, _) => all[place].registered = true,
                (401, Some(nonce)) => {
                    cseq += 1;
                    open.insert(cseq, place);
                    send(cseq, Some((nonce, &password)));
                }
                _ => {}
            }
        }
    }
}

impl Calling {
    /// Begins no further registration, waits for the last answers and returns the counts.
    #[must_use]
    pub fn stop(self) -> Heard {
        let all = self.finish();
        let count = |n: usize| u32::try_from(n).expect("few registrations");
        Heard {
            begun: count(all.len()),
            registered: count(all.iter().filter(|one| one.registered).count()),
        }
    }

    /// As [`Calling::stop`], and also how long its longest row of failures lasted.
    #[must_use]
    pub fn stop_and_measure(self) -> (Heard, Duration) {
        let all = self.finish();
        let count = |n: usize| u32::try_from(n).expect("few registrations");
        let mut longest = Duration::ZERO;
        let mut out_since: Option<Instant> = None;
        for one in &all {
            match (one.registered, out_since) {
                (true, Some(since)) => {
                    longest = longest.max(one.begun - since);
                    out_since = None;
                }
                (false, None) => out_since = Some(one.begun),
                _ => {}
            }
        }
        if let (Some(since), Some(last)) = (out_since, all.last()) {
            longest = longest.max(last.begun - since);
        }
        let registered = count(all.iter().filter(|one| one.registered).count());
        (Heard { begun: count(all.len()), registered }, longest)
    }

    fn finish(self) -> Vec<Registration> {
        self.goes_on.store(false, Ordering::Relaxed);
        self.thread.join().expect("the phone's thread")
    }
}
