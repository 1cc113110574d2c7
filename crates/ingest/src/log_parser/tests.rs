use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::BytesMut;
use sipward_esl::{FrameDecoder, Limits};

use super::*;

/// The log lines of a recording, in order.
fn lines(recording: &[u8]) -> Vec<LogLine> {
    let mut decoder = FrameDecoder::new(Limits::default());
    let mut bytes = BytesMut::from(recording);
    let mut lines = Vec::new();
    while let Some(frame) = decoder.decode(&mut bytes).unwrap() {
        lines.extend(LogLine::from_frame(frame));
    }
    lines
}

fn words(complaint: &Complaint<'_>) -> String {
    let Complaint { kind, source, user, method } = complaint;
    let mut words = match kind {
        ComplaintKind::AuthFailure => format!("failure {source}"),
        ComplaintKind::UnknownUser => format!("unknown {source}"),
        ComplaintKind::Reported => format!("reported {source}"),
        ComplaintKind::AclRejected => format!("acl {source}"),
        ComplaintKind::MalformedAuthorization => format!("malformed {source}"),
    };
    if let Some(user) = user {
        let user: String = user.chars().take(40).collect();
        words = format!("{words} {}", user.escape_default());
    }
    match method {
        Some(Method::Invite) => words + " INVITE",
        Some(Method::Other) => words + " other",
        Some(Method::Register) | None => words,
    }
}

/// What a recording means, in words.
fn heard(recording: &[u8]) -> Vec<String> {
    let now = Timestamp::from_micros(1_795_000_000_000_000);
    let mut reader = LogReader::default();
    let mut heard = Vec::new();
    for line in lines(recording) {
        heard.extend(reader.read(&line, now).map(|heard| match heard {
            LogFinding::Complaint(complaint) => words(&complaint),
            LogFinding::RefusedLogin(complaint, reason) => {
                format!("{} refused for {reason:?}", words(&complaint))
            }
        }));
    }
    heard
}

/// Every recorded log, by name, with what it means: only those that mean anything are in the table.
#[test]
fn every_recorded_log_accuses_whom_it_should() {
    let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in include_str!("recordings.txt").lines().filter(|row| !row.starts_with('#')) {
        let (name, words) = row.split_once(": ").unwrap();
        expected.entry(name).or_default().push(words);
    }
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/freeswitch/scenarios");
    let mut seen = BTreeMap::new();
    let mut recordings = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(name) = name.strip_suffix(".log.raw") else { continue };
        recordings += 1;
        let heard = heard(&fs::read(&path).unwrap());
        if !heard.is_empty() {
            seen.insert(name.to_owned(), heard);
        }
    }
    assert_eq!(recordings, 75);
    let table: String = seen
        .iter()
        .flat_map(|(name, heard)| heard.iter().map(move |words| format!("{name}: {words}\n")))
        .collect();
    let expected: BTreeMap<String, Vec<String>> = expected
        .into_iter()
        .map(|(name, words)| (name.to_owned(), words.into_iter().map(str::to_owned).collect()))
        .collect();
    assert!(seen == expected, "the recordings mean:\n{table}");
}

#[test]
fn no_recording_accuses_anybody_but_its_sender() {
    for row in include_str!("recordings.txt").lines().filter(|row| !row.starts_with('#')) {
        let source = row.split(' ').nth(2).unwrap();
        assert!(["127.0.0.1", "::1"].contains(&source), "{row}");
    }
}

fn row(text: &str) -> Option<String> {
    match read(Message { text: text.as_bytes(), origin: None })? {
        Reading::Complaint(complaint) => Some(words(&complaint)),
        Reading::Refused { reason, method } => Some(format!("{reason:?} {method:?}")),
    }
}

/// A frame's message, with the file and function that wrote it.
fn frame(file: &str, function: &str, text: &str) -> Option<String> {
    let origin = Some((file.as_bytes(), function.as_bytes()));
    let text = format!("2026-11-22 08:27:07.424128 99.80% [WARNING] {file}:12 {text}");
    match read(Message { text: text.as_bytes(), origin })? {
        Reading::Complaint(complaint) => Some(words(&complaint)),
        Reading::Refused { reason, method } => Some(format!("{reason:?} {method:?}")),
    }
}

