use jiff::tz::TimeZone;

use super::*;
use sipward_model::text::Time;

/// A day after the recordings.
const NEWEST: Timestamp = Timestamp::from_micros(1_795_430_000_000_000);

/// Gives its bytes in small pieces, as a slow disk or a gzip does.
struct Drip<'b>(&'b [u8], usize);

impl Read for Drip<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = self.1.min(into.len());
        self.0.read(into.get_mut(..length).unwrap())
    }
}

fn stream(bytes: &[u8]) -> Stream<&[u8]> {
    Stream::new(bytes, Local::new(TimeZone::UTC, NEWEST))
}

/// The inputs of a stream as text: the subclass of the event or `log`, after `gap` where events may be missing.
fn words(stream: &mut Stream<impl Read>) -> Vec<String> {
    let words = |timed: Timed| {
        let what = match &timed.item {
            Item::Event(event) => event.subclass().or(event.name()).unwrap().lossy().into_owned(),
            Item::Line(_) => "log".to_owned(),
            Item::Message(text) => panic!("{text:?}"),
        };
        if timed.after_gap { format!("gap {what}") } else { what }
    };
    std::iter::from_fn(|| stream.next()).map(words).collect()
}

macro_rules! recording {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/fixtures/freeswitch/", $name, ".raw"))
    };
}

const WRONG: &[u8] = recording!("scenarios/ns-udp4-wrongpw.plain");
const WRONG_WORDS: [&str; 3] =
    ["gap sofia::pre_register", "sofia::register_attempt", "sofia::register_failure"];

#[test]
fn a_recording_is_read_in_pieces_of_any_size() {
    for size in [1, 2, 7, 100, 5_000] {
        let mut stream = Stream::new(Drip(WRONG, size), Local::new(TimeZone::UTC, NEWEST));
        assert_eq!(words(&mut stream), WRONG_WORDS, "{size}");
        let tally = stream.tally();
        assert_eq!((tally.events, tally.damaged, tally.undated), (3, 0, 0));
        assert_eq!(tally.from.unwrap().to_string(), "2026-11-22T09:04:56.307Z");
    }
}

#[test]
fn plain_and_json_say_the_same_and_xml_is_counted() {
    let json = words(&mut stream(recording!("scenarios/01a-register-wrongpw-udp4.json")));
    assert_eq!(json, WRONG_WORDS);
    let mut xml = stream(recording!("scenarios/01a-register-wrongpw-udp4.xml"));
    assert!(words(&mut xml).is_empty());
    assert_eq!(xml.tally().unusable, 3);
}

#[test]
fn a_stream_that_was_cut_is_told_of() {
    for end in 0..WRONG.len() {
        let cut = WRONG.get(..end).unwrap();
        let mut stream = stream(cut);
        let read = words(&mut stream);
        assert!(WRONG_WORDS.starts_with(&read.iter().map(String::as_str).collect::<Vec<_>>()));
        let tally = stream.tally();
        assert!(tally.damaged <= 1);
        assert_eq!(tally.damaged == 1, tally.skipped_bytes > 0, "{end}");
    }
}

#[test]
fn a_damaged_frame_costs_itself_and_the_next_is_found() {
    let mut damaged = WRONG.to_vec();
    damaged.extend_from_slice(b"rubbish\n\nmore of it\n");
    damaged.extend_from_slice(WRONG);
    let mut stream = stream(&damaged);
    let both: Vec<&str> = WRONG_WORDS.into_iter().chain(WRONG_WORDS).collect();
    assert_eq!(words(&mut stream), both);
    let tally = stream.tally();
    assert_eq!((tally.events, tally.damaged, tally.skipped_bytes), (6, 1, 20));
}

#[test]
fn a_recording_whose_beginning_is_missing_is_read_from_its_first_whole_frame() {
    let start = memchr::memmem::find(WRONG, b"Content-Length").unwrap();
    let beheaded = WRONG.get(start + 40..).unwrap();
    let mut stream = stream(beheaded);
    assert_eq!(words(&mut stream), ["gap sofia::register_attempt", "sofia::register_failure"]);
    assert_eq!(stream.tally().damaged, 1);
}

