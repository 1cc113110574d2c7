use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    task::JoinHandle,
};

use super::{ClientError, Connection, MAX_PENDING, Step, Streamed};
use crate::{
    Command, ContentType, FrameError, Limits, Password, Subscription, command::CommandKind,
};

const LIMIT: Duration = Duration::from_secs(5);

const GREETING: &str = "Content-Type: auth/request\n\n";
const ACCEPTED: &str = "Content-Type: command/reply\nReply-Text: +OK accepted\n\n";
const INVALID: &str = "Content-Type: command/reply\nReply-Text: -ERR invalid\n\n";
const DENIED: &str = "Content-Type: command/reply\nReply-Text: -ERR permission denied\n\n";
const SUBSCRIBED: &str =
    "Content-Type: command/reply\nReply-Text: +OK event listener enabled plain\n\n";
const REJECTION: &str =
    "Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n";
const GOOD_BYE: &str = "Content-Type: text/disconnect-notice\nContent-Length: 67\n\n\
    Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n";
const EVENT: &str =
    "Content-Length: 23\nContent-Type: text/event-plain\n\nEvent-Name: HEARTBEAT\n\n";

/// What the peer does, in order.
#[derive(Clone, Copy)]
enum Act {
    Send(&'static str),
    /// One byte at a time.
    Dribble(&'static str),
    /// Waits for a command, up to its blank line.
    Expect(&'static str),
    Sleep(Duration),
    /// Stays silent for ever.
    Hang,
}

use Act::{Dribble, Expect, Hang, Send, Sleep};

fn peer(script: &[Act]) -> (Connection<DuplexStream>, JoinHandle<()>) {
    let (ours, mut theirs) = duplex(1024 * 1024);
    let script = script.to_vec();
    let task = tokio::spawn(async move {
        for act in script {
            match act {
                Send(text) => drop(theirs.write_all(text.as_bytes()).await),
                Dribble(text) => {
                    for byte in text.as_bytes() {
                        drop(theirs.write_all(&[*byte]).await);
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                Expect(text) => {
                    let mut command = vec![0; text.len()];
                    theirs.read_exact(&mut command).await.unwrap();
                    assert_eq!(String::from_utf8_lossy(&command), text);
                }
                Sleep(time) => tokio::time::sleep(time).await,
                Hang => std::future::pending().await,
            }
        }
    });
    (Connection::new(ours, Limits::default()), task)
}

async fn login(script: &[Act]) -> Result<(), ClientError> {
    let (mut connection, _task) = peer(script);
    connection.login(None, &Password::new("ClueCon").unwrap(), LIMIT).await
}

async fn subscribe(script: &[Act]) -> Result<(), ClientError> {
    let (mut connection, _task) = peer(script);
    connection.subscribe(&Subscription::sofia(), LIMIT).await
}

#[tokio::test(start_paused = true)]
async fn logs_in_and_subscribes() {
    let (mut connection, task) = peer(&[
        Send(GREETING),
        Expect("auth ClueCon\n\n"),
        Send(ACCEPTED),
        Expect("event plain HEARTBEAT CUSTOM sofia::register_failure"),
        Send(SUBSCRIBED),
    ]);
    connection.login(None, &Password::new("ClueCon").unwrap(), LIMIT).await.unwrap();
    connection.subscribe(&Subscription::sofia(), LIMIT).await.unwrap();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn logs_in_as_a_user() {
    let (mut connection, task) =
        peer(&[Send(GREETING), Expect("userauth a@b:ClueCon\n\n"), Send(INVALID)]);
    let password = Password::new("ClueCon").unwrap();
    let error = connection.login(Some("a@b"), &password, LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("password of a@b"), "{error}");
    assert!(!error.to_string().contains("ClueCon"));
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn bytes_that_come_one_by_one_are_as_good() {
    let script = [Dribble(GREETING), Expect("auth ClueCon\n\n"), Dribble(ACCEPTED)];
    login(&script).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_named_and_not_retryable() {
    let error = login(&[Send(GREETING), Send(INVALID), Send(GOOD_BYE)]).await.unwrap_err();
    assert!(matches!(error, ClientError::WrongPassword { user: None }), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn an_acl_rejection_is_named_and_not_retryable() {
    let error = login(&[Send(REJECTION), Send(GOOD_BYE)]).await.unwrap_err();
    assert!(matches!(error, ClientError::AclRejected), "{error}");
    assert!(error.to_string().contains("apply-inbound-acl"));
    assert!(!error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn a_good_bye_instead_of_a_reply_says_so() {
    for script in [&[Send(GOOD_BYE)][..], &[Send(GREETING), Send(GOOD_BYE)]] {
        let error = login(script).await.unwrap_err();
        let ClientError::Disconnected { notice } = &error else { panic!("{error}") };
        assert!(notice.starts_with("Disconnected, goodbye."), "{notice}");
        assert!(error.is_retryable());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_given_up_in_time() {
    for (script, step) in [
        (&[Hang][..], Step::Greeting),
        (&[Send(GREETING), Hang], Step::Reply(CommandKind::Auth)),
        (
            &[Send(GREETING), Send("Content-Type: command/reply\n"), Hang],
            Step::Reply(CommandKind::Auth),
        ),
        (&[Sleep(Duration::from_secs(6)), Send(GREETING)], Step::Greeting),
    ] {
        let started = tokio::time::Instant::now();
        let error = login(script).await.unwrap_err();
        assert!(
            matches!(error, ClientError::Timeout { step: at, after: LIMIT } if at == step),
            "{error}"
        );
        assert_eq!(started.elapsed().as_secs(), LIMIT.as_secs());
        assert!(error.is_retryable());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_at_any_point_is_an_error_at_once() {
    let whole = [GREETING, ACCEPTED].concat();
    for at in 0..whole.len() {
        let part: &'static str = Box::leak(whole[..at].to_owned().into_boxed_str());
        let error = login(&[Send(part)]).await.unwrap_err();
        let between = at == 0 || at == GREETING.len();
        match &error {
            ClientError::Closed | ClientError::Io(_) if between => {}
            ClientError::Damaged(FrameError::PartialFrame { .. }) | ClientError::Io(_) => {}
            _ => panic!("closed after {at} bytes: {error}"),
        }
        assert!(error.is_retryable());
    }
}

#[tokio::test(start_paused = true)]
async fn something_else_than_an_event_socket_is_recognised() {
    let error = login(&[Send("HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n")]).await.unwrap_err();
    assert!(matches!(error, ClientError::Damaged(FrameError::NoContentType { offset: 0 })));
    let error = login(&[Send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")]).await;
    let error = error.unwrap_err();
    assert!(matches!(error, ClientError::Unexpected { found: ContentType::Other, .. }), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_not_allowed_says_where_to_allow_it() {
    let error = subscribe(&[Send(DENIED)]).await.unwrap_err();
    assert!(matches!(error, ClientError::NotAllowed { command: CommandKind::Event }));
    assert!(error.to_string().contains("esl-allowed-events"), "{error}");
    let refusal = "Content-Type: command/reply\nReply-Text: -ERR no keywords supplied\n\n";
    let error = subscribe(&[Send(refusal)]).await.unwrap_err();
    assert_eq!(error.to_string(), "FreeSWITCH refused event: -ERR no keywords supplied");
    let error = subscribe(&[Hang]).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { step: Step::Reply(CommandKind::Event), .. }));
}

#[tokio::test(start_paused = true)]
async fn events_before_a_reply_are_kept_for_later_in_order() {
    let answer = "Content-Type: api/response\nContent-Length: 3\n\n+OK";
    let (mut connection, _task) =
        peer(&[Expect("api status\n\n"), Send(EVENT), Send(answer), Send(EVENT), Send(GOOD_BYE)]);
    let reply = connection.request(&Command::api("status").unwrap()).await.unwrap();
    assert_eq!(reply.lossy(), "+OK");
    for expected in
        [ContentType::EventPlain, ContentType::EventPlain, ContentType::DisconnectNotice]
    {
        assert_eq!(connection.next_frame().await.unwrap().content_type(), expected);
    }
    assert!(matches!(connection.next_frame().await, Err(ClientError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_later_is_bounded() {
    let (ours, mut theirs) = duplex(1024 * 1024);
    let mut connection = Connection::new(ours, Limits::default());
    let flood = tokio::spawn(async move {
        for _ in 0..MAX_PENDING + 10 {
            theirs.write_all(EVENT.as_bytes()).await.unwrap();
        }
        theirs.write_all(ACCEPTED.as_bytes()).await.unwrap();
    });
    connection.request(&Command::noevents()).await.unwrap();
    flood.await.unwrap();
    assert_eq!(connection.dropped(), 10);
}

/// A FreeSWITCH that does not read must not stop the client from reading: each would wait for the other.
#[tokio::test(start_paused = true)]
async fn reads_while_a_command_is_stuck() {
    let (ours, mut theirs) = duplex(64);
    let mut connection = Connection::new(ours, Limits::default());
    let long = Command::api(&"x".repeat(1000)).unwrap();
    let expected = long.as_bytes().len();
    let task = tokio::spawn(async move {
        for _ in 0..20 {
            theirs.write_all(EVENT.as_bytes()).await.unwrap();
        }
        let mut command = vec![0; expected];
        theirs.read_exact(&mut command).await.unwrap();
        theirs.write_all(b"Content-Type: api/response\n\n").await.unwrap();
    });
    let reply = tokio::time::timeout(LIMIT, connection.request(&long)).await.unwrap().unwrap();
    assert_eq!(reply.lossy(), "");
    task.await.unwrap();
}

const ANSWER: &str = "Content-Type: api/response\nContent-Length: 5\n\nhello";

async fn pieces(connection: &mut Connection<DuplexStream>) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(piece) = connection.next_piece().await? {
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_in_pieces_and_what_follows_is_read_as_ever() {
    for answer in [Send(ANSWER), Dribble(ANSWER)] {
        let (mut connection, _task) = peer(&[
            Expect("api show x\n\n"),
            Send(EVENT),
            answer,
            Send(EVENT),
            Expect("api y\n\n"),
            Send(ANSWER),
        ]);
        assert!(matches!(connection.stream_api("show x").await, Ok(Streamed::Body)));
        assert_eq!(pieces(&mut connection).await.unwrap(), b"hello");
        assert!(connection.next_piece().await.unwrap().is_none(), "nothing is behind it");
        assert_eq!(connection.next_frame().await.unwrap().content_type(), ContentType::EventPlain);
        let reply = connection.request(&Command::api("y").unwrap()).await.unwrap();
        assert_eq!(reply.lossy(), "hello");
    }
}

#[tokio::test]
async fn an_answer_larger_than_any_limit_is_never_held_as_a_whole() {
    const SIZE: usize = 20 * 1024 * 1024;
    let (ours, mut theirs) = duplex(1024 * 1024);
    let mut connection = Connection::new(ours, Limits::default());
    let sender = tokio::spawn(async move {
        let mut command = [0; 12];
        theirs.read_exact(&mut command).await.unwrap();
        let head = format!("Content-Type: api/response\nContent-Length: {SIZE}\n\n");
        theirs.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..SIZE / 1024 {
            theirs.write_all(&[b'x'; 1024]).await.unwrap();
        }
        theirs
    });
    assert!(matches!(connection.stream_api("show x").await, Ok(Streamed::Body)));
    let (mut total, mut largest) = (0, 0);
    while let Some(piece) = connection.next_piece().await.unwrap() {
        total += piece.len();
        largest = largest.max(piece.len());
    }
    assert_eq!(total, SIZE);
    assert!(largest <= 1024 * 1024, "{largest}");
    drop(sender.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_whole_is_an_error() {
    let (mut connection, _task) = peer(&[
        Expect("api x\n\n"),
        Send("Content-Type: api/response\nContent-Length: 9\n\nhello"),
    ]);
    assert!(matches!(connection.stream_api("x").await, Ok(Streamed::Body)));
    let error = pieces(&mut connection).await.unwrap_err();
    assert!(matches!(error, ClientError::Damaged(FrameError::PartialFrame { .. })), "{error:?}");
    let (mut connection, _task) = peer(&[Expect("api x\n\n"), Send(DENIED)]);
    assert!(
        matches!(connection.stream_api("x").await, Ok(Streamed::Refused(reply)) if reply.is_error())
    );
    let (mut connection, _task) = peer(&[Expect("api x\n\n"), Send(GOOD_BYE)]);
    assert!(matches!(connection.stream_api("x").await, Err(ClientError::Disconnected { .. })));
    let (mut connection, _task) = peer(&[Expect("api x\n\n"), Send("Content-Type: api/resp")]);
    assert!(connection.stream_api("x").await.is_err());
    assert!(connection.stream_api("x\ny").await.is_err(), "no line of text");
}

#[tokio::test(start_paused = true)]
async fn events_that_a_user_may_not_have_cost_only_themselves() {
    let optional = Subscription::sofia_optional().event("RELOADXML").unwrap();
    let (mut connection, task) = peer(&[
        Expect(
            "event plain HEARTBEAT RELOADXML CUSTOM sofia::gateway_state sofia::gateway_add sofia::gateway_delete sofia::wrong_call_state\n\n",
        ),
        Send(DENIED),
        Expect("event plain HEARTBEAT\n\n"),
        Send(SUBSCRIBED),
        Expect("event plain RELOADXML\n\n"),
        Send(DENIED),
        Expect("event plain CUSTOM sofia::gateway_state\n\n"),
        Send(SUBSCRIBED),
        Expect("event plain CUSTOM sofia::gateway_add\n\n"),
        Send(DENIED),
        Expect("event plain CUSTOM sofia::gateway_delete\n\n"),
        Send(SUBSCRIBED),
        Expect("event plain CUSTOM sofia::wrong_call_state\n\n"),
        Send(SUBSCRIBED),
    ]);
    let refused = connection.subscribe_optional(&optional, LIMIT).await.unwrap();
    assert_eq!(refused, ["RELOADXML", "sofia::gateway_add"]);
    task.await.unwrap();
}