const REGISTER: &str = "sofia_reg_handle_register_token";

#[test]
fn every_layout_of_a_row_is_read() {
    const MESSAGE: &str = "SIP auth failure (REGISTER) on sofia profile 'internal' for \
                           [1000@pbx.test] from ip 192.0.2.7";
    for head in [
        "2026-11-22 08:24:26.444097 99.77% [WARNING] sofia_reg.c:1787",
        "2026-11-22 08:24:26.444097 [WARNING] sofia_reg.c:1787",
        "11-22 08:24:26.444 [WARNING] sofia_reg.c:1787",
        "2026-11-22 08:24:26.444097 [WARN] [SOFIA] [sofia_reg.c:4130]",
        "9f5186b2-422b-43cb-9a6b-408f84ebfdea 2026-11-22 08:24:26.444097 [WARNING] sofia_reg.c:1787",
        "9f5186b2-422b-43cb-9a6b-408f84ebfdea 2026-11-22 08:24:26.444097 0.03% [WARNING] \
         sofia_reg.c:1787",
        "Nov 22 08:24:26 pbx freeswitch[815]: 2026-11-22 08:24:26.444097 [WARNING] sofia_reg.c:1787",
        "Nov  2 08:24:26 pbx freeswitch: 9f5186b2-422b-43cb-9a6b-408f84ebfdea 2026-11-22 \
         08:24:26.444097 99.77% [WARNING] sofia_reg.c:1787",
        "2026-11-22T08:24:26.1+01:00 pbx freeswitch[815]: 2026-11-22 08:24:26.444097 [WARNING] \
         sofia_reg.c:1787",
    ] {
        let text = format!("{head} {MESSAGE}");
        assert_eq!(row(&text).as_deref(), Some("failure 192.0.2.7 1000"), "{text}");
    }
}

#[test]
fn a_row_with_anything_else_before_the_message_is_none() {
    const MESSAGE: &str = "SIP auth failure (REGISTER) on sofia profile 'internal' for \
                           [1000@pbx.test] from ip 192.0.2.7";
    for head in [
        // What a folded header leaves in the middle of a message.
        " 2026-01-01 00:00:00.000000 99.00% [WARNING] sofia_reg.c:1787",
        "sofia_reg.c:1787",
        "x 2026-01-01 00:00:00.000000 [WARNING] sofia_reg.c:1787",
        "2026-01-01 00:00:00.000000 [WARNING] sofia_presence.c:1787",
        "2026-01-01 00:00:00.000000 [WARNING] sofia_reg.c:1787 x",
        "2026-01-01 00:00:00.000000 [WARNING] sofia_reg.c:",
        // The same where every row has something before it.
        "9f5186b2-422b-43cb-9a6b-408f84ebfdea  2026-01-01 00:00:00.000000 [WARNING] sofia_reg.c:1787",
        "Nov 22 08:24:26 pbx freeswitch[815]:  2026-01-01 00:00:00.000000 [WARNING] sofia_reg.c:1787",
        "2026-11-22T08:24:26.1+01:00 pbx freeswitch[815]:  2026-01-01 00:00:00.000000 [WARNING] \
         sofia_reg.c:1787",
        "",
    ] {
        assert_eq!(row(&format!("{head} {MESSAGE}")), None, "{head}");
    }
}

#[test]
fn folded_rows_and_those_of_an_unknown_user_go_on_with_a_message_and_no_others() {
    let goes_on = |text: &'static str| row::goes_on(text.as_bytes());
    for (text, rest) in [
        (" folded", " folded"),
        ("\tfolded", "\tfolded"),
        ("9f5186b2-422b-43cb-9a6b-408f84ebfdea  2026-11-22 00:00:00", " 2026-11-22 00:00:00"),
        ("Nov 22 08:24:26 pbx freeswitch[815]:  folded", " folded"),
        (
            "9f5186b2-422b-43cb-9a6b-408f84ebfdea You must define a domain called 'x' in",
            "You must define a domain called 'x' in",
        ),
        (
            "and you must configure your device to use the proper domain",
            "and you must configure your device to use the proper domain",
        ),
    ] {
        assert_eq!(goes_on(text), Some(rest.as_bytes()), "{text}");
    }
    for text in [
        "",
        "Dialplan: sofia/internal/1000@pbx.test parsing [default->x] continue=true",
        "EXECUTE [depth=0] sofia/internal/1000@pbx.test answer()",
        "9f5186b2-422b-43cb-9a6b-408f84ebfdea EXECUTE [depth=0] sofia/internal/1000 answer()",
        "v=0",
    ] {
        assert_eq!(goes_on(text), None, "{text}");
    }
}

