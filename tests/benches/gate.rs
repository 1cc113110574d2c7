//! What the gate costs a packet, without and with the shield, in the same run: packets that are not SIP, in
//! and out, and packets to a SIP port of strangers and of healthy hosts.
//!
//! A veth pair delivers within the sender's call, so the time of many sends is the sender's work and the
//! receiver's up to a socket without a reader. The rows differ by the gate alone.
//!
//! ```text
//! cargo bench -p sipward-tests --bench gate
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot measure ends"
)]

use std::net::{IpAddr, UdpSocket};
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sipward_route::{Enforcer, GateSettings, Report, Settings, Shield};
use sipward_tests::netns::{Host, enter_user_namespace, wire};
use tokio::sync::{mpsc, oneshot};

/// Packets in one run.
const PACKETS: u32 = 100_000;
/// Runs of each; the fastest counts, because everything else on the machine only slows.
const RUNS: usize = 15;
/// Healthy hosts in the kernel.
const HEALTHY: u32 = 10_000;

const PBX: &str = "192.0.2.1";
const STRANGER: &str = "192.0.2.66";
const PHONE: &str = "192.0.2.7";
const SIP: u16 = 5060;
const MEDIA: u16 = 20_000;

fn main() -> ExitCode {
    if let Err(refused) = enter_user_namespace() {
        eprintln!("{refused}");
        return ExitCode::FAILURE;
    }
    let ungated = Line::new(None);
    let without = GateSettings { shield: None, ..GateSettings::default() };
    let gated = Line::new(Some(without));
    let shielded = Line::new(Some(GateSettings::default()));
    println!("ns a packet, best of {RUNS} runs of {PACKETS}; {HEALTHY} healthy hosts\n");
    println!("{:<34}{:>8}{:>8}{:>8}{:>10}", "", "no gate", "gate", "shield", "shield");
    for (name, case) in CASES {
        let mut best = [Duration::MAX; 3];
        // In turn, so that whatever else the machine does slows all.
        for _ in 0..RUNS {
            for (line, best) in [&ungated, &gated, &shielded].into_iter().zip(&mut best) {
                *best = line.run(case).min(*best);
            }
        }
        let [none, gate, shield] = best.map(|time| time.as_nanos() / u128::from(PACKETS));
        let more = (f64::from(u32::try_from(shield).unwrap())
            / f64::from(u32::try_from(gate).unwrap())
            - 1.0)
            * 100.0;
        println!("{name:<34}{none:>8}{gate:>8}{shield:>8}{more:>+9.1} %");
    }
    for line in [ungated, gated, shielded] {
        line.end();
    }
    ExitCode::SUCCESS
}

/// Who sends what.
#[derive(Clone, Copy, Debug)]
enum Case {
    /// Arrives for a port.
    In { from: &'static str, port: u16 },
    /// Leaves from a port.
    Out { port: u16 },
}

const CASES: [(&str, Case); 5] = [
    ("arrives, not SIP", Case::In { from: STRANGER, port: MEDIA }),
    ("leaves, not SIP", Case::Out { port: MEDIA }),
    ("leaves from a SIP port", Case::Out { port: SIP }),
    ("arrives for SIP, of a stranger", Case::In { from: STRANGER, port: SIP }),
    ("arrives for SIP, of a phone", Case::In { from: PHONE, port: SIP }),
];

/// A PBX and its neighbour, with an enforcer or without.
struct Line {
    pbx: Host,
    neighbour: Host,
    enforcer: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Line {
    fn new(gate: Option<GateSettings>) -> Self {
        let (pbx, neighbour) = (Host::new("pbx"), Host::new("neighbour"));
        wire((&pbx, "eth0"), (&neighbour, "eth0"));
        pbx.address("eth0", &format!("{PBX}/24"));
        for address in [STRANGER, PHONE] {
            neighbour.address("eth0", &format!("{address}/24"));
        }
        let enforcer = gate.map(|gate| enforce(&pbx, gate));
        Self { pbx, neighbour, enforcer }
    }

    fn run(&self, case: Case) -> Duration {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (sender, receiver) = match case {
            Case::In { from, port } => (
                self.neighbour.run(|| UdpSocket::bind((ip(from), 0))).unwrap(),
                self.pbx.run(|| UdpSocket::bind((ip(PBX), port))).unwrap(),
            ),
            Case::Out { port } => (
                self.pbx.run(|| UdpSocket::bind((ip(PBX), port))).unwrap(),
                self.neighbour.run(|| UdpSocket::bind((ip(PHONE), 0))).unwrap(),
            ),
        };
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        let packet = [b'x'; 200];
        let send = |count: u32| {
            for _ in 0..count {
                // A full socket drops, which is no error of the sender.
                let _ = sender.send(&packet);
            }
        };
        // Until the socket is full.
        send(2_000);
        let began = Instant::now();
        send(PACKETS);
        began.elapsed()
    }

    fn end(self) {
        if let Some((stop, thread)) = self.enforcer {
            drop(stop);
            thread.join().unwrap();
        }
    }
}

fn enforce(pbx: &Host, gate: GateSettings) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let is_shielded = gate.shield.is_some();
    let settings = Settings { gate, ..Settings::default() };
    let thread = pbx.spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (enforcer, found) = Enforcer::open(settings).await.expect("an open kernel side");
            assert!(found.coverage.gate && found.coverage.gaps.is_empty(), "{:?}", found.coverage);
            let hosts = Shield::default();
            let first = u32::from_be_bytes([10, 0, 0, 0]);
            let host = |n: u32| (IpAddr::from((first + n).to_be_bytes()).into(), 1);
            let phone: IpAddr = PHONE.parse().unwrap();
            hosts.replace((0..HEALTHY - 1).map(host).chain([(phone.into(), 1)]));
            hosts.complete();
            let (_changes, change_queue) = mpsc::channel(1);
            let (report_queue, mut reports) = mpsc::channel(64);
            let running = enforcer.shield_by(hosts).run(change_queue, report_queue, stopped);
            tokio::pin!(running);
            if !is_shielded {
                ready.send(()).unwrap();
            }
            loop {
                tokio::select! {
                    ended = &mut running => return ended.expect("an orderly end"),
                    report = reports.recv() => {
                        if let Some(Report::Shielded { .. }) = report {
                            ready.send(()).unwrap();
                        }
                    }
                }
            }
        });
    });
    is_ready.recv().unwrap();
    (stop, thread)
}
