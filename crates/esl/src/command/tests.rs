use proptest::prelude::*;

use super::{
    Command, Format, InvalidCommand, InvalidText, LogLevel, Message, Password, Subscription,
};
use crate::JobUuid;

fn wire(command: &Command) -> &str {
    std::str::from_utf8(command.as_bytes()).unwrap()
}

#[test]
fn subscribes_to_heartbeats_before_custom() {
    assert_eq!(
        wire(&Command::event(&Subscription::sofia())),
        "event plain HEARTBEAT CUSTOM sofia::register_failure sofia::register_attempt \
         sofia::pre_register sofia::register sofia::unregister sofia::expire \
         sofia::gateway_state sofia::gateway_add sofia::gateway_delete \
         sofia::wrong_call_state\n\n"
    );
    let subscription = Subscription::new(Format::Json)
        .custom("conference::maintenance")
        .and_then(|subscription| subscription.event("background_job"))
        .and_then(|subscription| subscription.event("HEARTBEAT"))
        .unwrap();
    assert_eq!(
        wire(&Command::event(&subscription)),
        "event json HEARTBEAT BACKGROUND_JOB CUSTOM conference::maintenance\n\n"
    );
    assert_eq!(
        wire(&Command::nixevent(&subscription)),
        "nixevent HEARTBEAT BACKGROUND_JOB CUSTOM conference::maintenance\n\n"
    );
}

#[test]
fn writes_each_command_as_freeswitch_reads_it() {
    let password = Password::new("ClueCon").unwrap();
    let job = JobUuid(0x2532_8dd1_263d_464f_bbcf_885e_a52e_0c44);
    for (command, expected) in [
        (Ok(Command::auth(&password)), "auth ClueCon\n\n"),
        (Command::userauth("a@b", &password), "userauth a@b:ClueCon\n\n"),
        (Command::api("show registrations as json"), "api show registrations as json\n\n"),
        (
            Command::bgapi("status", job),
            "bgapi status\nJob-UUID: 25328dd1-263d-464f-bbcf-885ea52e0c44\n\n",
        ),
        (Command::filter("to-user", "10 01"), "filter to-user 10 01\n\n"),
        (Command::filter_delete("all", None), "filter delete all\n\n"),
        (Command::filter_delete("to-user", Some("1001")), "filter delete to-user 1001\n\n"),
        (Ok(Command::log(LogLevel::Warning)), "log 4\n\n"),
        (Ok(Command::nolog()), "nolog\n\n"),
        (Ok(Command::noevents()), "noevents\n\n"),
        (Ok(Command::divert_events(true)), "divert_events on\n\n"),
        (Ok(Command::divert_events(false)), "divert_events off\n\n"),
        (Ok(Command::exit()), "exit\n\n"),
    ] {
        assert_eq!(wire(&command.unwrap()), expected);
    }
}

#[test]
fn a_message_carries_headers_and_a_counted_body() {
    let message = Message::new()
        .header("Event-Subclass", "test::subclass")
        .and_then(|message| message.header("X-Foo", "bar baz"))
        .unwrap()
        .body("hello\nworld");
    assert_eq!(
        wire(&Command::sendevent("CUSTOM", &message).unwrap()),
        "sendevent CUSTOM\nEvent-Subclass: test::subclass\nX-Foo: bar baz\n\
         Content-Length: 11\n\nhello\nworld"
    );
    assert_eq!(wire(&Command::sendmsg(None, &Message::new()).unwrap()), "sendmsg\n\n");
}

/// A channel's UUID, as `show channels` gives it.
const CHANNEL: &str = "278611fb-ee7f-48b8-8219-6ceb3350750a";