#[test]
fn the_end_of_the_whole_message_names_the_source() {
    const HEAD: &str = "SIP auth failure (REGISTER) on sofia profile 'internal' for";
    for (tail, expected) in [
        (
            "[x] from ip 10.9.9.9@pbx.test] from ip 192.0.2.7",
            "failure 192.0.2.7 x] from ip 10.9.9.9",
        ),
        (
            "[x] from ip 10.9.9.9\n y@pbx.test] from ip 192.0.2.7",
            "failure 192.0.2.7 x] from ip 10.9.9.9\\n y",
        ),
        ("[1000@a@b] from ip 2001:db8::7", "failure 2001:db8::7 1000@a"),
        ("[1000@pbx.test] from ip fe80::7%eth0", "failure fe80::7 1000"),
    ] {
        let text = format!("{HEAD} {tail}");
        assert_eq!(frame("sofia_reg.c", REGISTER, &text).as_deref(), Some(expected));
    }
    for tail in [
        "[1000@pbx.test] from ip 192.0.2.7 and more",
        "[1000@pbx.test] from ip 192.0.2.7]",
        "[1000@pbx.test] from ip 192.0.2",
        "[1000@pbx.test] from ip ",
        "[1000@pbx.test] from ip fe80::7%",
        "[1000@pbx.test]",
    ] {
        assert_eq!(frame("sofia_reg.c", REGISTER, &format!("{HEAD} {tail}")), None, "{tail}");
    }
}

#[test]
fn an_unknown_user_whose_name_holds_a_line_end_accuses_nobody() {
    let message = |name: &str| {
        format!(
            "Can't find user [{name}@pbx.test] from 192.0.2.7\n\
             You must define a domain called 'pbx.test' in your directory and add a user with the \
             id=\"{name}\" attribute\n\
             and you must configure your device to use the proper domain in its authentication \
             credentials."
        )
    };
    let read = |name: &str| frame("sofia_reg.c", "sofia_reg_parse_auth", &message(name));
    assert_eq!(read("9876").as_deref(), Some("unknown 192.0.2.7 9876"));
    assert_eq!(read("x] from 10.9.9.9").as_deref(), Some("unknown 192.0.2.7 x] from 10.9.9.9"));
    // Its first row ends like a real one: only what follows tells.
    assert_eq!(read("x] from 10.9.9.9\n y"), None);
    let rows = "You must define a domain called 'x' in your directory\n\
                and you must configure your device to use";
    assert_eq!(read(&format!("x] from 10.9.9.9\n{rows}")), None);
    // The first row alone.
    assert_eq!(
        frame("sofia_reg.c", "sofia_reg_parse_auth", "Can't find user [9876@x] from 192.0.2.7"),
        None
    );
}

#[test]
fn file_and_function_decide_who_may_say_what() {
    const FAILURE: &str = "SIP auth failure (REGISTER) on sofia profile 'internal' for [1@x] from \
                           ip 10.9.9.9";
    for (file, function) in [
        ("sofia_reg.c", "sofia_reg_parse_auth"),
        ("mod_dptools.c", "log_function"),
        ("sofia_presence.c", REGISTER),
        ("switch_core_state_machine.c", "switch_core_session_run"),
    ] {
        assert_eq!(frame(file, function, FAILURE), None, "{file} {function}");
    }
    // The frame's word against the text's.
    let text = format!("2026-11-22 08:27:07.424128 [WARNING] sofia_reg.c:1787 {FAILURE}");
    let origin = Some((&b"mod_dptools.c"[..], &b"log_function"[..]));
    assert_eq!(read(Message { text: text.as_bytes(), origin }), None);
}

