//! A small name server on loopback.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub const A: u16 = 1;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;
pub const NAPTR: u16 = 35;

/// Answers until it is dropped.
pub struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Zone {
    records: BTreeMap<(String, u16), Reply>,
    asked: BTreeMap<(String, u16), usize>,
}

enum Reply {
    Records { ttl: u32, data: Vec<Vec<u8>> },
    Failure,
}

impl NameServer {
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap();
        let (zone, stop) =
            (Arc::new(Mutex::new(Zone::default())), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (zone, stop) = (Arc::clone(&zone), Arc::clone(&stop));
            thread::spawn(move || {
                let mut question = [0; 1_500];
                while !stop.load(Ordering::Relaxed) {
                    if let Ok((length, from)) = socket.recv_from(&mut question) {
                        let answer = zone.lock().unwrap().answer(&question[..length]);
                        let _ = socket.send_to(&answer, from);
                    }
                }
            })
        };
        Self { address, zone, stop, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `values`: addresses, targets of SRV, or `FLAGS SERVICE REPLACEMENT` of NAPTR.
    pub fn put(&self, name: &str, kind: u16, ttl: u32, values: &[&str]) {
        let data = values.iter().map(|value| data(kind, value)).collect();
        self.set(name, kind, Reply::Records { ttl, data });
    }

    /// SERVFAIL from now on.
    pub fn fail(&self, name: &str, kind: u16) {
        self.set(name, kind, Reply::Failure);
    }

    /// How often this was asked for.
    pub fn asked(&self, name: &str, kind: u16) -> usize {
        self.zone.lock().unwrap().asked.get(&(name.to_owned(), kind)).copied().unwrap_or_default()
    }

    fn set(&self, name: &str, kind: u16, reply: Reply) {
        self.zone.lock().unwrap().records.insert((name.to_owned(), kind), reply);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Zone {
    fn answer(&mut self, question: &[u8]) -> Vec<u8> {
        let (name, end) = read_name(question, 12);
        let kind = u16::from_be_bytes([question[end], question[end + 1]]);
        *self.asked.entry((name.clone(), kind)).or_default() += 1;
        let empty = Vec::new();
        let (code, ttl, data) = match self.records.get(&(name, kind)) {
            Some(Reply::Records { ttl, data }) => (0, *ttl, data),
            Some(Reply::Failure) => (2, 0, &empty),
            None => (0, 0, &empty),
        };
        let mut answer = question[..2].to_vec();
        answer.extend([0x85, 0x80 | code, 0, 1]);
        answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        answer.extend([0; 4]);
        answer.extend(&question[12..end + 4]);
        for data in data {
            answer.extend([0xc0, 0x0c]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1]);
            answer.extend(ttl.to_be_bytes());
            answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            answer.extend(data);
        }
        answer
    }
}

fn data(kind: u16, value: &str) -> Vec<u8> {
    match kind {
        A => value.parse::<Ipv4Addr>().unwrap().octets().to_vec(),
        AAAA => value.parse::<Ipv6Addr>().unwrap().octets().to_vec(),
        SRV => {
            let mut data = [10_u16, 1, 5060].map(u16::to_be_bytes).concat();
            data.extend(write_name(value));
            data
        }
        NAPTR => {
            let words: Vec<&str> = value.split(' ').collect();
            let mut data = [10_u16, 20].map(u16::to_be_bytes).concat();
            for text in [words[0], words[1], ""] {
                data.push(u8::try_from(text.len()).unwrap());
                data.extend(text.bytes());
            }
            data.extend(write_name(words[2]));
            data
        }
        other => panic!("no data of kind {other}"),
    }
}

fn write_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut data: Vec<u8> = labels
        .flat_map(|label| std::iter::once(u8::try_from(label.len()).unwrap()).chain(label.bytes()))
        .collect();
    data.push(0);
    data
}

fn read_name(message: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    while message[at] != 0 {
        let end = at + 1 + usize::from(message[at]);
        labels.push(String::from_utf8_lossy(&message[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}
