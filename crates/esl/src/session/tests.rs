mod commands;

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
    time::{advance, sleep, timeout},
};

use super::{Backoff, Dial, Dialled, Notice, Notices, SessionConfig, SessionHandle, session};
use crate::{
    CoreUuid, Format, Password, Subscription,
    client::{ClientError, Connection},
};

/// Longest wait for the session. Time is paused in these tests: it ends at once when nothing is left to do.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Bytes on their way in one direction.
const PIPE: usize = 64 * 1024;
const OLD: &str = "3833e5b9-30a6-4853-84cc-577f3c1402af";
const NEW: &str = "bbb079b7-fa04-4fa1-b75f-b1e4b044fc80";

/// An Event Socket played by the test.
struct FreeSwitch(mpsc::UnboundedReceiver<DuplexStream>);

/// One connection to it.
struct Client(DuplexStream);

/// The session's way to it.
struct InMemory(mpsc::UnboundedSender<DuplexStream>);

impl Dial for InMemory {
    type Stream = DuplexStream;

    async fn dial(&mut self, config: &SessionConfig) -> Result<Dialled<DuplexStream>, ClientError> {
        let (ours, theirs) = duplex(PIPE);
        self.0.send(theirs).map_err(|_| ClientError::Closed)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
        Ok((Connection::new(ours, config.limits), address, address))
    }
}

impl FreeSwitch {
    fn start() -> (Self, (InMemory, SessionConfig)) {
        let (dialled, accepted) = mpsc::unbounded_channel();
        (Self(accepted), (InMemory(dialled), config()))
    }

    async fn accept(&mut self) -> Client {
        Client(timeout(PATIENCE, self.0.recv()).await.expect("in time").expect("the session lives"))
    }

    /// Accepts, authenticates and takes the subscription.
    async fn subscribed(&mut self) -> Client {
        let mut client = self.accept().await;
        client.send("Content-Type: auth/request\n\n").await;
        assert_eq!(client.command().await, "auth ClueCon");
        client.reply("+OK accepted").await;
        let subscription = client.command().await;
        assert!(subscription.contains(" HEARTBEAT"), "{subscription}");
        client.reply("+OK event listener enabled").await;
        client
    }
}

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn reply(&mut self, text: &str) {
        self.send(&format!("Content-Type: command/reply\nReply-Text: {text}\n\n")).await;
    }

    async fn event(&mut self, headers: &str) {
        let body = format!("{headers}\n\n");
        self.frame("text/event-plain", &body).await;
    }

    async fn heartbeat(&mut self, core: &str) {
        self.event(&format!("Event-Name: HEARTBEAT\nCore-UUID: {core}")).await;
    }

    async fn frame(&mut self, content_type: &str, body: &str) {
        let length = body.len();
        self.send(&format!("Content-Length: {length}\nContent-Type: {content_type}\n\n{body}"))
            .await;
    }

    async fn command(&mut self) -> String {
        let mut command = Vec::new();
        while !command.ends_with(b"\n\n") {
            command.push(timeout(PATIENCE, self.0.read_u8()).await.unwrap().unwrap());
        }
        String::from_utf8(command).unwrap().trim_end().to_owned()
    }
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new("127.0.0.1", Password::new("ClueCon").unwrap());
    let (initial, max) = (Duration::from_millis(10), Duration::from_millis(40));
    config.backoff = Backoff::new(initial, max).with_jitter(0.0);
    config.refused_backoff = config.backoff;
    config.command_timeout = Duration::from_secs(2);
    config.optional = None;
    config
}

fn run((dial, config): (InMemory, SessionConfig)) -> (SessionHandle, Notices, JoinHandle<()>) {
    let (session, handle, notices) = session(config);
    (handle, notices, tokio::spawn(session.run_over(dial)))
}

async fn next(notices: &mut Notices) -> Notice {
    timeout(PATIENCE, notices.recv()).await.expect("in time").expect("the session lives")
}

/// Takes the session's subscription and waits until the session knows that it has one.
async fn connected(freeswitch: &mut FreeSwitch, notices: &mut Notices) -> Client {
    let client = freeswitch.subscribed().await;
    assert!(matches!(next(notices).await, Notice::Connected { .. }));
    client
}