#[test]
fn a_user_agent_that_looks_like_a_failure_is_part_of_a_reason() {
    let text = "SIP auth failure (REGISTER) due to user-agent-filter.  Filter \"^Good\" User-Agent \
                \"on sofia profile 'x' for [1@x] from ip 10.9.9.9";
    let read = frame("sofia_reg.c", "sofia_reg_parse_auth", text);
    assert_eq!(read.as_deref(), Some("UserAgentFilter Register"));
}

#[test]
fn a_reason_belongs_to_the_next_failure_of_its_method_within_a_second() {
    let recording = include_bytes!(
        "../../../../tests/fixtures/freeswitch/scenarios/09b-user-agent-filter.log.raw"
    );
    let lines = lines(recording);
    let now = Timestamp::from_micros(1_795_000_000_000_000);
    let mut reader = LogReader::default();
    let later = now + REASON_LIFE + Duration::from_millis(1);
    let last: Vec<_> = lines
        .iter()
        .enumerate()
        .filter_map(|(n, line)| reader.read(line, if n < 2 { now } else { later }))
        .collect();
    assert!(matches!(last[..], [LogFinding::Complaint(_)]), "{last:?}");
}

/// From the source of FreeSWITCH (`sofia_reg.c`, `sofia.c`): no such line was recorded.
#[test]
fn rejections_by_access_lists_name_their_source() {
    let register = "sofia_reg_handle_sip_i_register";
    let read = |text: &str| frame("sofia_reg.c", register, text);
    assert_eq!(
        read("IP 192.0.2.7 Rejected by register acl \"office\"").as_deref(),
        Some("acl 192.0.2.7")
    );
    let invite = |text: &str| frame("sofia.c", "sofia_handle_sip_i_invite", text);
    assert_eq!(
        invite("IP 2001:db8::7 Rejected by acl \"trusted\"").as_deref(),
        Some("acl 2001:db8::7")
    );
    // The call goes on with a challenge.
    assert_eq!(
        invite("IP 192.0.2.7 Rejected by acl \"trusted\". Falling back to Digest auth."),
        None
    );
    // A rejection by the Event Socket is no SIP.
    assert_eq!(
        frame("mod_event_socket.c", "listener_run", "IP 192.0.2.7 Rejected by acl \"loopback\""),
        None
    );
}

/// From the source of FreeSWITCH (`mod_dptools.c`, `mod_commands.c`) and the recipe that fail2ban users
/// write into their dialplans: no such line was recorded. Recorded is a user who is called so
/// (`08-fail2ban-host`), and who accuses nobody by it.
#[test]
fn reports_of_a_dialplan_are_whole_messages() {
    let read = |text: &str| frame("mod_dptools.c", "log_function", text);
    for text in
        ["FAIL2BAN_HOST=192.0.2.7", "\"FAIL2BAN_HOST=192.0.2.7\"", "FAIL2BAN_HOST=192.0.2.7 "]
    {
        assert_eq!(read(text).as_deref(), Some("reported 192.0.2.7"), "{text}");
    }
    for text in [
        "caller FAIL2BAN_HOST=10.9.9.9",
        "FAIL2BAN_HOST=192.0.2.7 FAIL2BAN_HOST=10.9.9.9",
        "FAIL2BAN_HOST=192.0.2.7\nFAIL2BAN_HOST=10.9.9.9",
        "FAIL2BAN_HOST=",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    assert_eq!(frame("sofia_reg.c", REGISTER, "FAIL2BAN_HOST=10.9.9.9"), None);
}

#[test]
fn hostile_bytes_are_read_without_harm() {
    let whole = b"2026-11-22 08:24:26.444097 99.77% [WARNING] sofia_reg.c:1787 SIP auth failure \
                  (REGISTER) on sofia profile 'internal' for [1000@pbx.test] from ip 192.0.2.7";
    for end in 0..whole.len() {
        for byte in [0, b'\n', b'[', b']', b'\'', b'@', 0xFF] {
            let mut text = whole[..end].to_vec();
            text.push(byte);
            text.extend_from_slice(&whole[end..]);
            if let Some(Reading::Complaint(complaint)) = read(Message { text: &text, origin: None })
            {
                assert_eq!(complaint.source.to_string(), "192.0.2.7");
            }
        }
        assert_eq!(read(Message { text: &whole[..end], origin: None }), None);
    }
}
