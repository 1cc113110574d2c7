use std::io::{self, BufReader, Read};

use jiff::tz::TimeZone;
use sipward_engine::{ComplaintKind, Timestamp};

use super::*;
use sipward_ingest::log_parser::{LogFinding, LogReader, Message};
use sipward_model::text::Time;

/// 2026-11-23 00:00 UTC.
const NEWEST: Timestamp = Timestamp::from_micros(1_795_392_000_000_000);

fn log(bytes: &[u8]) -> LogFile<&[u8]> {
    LogFile::new(bytes, Local::new(TimeZone::UTC, NEWEST))
}

fn messages(log: &mut LogFile<impl BufRead>) -> Vec<(Timestamp, Vec<u8>)> {
    std::iter::from_fn(|| log.next())
        .map(|timed| match timed.item {
            Item::Message(text) => (timed.at, text),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Whom a log accuses, of what, and when.
fn accused(bytes: &[u8]) -> Vec<String> {
    let mut reader = LogReader::default();
    let mut accused = Vec::new();
    for (at, text) in messages(&mut log(bytes)) {
        let heard = reader.read_message(Message { text: &text, origin: None }, at);
        let Some(LogFinding::Complaint(complaint)) = heard else { continue };
        let time = Time(at).to_string();
        let kind = match complaint.kind {
            ComplaintKind::AuthFailure => "failure",
            ComplaintKind::UnknownUser => "unknown",
            ComplaintKind::Reported => "reported",
            ComplaintKind::AclRejected => "acl",
            ComplaintKind::MalformedAuthorization => "malformed",
        };
        accused.push(format!("{} {kind} {}", &time[11..19], complaint.source));
    }
    accused
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/fixtures/logs/", $name, ".log"))
    };
}

#[test]
fn every_layout_of_a_log_file_is_read() {
    let mut expected: Vec<String> =
        (1..=12).map(|n| format!("08:24:{} failure 192.0.2.{n}", 25 + n)).collect();
    expected.push("08:24:38 failure 2001:db8::13".to_owned());
    assert_eq!(accused(fixture!("layouts")), expected);
}

#[test]
fn a_row_inside_a_name_accuses_nobody_whatever_stands_before_each_row() {
    let expected =
        ["08:27:08 failure 192.0.2.7", "08:27:08 unknown 192.0.2.8", "08:27:08 failure 192.0.2.8"];
    assert_eq!(accused(fixture!("forged")), expected);
    assert_eq!(accused(fixture!("forged-uuid")), expected);
    assert_eq!(accused(fixture!("forged-syslog")), expected);
}

#[test]
fn traces_between_the_messages_do_not_hide_them() {
    let expected = ["08:30:01 failure 192.0.2.7", "08:30:02 reported 192.0.2.9"];
    assert_eq!(accused(fixture!("debug")), expected);
}

/// The text of every recorded log frame, as `mod_logfile` writes it: read as the frames are, but for what
/// only a frame has (the function that wrote it).
#[test]
fn a_file_of_the_recorded_lines_accuses_whom_the_frames_accuse() {
    let recordings =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../ingest/src/log_parser/recordings.txt");
    let expected = std::fs::read_to_string(recordings).unwrap();
    let fixtures =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/freeswitch/scenarios");
    let mut compared = 0;
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(name) = name.strip_suffix(".log.raw") else { continue };
        let row = format!("{name}: ");
        let sources = |kinds: &[&str], rows: &[String], at: usize| -> Vec<String> {
            rows.iter()
                .map(|row| row.split(' ').skip(at).collect::<Vec<_>>())
                .filter(|words| kinds.contains(&words[0]))
                .map(|words| words[..2].join(" "))
                .collect()
        };
        let kinds = ["failure", "unknown", "reported", "acl", "malformed"];
        let rows: Vec<String> = expected
            .lines()
            .filter(|line| line.starts_with(&row) && !line.contains(" refused for "))
            .map(str::to_owned)
            .collect();
        let found = accused(&texts(&std::fs::read(&path).unwrap()));
        assert_eq!(sources(&kinds, &found, 1), sources(&kinds, &rows, 1), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 75);
}

/// The log that a recording's lines make.
fn texts(recording: &[u8]) -> Vec<u8> {
    use bytes::BytesMut;
    use sipward_esl::{FrameDecoder, Limits, LogLine};
    let mut decoder = FrameDecoder::new(Limits::default());
    let mut bytes = BytesMut::from(recording);
    let mut log = Vec::new();
    while let Ok(Some(frame)) = decoder.decode(&mut bytes) {
        if let Ok(line) = LogLine::from_frame(frame) {
            log.extend_from_slice(line.text());
            log.push(b'\n');
        }
    }
    log
}

const FAILURE: &str = "2026-11-22 08:24:26.444097 [WARNING] sofia_reg.c:1787 SIP auth failure \
                       (REGISTER) on sofia profile 'internal' for [1000@pbx.test] from ip 192.0.2.7";

#[test]
fn an_endless_row_accuses_nobody_and_costs_no_memory() {
    let endless = "x".repeat(MAX_ROW * 3);
    let text = format!("{FAILURE}\n{FAILURE} {endless}\n{FAILURE}\n {endless}\n{FAILURE}\n");
    let mut log = log(text.as_bytes());
    assert_eq!(messages(&mut log).len(), 2);
    assert!(log.row.capacity() <= 2 * MAX_ROW, "{}", log.row.capacity());
    let tally = log.tally();
    assert_eq!((tally.rows, tally.log_lines, tally.unusable), (5, 2, 2));
}

#[test]
fn a_message_of_endless_folds_is_given_up() {
    let folds = " fold\n".repeat(MAX_MESSAGE / 5);
    let text = format!("{FAILURE}\n{folds}{FAILURE}");
    let mut log = log(text.as_bytes());
    assert_eq!(messages(&mut log).len(), 1);
    assert_eq!(log.tally().unusable, 1);
}

#[test]
fn times_that_go_back_or_make_no_sense_are_counted() {
    let at = |time: &str| FAILURE.replace("2026-11-22 08:24:26.444097", time);
    let text = [
        at("2026-11-22 08:24:26.0"),
        at("2026-11-22 07:00:00.0"),
        at("2026-13-22 07:00:00.0"),
        at("1970-01-01 00:00:01.0"),
    ]
    .join("\n");
    let mut log = log(text.as_bytes());
    let times: Vec<String> =
        messages(&mut log).iter().map(|(at, _)| Time(*at).to_string()).collect();
    assert_eq!(times, ["2026-11-22T08:24:26.000Z"; 2]);
    let tally = log.tally();
    assert_eq!((tally.set_back, tally.undated), (1, 2));
}

/// A log of failures at these times, each read at.
fn times(zone: TimeZone, times: &[&str]) -> (Vec<String>, Tally) {
    let at = |time: &&str| FAILURE.replace("08:24:26.444097", time);
    let text = times.iter().map(at).collect::<Vec<_>>().join("\n");
    let mut log = LogFile::new(text.as_bytes(), Local::new(zone, NEWEST));
    let times = messages(&mut log);
    let times = times.iter().map(|(at, _)| Time(*at).to_string()[11..19].to_owned()).collect();
    (times, log.tally())
}

#[test]
fn a_clock_that_was_set_back_goes_on_from_there() {
    let (times, tally) = times(
        TimeZone::UTC,
        &["08:00:00", "08:15:00", "07:20:00", "07:35:00", "07:50:00", "08:05:00"],
    );
    assert_eq!(times, ["08:00:00", "08:15:00", "08:15:00", "08:30:00", "08:45:00", "09:00:00"]);
    assert_eq!((tally.steps, tally.set_back), (1, 0));
}

#[test]
fn rows_that_are_late_one_by_one_change_no_time() {
    let (times, tally) = times(
        TimeZone::UTC,
        &["08:00:00", "08:15:00", "08:10:00", "08:16:00", "08:11:00", "08:17:00", "08:16:30"],
    );
    assert_eq!(
        times,
        ["08:00:00", "08:15:00", "08:15:00", "08:16:00", "08:16:00", "08:17:00", "08:17:00"]
    );
    assert_eq!((tally.steps, tally.set_back), (0, 3));
}

#[test]
fn rows_that_are_not_understood_are_counted_by_kind_with_the_first_of_each() {
    let docker = format!("2026-11-22T08:24:10.444123456Z {FAILURE}");
    let unknown = format!("[pbx] {FAILURE}");
    let user = "2026-11-22 08:24:10.4 [WARNING] sofia_reg.c:3210 Can't find user [9876@pbx.test] from 192.0.2.11";
    let whole = format!(
        "{user}\nYou must define a domain called 'pbx.test' in your directory and add a user with the id=\"9876\" attribute\nand you must configure your device to use the proper domain in its authentication credentials."
    );
    let text = [
        docker.as_str(),
        &unknown,
        "GET / HTTP/1.1 from 192.0.2.1",
        &unknown,
        user,
        &whole,
        "Dialplan: x",
    ]
    .join("\n");
    let mut log = log(text.as_bytes());
    assert_eq!(messages(&mut log).len(), 3);
    let tally = log.tally();
    let unread: Vec<_> =
        tally.unread.iter().map(|one| (one.kind, one.rows, one.first_line)).collect();
    let expected =
        [(UnreadKind::Layout, 2, 2), (UnreadKind::Foreign, 1, 3), (UnreadKind::RowsMissing, 1, 5)];
    assert_eq!(unread, expected);
    assert!(!tally.is_mostly_unread());
    let mut mostly = super::tests::log(unknown.as_bytes());
    assert_eq!(messages(&mut mostly).len(), 0);
    assert!(Tally { kind: crate::Kind::Log, ..mostly.tally() }.is_mostly_unread());
}

#[test]
fn a_row_without_the_prefix_of_its_message_is_none_of_it() {
    let text = format!("pbx  | {FAILURE}\n folded\npbx  | {FAILURE}\npbx  |  folded\n");
    let found = messages(&mut log(text.as_bytes()));
    assert_eq!(found.len(), 2);
    assert!(!found[0].1.ends_with(b"folded") && found[1].1.ends_with(b" folded"));
}

/// A disk that fails after its bytes.
struct Failing<'b>(&'b [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::Error::other("bad sector")),
            read => Ok(read),
        }
    }
}

#[test]
fn a_disk_that_fails_ends_the_file_and_is_told() {
    let text = format!("{FAILURE}\n{FAILURE}\n");
    let input = BufReader::new(Failing(text.as_bytes()));
    let mut log = LogFile::new(input, Local::new(TimeZone::UTC, NEWEST));
    assert_eq!(messages(&mut log).len(), 2);
    assert_eq!(log.tally().ended_early.as_deref(), Some("bad sector"));
}

#[test]
fn colours_are_taken_off_the_ends_only() {
    for (row, bare) in [
        (&b"\x1b[31mx"[..], &b"x"[..]),
        (b"\x1b[0m\x1b[1;31mx\x1b[0m", b"x\x1b[0m"),
        (b"\x1b[", b"\x1b["),
        (b"\x1b[31", b"\x1b[31"),
        (b"\x1b[2Jx", b"\x1b[2Jx"),
        (b"x\x1b[0my", b"x\x1b[0my"),
    ] {
        assert_eq!(without_colour(row), bare);
    }
    assert_eq!(without_end(b"x\x1b[0m\r"), b"x");
    assert_eq!(without_end(b"x\x1b[0my"), b"x\x1b[0my");
    assert_eq!(without_end(b"\x1b"), b"\x1b");
}
