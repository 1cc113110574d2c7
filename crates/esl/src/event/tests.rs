use super::{Event, EventError};

#[test]
fn headers_come_in_order_with_their_duplicates() {
    let event = Event::from_plain("a: 1\nB: 2\na: 3\n\n");
    let headers: Vec<_> = event.headers().map(|h| (h.name(), h.raw_value())).collect();
    assert_eq!(headers, [(&b"a"[..], &b"1"[..]), (b"B", b"2"), (b"a", b"3")]);
    assert_eq!(event.header("b").unwrap(), "2");
    assert_eq!(event.header("A").unwrap(), "1", "the first of several");
}

#[test]
fn odd_lines_harm_nothing() {
    let event = Event::from_plain("no colon\n: no name\nempty:\nspaced:  x \r\nlast: y");
    let headers: Vec<_> = event.headers().map(|h| (h.name(), h.raw_value())).collect();
    assert_eq!(
        headers,
        [(&b""[..], &b"no name"[..]), (b"empty", b""), (b"spaced", b" x "), (b"last", b"y")]
    );
    assert_eq!(Event::from_plain("").headers().count(), 0);
    assert_eq!(Event::from_plain("\n\n").headers().count(), 0);
}

/// The search for line ends looks at eight bytes at once, so each place and each neighbour of LF counts.
#[test]
fn a_line_ends_at_its_line_end_wherever_that_is() {
    for length in 0..40 {
        for byte in [b'x', 0, 0x09, 0x0b, 0x8a, 0x80, 0xff, b':'] {
            let value = vec![byte; length];
            let event = [b"a:", &value[..], b"\n\x0b\x0b: \x0b", &value[..]].concat();
            let event = Event::from_plain(event);
            let values: Vec<_> = event.headers().map(|header| header.raw_value()).collect();
            let last = [b"\x0b", &value[..]].concat();
            assert_eq!(values, [&value[..], &last], "{length} times {byte}");
        }
    }
}

#[test]
fn a_sender_cannot_add_a_header() {
    let event = Event::from_plain("user: x%0D%0Anetwork-ip: 10.9.9.9\nnetwork-ip: 192.0.2.1\n\n");
    assert_eq!(event.header("network-ip").unwrap(), "192.0.2.1");
    assert_eq!(event.header("user").unwrap(), "x\r\nnetwork-ip: 10.9.9.9");
    assert_eq!(event.headers().count(), 2);
}

#[test]
fn the_inner_body_is_as_long_as_the_inner_length_says() {
    let with = |length: &str| {
        let text = format!("A: b\nContent-Length: {length}\nContent-Length: 1\n\nhello\nworld");
        Event::from_plain(text).body().to_vec()
    };
    assert_eq!(with("11"), b"hello\nworld");
    assert_eq!(with("5"), b"hello");
    assert_eq!(with("99"), b"hello\nworld", "no more than came");
    assert_eq!(Event::from_plain("A: b\n\nhello").body(), b"", "without a length there is none");
    assert_eq!(Event::from_plain("Content-Length: 5\n").body(), b"");
}

#[test]
fn arrays_fall_apart_into_their_values() {
    let values = |value: &str| -> Vec<String> {
        let event = Event::from_plain(format!("a: {value}\n\n"));
        let header = event.headers().next().unwrap();
        header.values().map(|value| String::from_utf8(value).unwrap()).collect()
    };
    assert_eq!(values("ARRAY%3A%3Aone|%3Atwo%20|%3A"), ["one", "two ", ""]);
    assert_eq!(values("plain"), ["plain"]);
    assert_eq!(values("ARRAY::"), [""]);
}

#[test]
fn json_reads_like_plain() {
    let event = Event::from_json(
        br#" {"Event-Name":"CUSTOM","profile-name":"a","x":"50%\r\n\u00fc","l":["one","two"],
             "Content-Length":"11","profile-name":"b","_body":"hello\nworld","":"", "a:b\n":"c"} "#,
        None,
    )
    .unwrap();
    let headers: Vec<_> = event
        .headers()
        .map(|h| (String::from_utf8_lossy(h.name()).into_owned(), h.value().lossy().into_owned()))
        .collect();
    let expected = [
        ("Event-Name", "CUSTOM"),
        ("profile-name", "a"),
        ("x", "50%\r\nü"),
        ("l", "ARRAY::one|:two"),
        ("Content-Length", "11"),
        ("profile-name", "b"),
        ("", ""),
        ("a_b_", "c"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(event.body(), b"hello\nworld");
}

#[test]
fn raw_bytes_in_json_do_not_hide_the_event() {
    let event = Event::from_json(b"{\"network-ip\":\"192.0.2.1\",\"ua\":\"\xff\xfe\xc3(\"}", None);
    let event = event.unwrap();
    assert_eq!(event.header("network-ip").unwrap(), "192.0.2.1");
    assert_eq!(event.header("ua").unwrap().as_bytes(), b"\xff\xfe\xc3(");
}

#[test]
fn what_is_no_object_of_strings_is_an_error() {
    for json in ["", "[]", "{", "{\"a\":1}", "{\"a\":\"b\"} x", "{\"a\":{}}", "null"] {
        let event = Event::from_json(json.as_bytes(), None);
        assert!(matches!(event, Err(EventError::Json(_))), "{json}");
    }
}

#[test]
fn a_detached_event_equals_the_one_it_was_copied_from() {
    let framed = "Content-Type: x\n\nEvent-Name: HEARTBEAT\nCore-UUID: x\n\n";
    let event = Event::new(framed.into(), 17, None);
    assert_eq!(event.detached(), event);
    assert_eq!(event, Event::from_plain(&framed.as_bytes()[17..]));
    assert_eq!(event.name().unwrap(), "HEARTBEAT");
    assert_eq!(event.core_uuid(), None);
}
