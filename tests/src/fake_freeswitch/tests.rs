use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use super::{Attempt, FakeFreeSwitch, Frame, Greeting, Outcome, Recording};
use crate::fake_freeswitch::Delivery;

const LIMIT: Duration = Duration::from_secs(5);

/// What sipward subscribes to.
const SUBSCRIBE: &str = "event plain HEARTBEAT CUSTOM sofia::register_failure \
    sofia::register_attempt sofia::pre_register sofia::register";

/// A client as simple as can be: it sends text and reads frames.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(fs: &FakeFreeSwitch) -> Self {
        let stream = TcpStream::connect(fs.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    fn subscribed(fs: &FakeFreeSwitch) -> Self {
        let mut client = Self::connect(fs);
        client.frame();
        client.say("auth ClueCon");
        client.say(SUBSCRIBE);
        client.frame();
        client.frame();
        client
    }

    fn say(&mut self, command: &str) {
        self.stream.write_all(format!("{command}\n\n").as_bytes()).unwrap();
    }

    fn read_some(&mut self) -> usize {
        let mut chunk = [0; 4096];
        let count = self.stream.read(&mut chunk).unwrap();
        self.buffer.extend_from_slice(&chunk[..count]);
        count
    }

    fn frame(&mut self) -> Frame {
        loop {
            let (frames, _) = Frame::split_stream(&self.buffer);
            if let Some(frame) = frames.into_iter().next() {
                self.buffer.drain(..frame.bytes().len());
                return frame;
            }
            assert_ne!(self.read_some(), 0, "closed; {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    fn frames(&mut self, count: usize) -> Vec<Frame> {
        (0..count).map(|_| self.frame()).collect()
    }

    /// All bytes up to the end of the stream.
    fn rest(mut self) -> Vec<u8> {
        while self.read_some() > 0 {}
        self.buffer
    }
}

fn fake() -> FakeFreeSwitch {
    FakeFreeSwitch::builder().start().unwrap()
}

fn attacker() -> IpAddr {
    "198.51.100.7".parse().unwrap()
}

fn subclasses(frames: &[Frame]) -> Vec<String> {
    frames.iter().filter_map(|frame| frame.decoded("Event-Subclass")).collect()
}

fn recorded(name: &str) -> Vec<u8> {
    std::fs::read(Recording::directory().join(format!("{name}.raw"))).unwrap()
}

#[test]
fn a_wrong_password_is_answered_and_closed_as_recorded() {
    let fs = fake();
    let mut client = Client::connect(&fs);
    client.say("auth wrong");

    assert_eq!(client.rest(), recorded("session/auth-bad-password"));
    assert_eq!(fs.commands(), ["auth wrong"]);
}

#[test]
fn the_acl_rejects_as_recorded() {
    let fs = FakeFreeSwitch::builder().greeting(Greeting::RudeRejection).start().unwrap();

    assert_eq!(Client::connect(&fs).rest(), recorded("session/acl-rejected"));
}

#[test]
fn a_command_before_authentication_is_refused_and_noted() {
    let fs = fake();
    let mut client = Client::connect(&fs);
    client.say("api status");
    let frames = client.frames(2);

    let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes().to_vec()).collect();
    assert_eq!(bytes, recorded("session/auth-command-before-auth"));
    assert_eq!(fs.violations().len(), 1);
}

#[test]
fn a_failure_reaches_a_subscriber_as_three_events() {
    let fs = fake();
    let mut client = Client::subscribed(&fs);

    fs.failure(attacker(), 5060, "1000");

    let frames = client.frames(3);
    assert_eq!(
        subclasses(&frames),
        ["sofia::pre_register", "sofia::register_attempt", "sofia::register_failure"]
    );
    assert!(frames.iter().all(|f| f.decoded("network-ip").as_deref() == Some("198.51.100.7")));
    assert!(fs.violations().is_empty());
}

#[test]
fn nobody_gets_what_he_did_not_subscribe_to() {
    let fs = fake();
    let mut client = Client::connect(&fs);
    client.frame();
    client.say("auth ClueCon");
    client.say("event plain CUSTOM");
    client.say("event plain CUSTOM sofia::register");
    client.frames(3);

    fs.failure(attacker(), 5060, "1000");
    fs.heartbeat();
    fs.success(attacker(), 5060, "1001");

    assert_eq!(subclasses(&[client.frame()]), ["sofia::register"]);
    assert_eq!(fs.violations(), ["a bare CUSTOM gets no sofia event"]);
}

#[test]
fn a_restart_closes_and_comes_back_as_somebody_else() {
    let fs = fake();
    let client = Client::subscribed(&fs);
    let before = fs.core_uuid();

    fs.restart().unwrap();

    assert_eq!(client.rest(), b"", "it ends without a word");
    assert_ne!(fs.core_uuid(), before);
    let mut again = Client::subscribed(&fs);
    fs.failure(attacker(), 5060, "1000");
    assert_eq!(again.frame().decoded("Core-UUID").unwrap(), fs.core_uuid());
    assert_eq!(fs.connections(), 2);
}

#[test]
fn a_killed_one_refuses_connections_until_it_boots() {
    let fs = fake();
    fs.kill().unwrap();
    assert!(TcpStream::connect(fs.address()).is_err());

    fs.boot().unwrap();
    Client::subscribed(&fs);
}

#[test]
fn an_orderly_shutdown_takes_its_leave() {
    let fs = fake();
    let client = Client::subscribed(&fs);

    fs.shut_down(LIMIT).unwrap();

    let text = String::from_utf8(client.rest()).unwrap();
    assert!(text.starts_with("Content-Type: text/disconnect-notice"), "{text}");
    assert!(text.ends_with("The system is being shut down.\n"), "{text}");
}

#[test]
fn a_frame_is_cut_in_its_middle() {
    let fs = fake();
    let client = Client::subscribed(&fs);

    fs.failure(attacker(), 5060, "1000");
    fs.drop_mid_frame();

    let bytes = client.rest();
    let (frames, rest) = Frame::split_stream(&bytes);
    assert_eq!(frames.len(), 3);
    assert!(!rest.is_empty());
}

#[test]
fn a_stalled_one_says_nothing_until_it_resumes() {
    let fs = FakeFreeSwitch::builder().heartbeat_every(Duration::from_millis(20)).start().unwrap();
    let mut client = Client::subscribed(&fs);
    client.frame();
    fs.stall();
    client.stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    let mut buffer = [0; 4096];
    // What was on its way may still come; then there is silence.
    let quiet = loop {
        match client.stream.read(&mut buffer) {
            Ok(count) => assert_ne!(count, 0),
            Err(error) => break error.kind(),
        }
    };
    assert_eq!(quiet, std::io::ErrorKind::WouldBlock);

    fs.resume();
    client.stream.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(client.frame().decoded("Event-Name").as_deref(), Some("HEARTBEAT"));
}

#[test]
fn a_recording_is_played_from_its_first_byte_in_turn_with_the_client() {
    let name = "session/shutdown-sigterm.plain";
    let recording = Recording::load(name).unwrap();
    let fs = FakeFreeSwitch::builder().greeting(Greeting::Recording(recording)).start().unwrap();
    let mut client = Client::connect(&fs);
    client.frame();
    client.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(client.stream.read(&mut [0]).is_err(), "an answer waits for its command");
    client.stream.set_read_timeout(Some(LIMIT)).unwrap();

    client.say("auth anything");
    client.say(SUBSCRIBE);

    let played = client.rest();
    assert!(recorded(name).ends_with(&played));
    assert!(Frame::split_stream(&played).0.len() == 5, "two answers, two events, the notice");
    assert!(fs.commands().iter().any(|command| command == SUBSCRIBE));
}

#[test]
fn a_recording_cut_in_mid_frame_is_played_to_its_last_byte() {
    let recording = Recording::load("session/slow-consumer-killed.tail").unwrap();
    assert_eq!(recording.tail().len(), 486);
    let fs = FakeFreeSwitch::builder().greeting(Greeting::Recording(recording)).start().unwrap();

    assert_eq!(Client::connect(&fs).rest(), recorded("session/slow-consumer-killed.tail"));
}

#[test]
fn replayed_events_are_moved_to_another_source_and_to_now() {
    let fs = fake();
    let mut client = Client::subscribed(&fs);
    let recording = Recording::load("scenarios/01c-register-wrongpw-udp6.plain").unwrap();
    let moved = recording.clone().from_source("2001:db8:5::5".parse().unwrap());

    fs.replay(moved.events());
    fs.replay_verbatim(recording.events());

    let frames = client.frames(6);
    assert!(
        frames[..3].iter().all(|f| f.decoded("network-ip").as_deref() == Some("2001:db8:5::5"))
    );
    assert!(frames[..3].iter().all(|f| f.decoded("Core-UUID") == Some(fs.core_uuid())));
    assert!(frames[3..].iter().eq(recording.events()));
}

#[test]
fn bytes_can_come_one_by_one() {
    let fs = FakeFreeSwitch::builder().delivery(Delivery::ByteByByte).start().unwrap();
    let mut client = Client::subscribed(&fs);

    fs.emit(&Attempt::new(attacker(), 5060, "1000"), Outcome::BlindSpoof);

    assert_eq!(
        subclasses(&client.frames(2)),
        ["sofia::register_attempt", "sofia::register_failure"]
    );
}

#[test]
fn a_directory_user_logs_in_by_userauth() {
    let fs = FakeFreeSwitch::builder().user("sipward@default").password("s3cret").start().unwrap();
    let mut client = Client::connect(&fs);
    client.frame();
    client.say("userauth sipward@default:s3cret");

    assert!(client.frame().bytes().ends_with(b"+OK accepted\n\n"));
}

#[test]
fn waits_tell_what_they_missed() {
    let fs = fake();

    let error = fs.wait_for_subscription(Duration::from_millis(50)).unwrap_err();

    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert!(error.to_string().starts_with("no subscription within 50ms"), "{error}");
}

#[test]
fn a_command_without_its_blank_line_is_noted() {
    let fs = fake();
    let mut client = Client::connect(&fs);
    client.frame();
    client.stream.write_all(b"auth ClueCon\n").unwrap();
    drop(client);

    fs.wait_for_disconnect(LIMIT).unwrap();
    assert!(fs.violations()[0].contains("without its blank line"), "{:?}", fs.violations());
}

#[test]
fn a_client_that_does_not_read_keeps_nothing_from_the_others() {
    let fs = fake();
    let _sleeper = Client::subscribed(&fs);
    let mut reader = Client::subscribed(&fs);
    let burst: Vec<Frame> = Recording::load("scenarios/ns-big-udp-60k-user-agent.plain")
        .unwrap()
        .events()
        .cloned()
        .collect();
    // Far more than the socket buffers of the sleeper take.
    for _ in 0..100 {
        fs.replay(&burst);
    }

    assert_eq!(reader.frames(300).len(), 300);
}
