use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use sipward_esl::Password;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

const EVENT: &str =
    "Content-Length: 23\nContent-Type: text/event-plain\n\nEvent-Name: HEARTBEAT\n\n";
const LINE: &str = "Content-Type: log/data\nContent-Length: 2\nLog-Level: 4\n\nx\n";

/// Longest wait for anything; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// An Event Socket played by the test.
struct FreeSwitch(TcpListener);

impl FreeSwitch {
    async fn start() -> (Self, Credentials) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let credentials = Credentials {
            host: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
            user: None,
            password: Password::new("ClueCon").unwrap(),
        };
        (Self(listener), credentials)
    }

    /// Takes a client through login, subscription and the wish for the log.
    async fn recorder(&self, log_reply: &str) -> TcpStream {
        let (mut stream, _) = timeout(PATIENCE, self.0.accept()).await.unwrap().unwrap();
        stream.write_all(GREETING).await.unwrap();
        for (command, reply) in
            [("auth ClueCon", "+OK accepted"), ("event plain", "+OK"), ("log 4", log_reply)]
        {
            let asked = read_command(&mut stream).await;
            assert!(asked.starts_with(command), "{asked}");
            let reply = format!("Content-Type: command/reply\nReply-Text: {reply}\n\n");
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
        stream
    }
}

