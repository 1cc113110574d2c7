//! The thread with the sockets.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener as StdListener, UdpSocket as StdUdp};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::Shared;
use super::request::{self, Request};
use super::window::Window;

/// Longest datagram.
const DATAGRAM: usize = 64 * 1_024;
/// Datagrams handled before connections get their turn.
const TURN: usize = 64;

/// The sockets of one profile.
pub(super) struct Sockets {
    pub(super) name: String,
    pub(super) udp: StdUdp,
    pub(super) tcp: StdListener,
}

/// One profile at work.
struct Profile {
    name: String,
    shared: Arc<Shared>,
    window: RefCell<Window>,
}

/// Serves until `stopped`.
pub(super) async fn run(
    sockets: Vec<Sockets>,
    shared: Arc<Shared>,
    max_requests: u32,
    stopped: oneshot::Receiver<()>,
) {
    let set = LocalSet::new();
    for Sockets { name, udp, tcp } in sockets {
        let window = RefCell::new(Window::new(max_requests, Instant::now()));
        let profile = Rc::new(Profile { name, shared: Arc::clone(&shared), window });
        let udp = UdpSocket::from_std(udp).expect("a socket that does not block");
        let tcp = TcpListener::from_std(tcp).expect("a socket that does not block");
        set.spawn_local(datagrams(Rc::clone(&profile), udp));
        set.spawn_local(connections(profile, tcp));
    }
    // Ends with its handle.
    let _ = set.run_until(stopped).await;
}

async fn datagrams(profile: Rc<Profile>, socket: UdpSocket) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        // An ICMP answer to an earlier datagram is no error of this one.
        let _ = socket.readable().await;
        for _ in 0..TURN {
            let Ok((length, source)) = socket.try_recv_from(&mut buffer) else { break };
            let text = buffer.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
            let Some(answer) = text.and_then(|text| profile.hear(text, source)) else { continue };
            let _ = socket.try_send_to(answer.as_bytes(), source);
        }
        tokio::task::yield_now().await;
    }
}

async fn connections(profile: Rc<Profile>, listener: TcpListener) {
    loop {
        // The other end may be gone before it is looked at.
        let Ok((stream, source)) = listener.accept().await else { continue };
        tokio::task::spawn_local(connection(Rc::clone(&profile), stream, source));
    }
}

async fn connection(profile: Rc<Profile>, mut stream: TcpStream, source: SocketAddr) {
    let mut waiting = Vec::new();
    let mut buffer = vec![0; DATAGRAM];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        waiting.extend_from_slice(buffer.get(..length).unwrap_or_default());
        let mut answers = String::new();
        loop {
            match request::next(&mut waiting) {
                Ok(Some(message)) => answers.extend(profile.hear(&message, source)),
                Ok(None) => break,
                Err(()) => return,
            }
        }
        if stream.write_all(answers.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Profile {
    /// Counts a message if it is a request, and answers it unless it is dropped.
    fn hear(&self, text: &str, source: SocketAddr) -> Option<String> {
        let request = Request::read(text)?;
        let now = Instant::now();
        let heard = self.window.borrow_mut().admits(now);
        let verdict = {
            let mut state = self.shared.lock();
            state.counts.entry(self.name.clone()).or_default().note(source.ip(), !heard);
            heard.then(|| state.registrar.judge(&request, source, &self.name, now))?
        };
        if let Some((attempt, outcome)) = &verdict.outcome {
            self.shared.emitter.emit(attempt, *outcome);
        }
        verdict.answer
    }
}
