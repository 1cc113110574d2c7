use std::path::Path;

use proptest::prelude::*;

use super::*;

/// The body of the last `api/response` of a recording in `api/`.
pub fn recorded(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/freeswitch/api")
        .join(format!("{name}.raw"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (_, answer) = text.rsplit_once("Content-Type: api/response\n").unwrap();
    let (head, body) = answer.split_once("\n\n").unwrap();
    let length: usize = head.strip_prefix("Content-Length: ").unwrap().trim().parse().unwrap();
    body[..length].to_owned()
}

fn read(text: &[u8], piece: usize) -> (Vec<Row<'static>>, Result<Outcome, String>) {
    let mut rows = Rows::new();
    let mut found = Vec::new();
    for piece in text.chunks(piece.max(1)) {
        rows.push(piece, |row| {
            found.push(Row {
                user: row.user.into_owned().into(),
                domain: row.domain.into_owned().into(),
                call_id: row.call_id.into_owned().into(),
                ..row
            });
        });
    }
    (found, rows.finish())
}

#[test]
fn the_recorded_phones_are_read_whatever_the_pieces() {
    let text = recorded("2-show-registrations-json-90k");
    for piece in [1, 7, 4_096, usize::MAX] {
        let (found, outcome) = read(text.as_bytes(), piece);
        assert_eq!(outcome.unwrap(), Outcome { rows: 11, ..Outcome::default() });
        assert_eq!(found.len(), 11);
        assert!(found.iter().any(|row| row.call_id.len() >= 90_000), "a Call-ID of 90 kB is whole");
        assert!(found.iter().all(|row| row.domain == "pbx.test" && row.port.is_some()));
    }
    let (found, _) = read(recorded("2-show-registrations-transports").as_bytes(), 100);
    assert_eq!(found.len(), 10);
    assert_eq!(found[0].source, "10.66.2.40".parse::<IpAddr>().unwrap());
    assert_eq!((found[0].port, found[0].expires), (Some(47_401), Some(1_795_969_729)));
}

#[test]
fn phones_are_read_as_freeswitch_showed_them_first() {
    let (found, _) = read(recorded("show-registrations-json").as_bytes(), 64);
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|row| row.expires == Some(1_795_338_368)));
    assert_eq!(found[3].call_id, "1b8154407db097a1");
}

#[test]
fn nobody_registered_is_no_error_and_nonsense_is() {
    for nobody in [
        "{\"row_count\":0}",
        "{ \"row_count\": 0 }\n",
        "0 total.\n",
        "{\"row_count\":0,\"rows\":[]}",
    ] {
        assert_eq!(read(nobody.as_bytes(), 3), (vec![], Ok(Outcome::default())), "{nobody}");
    }
    for nonsense in ["", "-ERR no reply", "+OK\n", "{}", "[1]", "{\"row_count\":3}"] {
        assert!(read(nonsense.as_bytes(), 3).1.is_err(), "{nonsense}");
    }
}

const GOOD: &str = r#"{"reg_user":"1","realm":"r","token":"t","expires":"17","network_ip":"::1","network_port":"5060"}"#;

#[test]
fn an_odd_row_costs_itself_and_is_named() {
    let long =
        format!(r#"{{"reg_user":"{}","realm":"r","network_ip":"::1"}}"#, "x".repeat(MAX_ROW));
    for (odd, problem) in [
        (
            r#"{"reg_user":"7","realm":"r","token":"t","expires":"0","network_ip":"nowhere"}"#,
            "7@r: network_ip `nowhere`",
        ),
        (r#"{"reg_user":"7","realm":"r"}"#, "missing field `network_ip`"),
        (r#"{"reg_user":7,"realm":"r","network_ip":"::1"}"#, "invalid type"),
        (r#"{"reg_user":"a"b","realm":"r","network_ip":"::1"}"#, "row 2"),
        (r#"{"reg_user":"a\","realm":"r","network_ip":"::1"}"#, "row 2"),
        ("{\"reg_user\":\"a\u{1}b\",\"realm\":\"r\",\"network_ip\":\"::1\"}", "control character"),
        (long.as_str(), "longer than a megabyte"),
        (r#"{"reg_user":{"x":{"}":1}},"realm":"]","network_ip":"::1"}"#, "invalid type"),
    ] {
        let text = format!("{{\"row_count\":3,\"rows\":[{GOOD},{odd},{GOOD}]}}");
        for piece in [11, usize::MAX] {
            let (found, outcome) = read(text.as_bytes(), piece);
            let outcome = outcome.unwrap();
            assert_eq!((found.len(), outcome.rows, outcome.odd.count), (2, 2, 1), "{problem}");
            assert!(outcome.odd.named[0].contains(problem), "{:?}", outcome.odd.named);
            assert!(outcome.odd.named[0].len() < 300);
            assert_eq!(outcome.incomplete, None);
        }
    }
    // What is of less use may be missing, or written in another way.
    for (rest, expires) in [
        ("", None),
        (r#","expires":"0""#, None),
        (r#","expires":"soon""#, None),
        (r#","expires":17"#, Some(17)),
        (r#","network_port":99999"#, None),
    ] {
        let text = format!(
            r#"{{"rows":[{{"reg_user":"1","realm":"r","network_ip":"fe80::1%eth0"{rest}}}]}}"#
        );
        let (found, outcome) = read(text.as_bytes(), 5);
        assert_eq!((found[0].expires, found[0].port), (expires, None), "{rest}");
        assert_eq!(outcome.unwrap().rows, 1);
    }
}

#[test]
fn what_is_no_utf8_is_read_as_the_events_are() {
    let mut text =
        b"{\"rows\":[{\"reg_user\":\"a\xffb\",\"realm\":\"r\",\"network_ip\":\"::1\"}]}".to_vec();
    text.push(b'\n');
    let (found, _) = read(&text, 4);
    assert_eq!(found[0].user, "a\u{fffd}b");
}

#[test]
fn an_answer_without_its_end_says_so() {
    let text = format!("{{\"row_count\":3,\"rows\":[{GOOD},{GOOD},{GOOD}]}}");
    let end = text.rfind("::1").unwrap();
    let (found, outcome) = read(&text.as_bytes()[..end], 10);
    let outcome = outcome.unwrap();
    assert_eq!((found.len(), outcome.odd.count), (2, 1));
    assert!(outcome.incomplete.is_some());
    let (_, outcome) = read(format!("{{\"row_count\":9,\"rows\":[{GOOD}]}}").as_bytes(), 10);
    assert!(outcome.unwrap().incomplete.unwrap().contains("announces 9 rows and contains 1"));
    let (_, outcome) = read(format!("{{\"rows\":[{GOOD}],\"row_count\":2}}").as_bytes(), 10);
    assert!(outcome.unwrap().incomplete.is_some(), "the count may come last");
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        text in "(\\{\"row_count\":2,\"rows\":\\[)?(\\{\"reg_user\":\"a\",\"realm\":\"b\",\"network_ip\":\"::1\"\\}|[{}\\[\\]\",:\\\\]|\\PC){0,20}\\]?\\}?",
        piece in 1_usize..30,
    ) {
        prop_assert_eq!(read(text.as_bytes(), piece), read(text.as_bytes(), usize::MAX));
    }
}