#[test]
fn a_message_to_a_channel_names_it() {
    let execute = Message::new()
        .header("call-command", "execute")
        .and_then(|message| message.header("execute-app-name", "playback"))
        .unwrap();
    assert_eq!(
        wire(&Command::sendmsg(Some(CHANNEL), &execute).unwrap()),
        "sendmsg 278611fb-ee7f-48b8-8219-6ceb3350750a\ncall-command: execute\n\
         execute-app-name: playback\n\n"
    );
    assert_eq!(
        wire(&Command::sendmsg(Some(CHANNEL), &execute.body("a\n\nb")).unwrap()),
        "sendmsg 278611fb-ee7f-48b8-8219-6ceb3350750a\ncall-command: execute\n\
         execute-app-name: playback\nContent-Length: 4\n\na\n\nb",
        "a body may hold anything, because it is counted"
    );
}

#[test]
fn a_line_end_in_any_part_of_a_message_is_refused() {
    for end in ["\r", "\n", "\0", "\r\n", "\n\nexit\n\n"] {
        let text = format!("{CHANNEL}{end}x");
        let to = Command::sendmsg(Some(&text), &Message::new());
        let name = Message::new().header(&text, "x");
        let value = Message::new().header("x", &text);
        for (part, error) in [
            ("channel UUID", to.unwrap_err()),
            ("header name", name.unwrap_err()),
            ("header value", value.unwrap_err()),
        ] {
            assert_eq!(error, InvalidCommand { part, problem: InvalidText::LineEnd }, "{text:?}");
        }
    }
    for (uuid, problem) in
        [("", InvalidText::Empty), (" ", InvalidText::Empty), ("a b", InvalidText::NotOneWord)]
    {
        let error = Command::sendmsg(Some(uuid), &Message::new()).unwrap_err();
        assert_eq!(error, InvalidCommand { part: "channel UUID", problem });
    }
}

#[test]
fn the_password_is_shown_nowhere() {
    let password = Password::new("s3cret").unwrap();
    for shown in [
        format!("{password:?}"),
        format!("{:?}", Command::auth(&password)),
        format!("{:?}", Command::userauth("a@b", &password).unwrap()),
        format!("{:?}", Password::new("s3cret\n").unwrap_err()),
        Password::new("s3cret\n").unwrap_err().to_string(),
    ] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn refuses_words_that_are_none() {
    assert!(Command::userauth("a:b", &Password::new("x").unwrap()).is_err());
    assert!(Command::api(" ").is_err());
    assert!(Command::sendevent("CUSTOM X", &Message::new()).is_err());
    assert!(Message::new().header("Content-Length", "3").is_err());
    assert!(Message::new().header("a: b", "c").is_err());
    assert!(Subscription::sofia().event("CUSTOM sofia::x").is_err());
    assert!(Subscription::sofia().custom("").is_err());
}

proptest! {
    #[test]
    fn no_text_of_a_caller_becomes_a_second_command(text in "(?s).{0,20}") {
        let password = Password::new(text.as_str());
        let job = JobUuid(1);
        let commands = [
            password.as_ref().map(Command::auth).map_err(|&error| error),
            password.clone().and_then(|password| Command::userauth(&text, &password)),
            Command::api(&text),
            Command::bgapi(&text, job),
            Command::filter(&text, "x"),
            Command::filter("x", &text),
            Command::filter_delete("x", Some(&text)),
            Command::sendevent(&text, &Message::new()),
            Command::sendmsg(Some(&text), &Message::new()),
            Message::new().header(&text, "x").and_then(|m| Command::sendmsg(None, &m)),
            Message::new().header("x", &text).and_then(|m| Command::sendmsg(None, &m)),
            Subscription::sofia().event(&text).map(|s| Command::event(&s)),
            Subscription::sofia().custom(&text).map(|s| Command::event(&s)),
        ];
        for command in commands.into_iter().flatten() {
            let wire = command.as_bytes();
            prop_assert!(wire.ends_with(b"\n\n"));
            prop_assert!(!wire.contains(&b'\r') && !wire.contains(&0));
            let inner = &wire[..wire.len() - 1];
            prop_assert!(memchr::memmem::find(inner, b"\n\n").is_none());
            let lines = memchr::memchr_iter(b'\n', inner).count();
            prop_assert!(lines <= 2);
        }
    }
}