/// The next notices, by their names.
async fn names(notices: &mut Notices, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        let notice = format!("{:?}", next(notices).await);
        names.push(notice.split(' ').next().unwrap().to_owned());
    }
    names
}

async fn disconnected(notices: &mut Notices) -> ClientError {
    loop {
        if let Notice::Disconnected { error, .. } = next(notices).await {
            return error;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn comes_back_subscribes_again_and_tells_what_it_missed() {
    let (mut freeswitch, config) = FreeSwitch::start();
    let (_handle, mut notices, _task) = run(config);

    let mut client = freeswitch.subscribed().await;
    client.heartbeat(OLD).await;
    assert_eq!(names(&mut notices, 2).await, ["Connected", "Event"]);
    drop(client);
    assert!(matches!(disconnected(&mut notices).await, ClientError::Closed));

    let mut client = connected(&mut freeswitch, &mut notices).await;
    let Notice::Blind { from, to } = next(&mut notices).await else { panic!("not blind") };
    assert!(from < to);
    client.heartbeat(NEW).await;
    let Notice::Restarted { old, new } = next(&mut notices).await else { panic!("not restarted") };
    assert_eq!(old, CoreUuid::parse(OLD.as_bytes()).unwrap());
    assert_eq!(new, CoreUuid::parse(NEW.as_bytes()).unwrap());
    assert!(matches!(next(&mut notices).await, Notice::Event { .. }));
}

#[tokio::test(start_paused = true)]
async fn the_same_core_is_no_restart_and_a_forged_one_none_either() {
    let (mut freeswitch, config) = FreeSwitch::start();
    let (_handle, mut notices, _task) = run(config);
    for _ in 0..2 {
        let mut client = freeswitch.subscribed().await;
        client.event(&format!("Event-Name: CUSTOM\nCommand: sendevent\nCore-UUID: {NEW}")).await;
        client.heartbeat(OLD).await;
        drop(client);
    }
    let mut seen = Vec::new();
    while seen.len() < 8 {
        seen.extend(names(&mut notices, 1).await);
    }
    let expected =
        ["Connected", "Event", "Event", "Disconnected", "Connected", "Blind", "Event", "Event"];
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_again_with_growing_waits() {
    let (mut freeswitch, config) = FreeSwitch::start();
    let (_handle, mut notices, _task) = run(config);
    for expected in [10, 20, 40, 40] {
        let mut client = freeswitch.accept().await;
        client.send("Content-Type: auth/request\n\n").await;
        assert_eq!(client.command().await, "auth ClueCon");
        client.reply("-ERR invalid").await;
        let Notice::Disconnected { error, retry_in } = next(&mut notices).await else { panic!() };
        assert!(matches!(error, ClientError::WrongPassword { .. }));
        assert_eq!(retry_in.as_millis(), expected);
    }
    freeswitch.subscribed().await;
    assert!(matches!(next(&mut notices).await, Notice::Connected { .. }));
}

#[tokio::test]
async fn nobody_listening_is_reported_with_the_address() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut config = config();
    config.port = listener.local_addr().unwrap().port();
    let port = config.port;
    drop(listener);
    let (session, _handle, mut notices) = session(config);
    tokio::spawn(session.run());
    let error = disconnected(&mut notices).await;
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_death() {
    let (mut freeswitch, mut config) = FreeSwitch::start();
    config.1.heartbeat_timeout = Duration::from_secs(60);
    let (_handle, mut notices, _task) = run(config);
    let mut client = freeswitch.subscribed().await;
    for _ in 0..4 {
        sleep(Duration::from_secs(59)).await;
        client.heartbeat(OLD).await;
    }
    let names = names(&mut notices, 5).await;
    assert_eq!(names, ["Connected", "Event", "Event", "Event", "Event"], "events keep it alive");
    // A reply is no event: the socket answers even where no events flow.
    client.reply("+OK").await;
    assert!(matches!(disconnected(&mut notices).await, ClientError::Silent { .. }));
}

/// As after a suspended host: the time is up, but what came meanwhile has not been read.
#[tokio::test(start_paused = true)]
async fn what_has_come_is_read_before_silence_is_judged() {
    let (mut freeswitch, mut config) = FreeSwitch::start();
    config.1.heartbeat_timeout = Duration::from_secs(60);
    let (_handle, mut notices, _task) = run(config);
    let mut client = connected(&mut freeswitch, &mut notices).await;
    client.heartbeat(OLD).await;
    // The session runs on this thread too: it sees the heartbeat and the end of its patience at once.
    advance(Duration::from_secs(90)).await;
    assert_eq!(names(&mut notices, 1).await, ["Event"]);
    client.heartbeat(OLD).await;
    assert_eq!(names(&mut notices, 1).await, ["Event"]);
}

#[tokio::test(start_paused = true)]
async fn damage_in_the_stream_ends_the_connection_after_what_was_whole() {
    let (mut freeswitch, config) = FreeSwitch::start();
    let (_handle, mut notices, _task) = run(config);
    let mut client = freeswitch.subscribed().await;
    client.send(&format!("{}Content-Length: x\n\n", "Content-Type: a/b\n\n")).await;
    assert_eq!(names(&mut notices, 2).await, ["Connected", "Unusable"]);
    assert!(matches!(disconnected(&mut notices).await, ClientError::Damaged(_)));
    freeswitch.subscribed().await;
}

#[tokio::test(start_paused = true)]
async fn whatever_is_no_event_is_told_too() {
    let (mut freeswitch, mut config) = FreeSwitch::start();
    config.1.subscription = Subscription::new(Format::Json);
    let (_handle, mut notices, _task) = run(config);
    let mut client = freeswitch.subscribed().await;
    client.frame("text/event-json", "{\"Event-Name\":\"HEARTBEAT\"}").await;
    client.frame("text/event-json", "{\"Event-Name\":").await;
    client.send("Content-Type: log/data\nContent-Length: 2\nLog-Level: 4\n\nx\n").await;
    client.send("Content-Type: log/data\nContent-Length: 2\n\nx\n").await;
    client.frame("text/event-xml", "<event/>").await;
    client.reply("+OK that nobody asked for").await;
    client.send("Content-Type: text/disconnect-notice\nContent-Disposition: linger\n\n").await;
    client.send("Content-Type: text/disconnect-notice\nContent-Length: 3\n\nbye").await;
    assert_eq!(
        names(&mut notices, 9).await,
        [
            "Connected",
            "Event",
            "Damaged",
            "Log",
            "Unusable",
            "Unusable",
            "Unusable",
            "Unusable",
            "Disconnected"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_notices_after_what_is_queued() {
    let (mut freeswitch, config) = FreeSwitch::start();
    let (handle, mut notices, task) = run(config);
    let mut client = connected(&mut freeswitch, &mut notices).await;
    handle.close();
    task.await.unwrap();
    assert!(notices.recv().await.is_none());
    assert_eq!(client.0.read(&mut [0]).await.unwrap(), 0, "closed at once, without a word");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_notices_ends_the_session_and_dropping_the_handle_does_not() {
    let (mut freeswitch, config) = FreeSwitch::start();
    let (handle, mut notices, task) = run(config);
    drop(handle);
    freeswitch.subscribed().await;
    assert!(matches!(next(&mut notices).await, Notice::Connected { .. }));
    drop(notices);
    timeout(PATIENCE, task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_sleeps_never_stops_the_reader() {
    let (mut freeswitch, mut config) = FreeSwitch::start();
    config.1.queue = 100;
    let (_handle, mut notices, _task) = run(config);
    let mut client = freeswitch.subscribed().await;
    let sent = 50_000;
    let flood = async {
        for _ in 0..sent / 100 {
            let event =
                "Content-Length: 23\nContent-Type: text/event-plain\n\nEvent-Name: HEARTBEAT\n\n";
            client.send(&event.repeat(100)).await;
        }
        // Proof that everything before it has been read.
        client.reply("+OK").await;
    };
    timeout(PATIENCE, flood).await.expect("the reader never waits");
    let mut seen = 0;
    while seen < sent {
        match next(&mut notices).await {
            Notice::Event { .. } => seen += 1,
            Notice::Overflow { dropped } => seen += dropped,
            _ => {}
        }
    }
    assert!(seen <= sent + 1, "every event is reported, as itself or as dropped");
}

/// However fast the events come, a consumer that keeps up loses none of them to the session's own haste.
///
/// Over TCP: a thread of its own floods the socket, faster than the session reads.
#[tokio::test]
async fn the_consumer_gets_its_turn_in_a_flood() {
    const EVENT: &[u8] =
        b"Content-Length: 23\nContent-Type: text/event-plain\n\nEvent-Name: HEARTBEAT\n\n";
    const SENT: usize = 100_000;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut config = config();
    config.port = listener.local_addr().unwrap().port();
    // A read brings up to 7,000 of these; the sockets hold tens of thousands.
    config.queue = 100;
    let flood = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Greeting and replies: the session takes them in order, also ahead of its commands.
        stream.write_all(b"Content-Type: auth/request\n\n").unwrap();
        for _ in ["auth", "event"] {
            stream.write_all(b"Content-Type: command/reply\nReply-Text: +OK\n\n").unwrap();
        }
        stream.write_all(&EVENT.repeat(SENT)).unwrap();
        stream
    });
    let (session, _handle, mut notices) = session(config);
    tokio::spawn(session.run());
    assert!(matches!(next(&mut notices).await, Notice::Connected { .. }));
    for _ in 0..SENT {
        let notice = next(&mut notices).await;
        assert!(matches!(notice, Notice::Event { .. }), "{notice:?}");
    }
    drop(flood.join().unwrap());
}

#[test]
fn the_password_is_shown_nowhere() {
    let config = SessionConfig::new("h", Password::new("s3cret").unwrap());
    assert!(!format!("{config:?}").contains("s3cret"));
    assert!(!format!("{:?}", session(config).0).contains("s3cret"));
}

#[tokio::test(start_paused = true)]
async fn time_before_the_first_connection_is_blind_from_the_first_failure_on() {
    let (mut freeswitch, config) = FreeSwitch::start();
    let before = std::time::SystemTime::now();
    let (_handle, mut notices, _task) = run(config);
    // Refuses twice, then lets it in.
    for _ in 0..2 {
        drop(freeswitch.accept().await);
    }
    let _client = freeswitch.subscribed().await;
    loop {
        match next(&mut notices).await {
            Notice::Disconnected { .. } | Notice::Connected { .. } => {}
            Notice::Blind { from, to } => {
                assert!(from >= before && to > from, "{from:?} {to:?}");
                return;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_connection_that_is_there_at_once_is_not_blind() {
    let (mut freeswitch, config) = FreeSwitch::start();
    let (_handle, mut notices, _task) = run(config);
    let mut client = connected(&mut freeswitch, &mut notices).await;
    client.heartbeat(NEW).await;
    assert!(matches!(next(&mut notices).await, Notice::Event { .. }));
}

#[tokio::test(start_paused = true)]
async fn events_that_the_user_may_not_have_are_told_after_the_connection() {
    let (mut freeswitch, mut config) = FreeSwitch::start();
    let optional = Subscription::new(Format::Plain).custom("sofia::gateway_add").unwrap();
    config.1.optional = Some(optional);
    let (_handle, mut notices, _task) = run(config);
    let mut client = freeswitch.subscribed().await;
    assert_eq!(client.command().await, "event plain HEARTBEAT CUSTOM sofia::gateway_add");
    client.reply("-ERR permission denied").await;
    assert_eq!(client.command().await, "event plain HEARTBEAT");
    client.reply("+OK event listener enabled").await;
    assert_eq!(client.command().await, "event plain CUSTOM sofia::gateway_add");
    client.reply("-ERR permission denied").await;
    assert!(matches!(next(&mut notices).await, Notice::Connected { .. }));
    let Notice::NotAllowed { names } = next(&mut notices).await else { panic!() };
    assert_eq!(names, ["sofia::gateway_add"]);
}