async fn read_command(stream: &mut TcpStream) -> String {
    let mut command = Vec::new();
    while !command.ends_with(b"\n\n") {
        command.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(command).unwrap()
}

/// A recording under way.
struct Recording {
    task: JoinHandle<Result<Totals, RecordError>>,
    stop: CancellationToken,
    news: Arc<Mutex<Vec<String>>>,
    frames: tokio::sync::watch::Receiver<u64>,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Recording {
    fn start(credentials: Credentials, max_size: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("esl.raw");
        let pieces = Pieces::create(&path, max_size, 9).unwrap();
        let stop = CancellationToken::new();
        let news = Arc::new(Mutex::new(Vec::new()));
        let (saved, frames) = tokio::sync::watch::channel(0);
        let (told, stopped) = (Arc::clone(&news), stop.clone());
        let task = tokio::spawn(async move {
            record(&credentials, pieces, stopped, |news| match news {
                News::Saved(totals) => drop(saved.send(totals.frames)),
                News::Connected => told.lock().unwrap().push("connected".to_owned()),
                News::Lost(error) => told.lock().unwrap().push(format!("lost: {error}")),
                News::NoLog(reply) => told.lock().unwrap().push(format!("no log: {reply}")),
            })
            .await
        });
        Self { task, stop, news, frames, path, _dir: dir }
    }

    async fn saved(&mut self, frames: u64) {
        let enough = self.frames.wait_for(|saved| *saved >= frames);
        timeout(PATIENCE, enough).await.unwrap().unwrap();
    }

    async fn end(self) -> (Totals, String, Vec<String>) {
        self.stop.cancel();
        let totals = timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
        let pieces = (1..=9).rev().map(|n| format!("{}.{n}", self.path.display()));
        let files = pieces.chain([self.path.display().to_string()]);
        let written: Vec<String> =
            files.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
        let news = self.news.lock().unwrap().clone();
        (totals, written.join("|"), news)
    }
}

fn greeting() -> &'static str {
    std::str::from_utf8(GREETING).unwrap()
}

#[tokio::test]
async fn what_comes_after_the_login_is_saved_byte_for_byte() {
    let (freeswitch, credentials) = FreeSwitch::start().await;
    let mut recording = Recording::start(credentials, 1 << 20);
    let mut client = freeswitch.recorder("+OK log level 4").await;
    client.write_all(format!("{EVENT}{LINE}\n{EVENT}").as_bytes()).await.unwrap();
    // Half a frame is none.
    client.write_all(b"Content-Length: 500\n").await.unwrap();
    recording.saved(3).await;
    let (totals, written, news) = recording.end().await;
    assert_eq!(written, format!("{}{EVENT}{LINE}{EVENT}", greeting()));
    assert_eq!((totals.frames, totals.dropped, totals.pieces), (3, 0, 1));
    assert_eq!(news, ["connected"]);
    assert!(!written.contains("ClueCon"));
}

#[tokio::test]
async fn a_lost_connection_is_told_marked_and_made_again() {
    let (freeswitch, credentials) = FreeSwitch::start().await;
    let mut recording = Recording::start(credentials, 1 << 20);
    let mut client = freeswitch.recorder("+OK").await;
    client.write_all(EVENT.as_bytes()).await.unwrap();
    recording.saved(1).await;
    drop(client);
    let mut client = freeswitch.recorder("-ERR permission denied").await;
    client.write_all(EVENT.as_bytes()).await.unwrap();
    recording.saved(2).await;
    let (totals, written, news) = recording.end().await;
    let mark = greeting();
    assert_eq!(written, format!("{mark}{EVENT}{mark}{EVENT}"));
    assert_eq!((totals.frames, totals.reconnects), (2, 1));
    let lost = "lost: FreeSWITCH closed the connection";
    assert_eq!(news, ["connected", lost, "connected", "no log: -ERR permission denied"]);
}

#[tokio::test]
async fn each_file_begins_with_a_whole_frame() {
    let (freeswitch, credentials) = FreeSwitch::start().await;
    let mut recording = Recording::start(credentials, 200);
    let mut client = freeswitch.recorder("+OK").await;
    client.write_all(EVENT.repeat(5).as_bytes()).await.unwrap();
    recording.saved(5).await;
    let (totals, written, _) = recording.end().await;
    let two = EVENT.repeat(2);
    assert_eq!(written, format!("{}{two}|{two}|{EVENT}", greeting()));
    assert_eq!(totals.pieces, 3);
}

#[tokio::test]
async fn a_wrong_password_ends_the_recording_before_it_begins() {
    let (freeswitch, credentials) = FreeSwitch::start().await;
    let recording = Recording::start(credentials, 1 << 20);
    let (mut client, _) = freeswitch.0.accept().await.unwrap();
    client.write_all(GREETING).await.unwrap();
    read_command(&mut client).await;
    let refusal = b"Content-Type: command/reply\nReply-Text: -ERR invalid\n\n";
    client.write_all(refusal).await.unwrap();
    let ended = timeout(PATIENCE, recording.task).await.unwrap().unwrap();
    assert!(matches!(ended, Err(RecordError::Client(ClientError::WrongPassword { .. }))));
}

#[tokio::test]
async fn an_event_beyond_every_measure_is_shortened_and_whole_again_on_replay() {
    let agent = "x".repeat(MAX_BODY + 1);
    let body = format!(
        "Event-Name: HEARTBEAT\nEvent-Date-Timestamp: 1795338080000000\nuser-agent: {agent}\n\n"
    );
    let length = body.len();
    let frame = format!("Content-Length: {length}\nContent-Type: text/event-plain\n\n{body}");
    let line = format!("Content-Type: log/data\nContent-Length: {length}\nLog-Level: 4\n\n{body}");
    let (freeswitch, credentials) = FreeSwitch::start().await;
    let mut recording = Recording::start(credentials, 1 << 20);
    let mut client = freeswitch.recorder("+OK").await;
    client.write_all(format!("{frame}{line}{EVENT}").as_bytes()).await.unwrap();
    recording.saved(2).await;
    let (totals, written, _) = recording.end().await;
    assert_eq!((totals.frames, totals.dropped), (2, 1), "the end of the line is missing");
    assert!(written.len() < 8 * 1024, "{}", written.len());
    let local = crate::Local::new(jiff::tz::TimeZone::UTC, sipward_engine::Timestamp::EPOCH);
    let mut sources =
        [crate::Source::new("test".as_ref(), std::io::Cursor::new(written.into_bytes()), local)
            .unwrap()];
    crate::play(&mut sources, &mut [], || {});
    let [source] = sources;
    let tally = source.tally();
    assert_eq!((tally.events, tally.damaged, tally.unusable), (2, 0, 0));
}