#[test]
fn rubbish_without_end_is_passed_over_in_constant_memory() {
    let rubbish = vec![b'x'; 4 * 1024 * 1024];
    let mut stream = stream(&rubbish);
    assert!(stream.next().is_none());
    let tally = stream.tally();
    assert_eq!((tally.damaged, tally.skipped_bytes), (1, rubbish.len() as u64));
    assert!(stream.buffer.capacity() < 1024 * 1024, "{}", stream.buffer.capacity());
}

#[test]
fn log_lines_take_the_zone_of_the_events_beside_them() {
    let recording = recording!("session/log-warning-and-events-interleaved");
    // The recorder's FreeSWITCH was at UTC; here it is two hours ahead of it.
    let elsewhere = String::from_utf8(recording.to_vec()).unwrap();
    let elsewhere = elsewhere
        .replace("Event-Date-Local: 2026-11-22%2009", "Event-Date-Local: 2026-11-22%2011")
        .replace("\n2026-11-22 09:", "\n2026-11-22 11:");
    for bytes in [&recording[..], elsewhere.as_bytes()] {
        // The zone that an operator might have named is no matter.
        let far = TimeZone::fixed(jiff::tz::Offset::constant(-9));
        let mut stream = Stream::new(bytes, Local::new(far, NEWEST));
        let read = words(&mut stream);
        assert!(read.iter().any(|words| words.ends_with("log")), "{read:?}");
        let tally = stream.tally();
        let times = (tally.from.unwrap().to_string(), tally.to.unwrap().to_string());
        assert_eq!(times.0, "2026-11-22T09:01:20.645Z");
        assert!(times.1.starts_with("2026-11-22T09:01:2"), "{}", times.1);
        assert_eq!(tally.set_back, 0);
    }
}

#[test]
fn log_lines_alone_are_of_the_zone_that_was_named() {
    let recording = recording!("scenarios/01a-register-wrongpw-udp4.log");
    let zone = TimeZone::fixed(jiff::tz::Offset::constant(2));
    let mut stream = Stream::new(&recording[..], Local::new(zone, NEWEST));
    assert_eq!(words(&mut stream), ["gap log", "log"]);
    assert_eq!(stream.tally().from.unwrap().to_string(), "2026-11-22T06:24:26.444Z");
}

#[test]
fn a_made_up_event_neither_sets_the_clock_nor_tells_of_a_restart() {
    let event = |headers: &str| {
        let length = headers.len();
        format!("Content-Length: {length}\nContent-Type: text/event-plain\n\n{headers}")
    };
    let core = "3833e5b9-30a6-4853-84cc-577f3c1402af";
    let other = "bbb079b7-fa04-4fa1-b75f-b1e4b044fc80";
    let at = 1_795_338_080_000_000_u64;
    let forged = "Event-Name: HEARTBEAT\nCommand: sendevent\n";
    let bytes = [
        event(&format!("{forged}Event-Date-Timestamp: {}\n\n", at + 1)),
        event(&format!("Event-Name: HEARTBEAT\nCore-UUID: {core}\nEvent-Date-Timestamp: {at}\n\n")),
        event(&format!("{forged}Core-UUID: {other}\nEvent-Date-Timestamp: {}\n\n", at * 2)),
        event(&format!("Event-Name: HEARTBEAT\nEvent-Date-Timestamp: {}\n\n", at * 10)),
    ]
    .concat();
    let mut stream = stream(bytes.as_bytes());
    assert_eq!(words(&mut stream), ["HEARTBEAT"; 3]);
    let tally = stream.tally();
    assert_eq!(tally.undated, 1, "before the first time");
    assert_eq!(tally.to, Some(Time(Timestamp::from_micros(at))));
}
