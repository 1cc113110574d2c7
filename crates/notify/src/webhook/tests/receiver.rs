//! A receiver of webhooks on loopback.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufStream,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::tests::PATIENCE;

/// How the receiver answers one request; 204 when nothing more is said.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Status(u16),
    /// Closes without a word.
    HangUp,
    /// Answers 204, and closes without having said so.
    LastWord,
}

/// A request as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Posted {
    pub(super) line: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

pub(super) struct Receiver {
    url: String,
    posted: mpsc::UnboundedReceiver<Posted>,
    connections: Arc<AtomicUsize>,
}

type Script = Arc<Mutex<VecDeque<Answer>>>;

impl Receiver {
    pub(super) async fn start(answers: &[Answer]) -> Self {
        Self::listen(answers, None).await
    }

    pub(super) async fn over_tls(acceptor: TlsAcceptor) -> Self {
        Self::listen(&[], Some(acceptor)).await
    }

    async fn listen(answers: &[Answer], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let (out, posted) = mpsc::unbounded_channel();
        let script: Script = Arc::new(Mutex::new(answers.iter().copied().collect()));
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (script, out) = (Arc::clone(&script), out.clone());
                match &tls {
                    None => drop(tokio::spawn(serve(stream, script, out))),
                    // One that does not trust us is gone again.
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            tokio::spawn(serve(stream, script, out));
                        }
                    }
                }
            }
        });
        Self { url, posted, connections }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(super) async fn next(&mut self) -> Posted {
        tokio::time::timeout(PATIENCE, self.posted.recv()).await.expect("nothing came").unwrap()
    }

    pub(super) fn rest(&mut self) -> Vec<Posted> {
        std::iter::from_fn(|| self.posted.try_recv().ok()).collect()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    script: Script,
    out: mpsc::UnboundedSender<Posted>,
) {
    let mut stream = BufStream::new(stream);
    while let Some(posted) = read(&mut stream).await {
        let answer = script.lock().unwrap().pop_front().unwrap_or(Answer::Status(204));
        out.send(posted).unwrap();
        let status = match answer {
            Answer::HangUp => return,
            Answer::Status(status) => status,
            Answer::LastWord => 204,
        };
        let text =
            format!("HTTP/1.1 {status} x\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
        // 204 has no length (RFC 9110 section 8.6).
        let text = if status == 204 { text.replace("Content-Length: 0\r\n", "") } else { text };
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        if matches!(answer, Answer::LastWord) {
            return;
        }
    }
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>) -> Option<Posted> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.unwrap_or_default() == 0 {
        return None;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.unwrap();
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    Some(Posted { line: line.trim_end().to_owned(), headers, body })
}
