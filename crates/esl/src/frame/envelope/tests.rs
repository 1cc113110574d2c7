use super::{BadHead, ContentType, Envelope, head, usual_event_head};

#[test]
fn reads_headers_in_any_order_and_letter_case() {
    for input in [
        &b"Content-Type: text/event-json\nContent-Length: 12\n\n"[..],
        b"Content-Length: 12\nContent-Type: text/event-json\n\n",
        b"CONTENT-LENGTH:12\ncontent-type:   TEXT/Event-Json\n\n",
        b"Content-Length: 12\r\nContent-Type: text/event-json\r\n\r\n",
        b"Content-Length: 12 \nno colon in this line\nContent-Type: text/event-json\n\n",
    ] {
        let expected =
            Envelope { head_len: input.len(), content_type: ContentType::EventJson, body_len: 12 };
        assert_eq!(head(input), Ok(expected));
    }
}

#[test]
fn a_missing_content_length_means_no_body() {
    let envelope = head(b"Content-Type: auth/request\n\n").unwrap();
    assert_eq!((envelope.content_type, envelope.body_len), (ContentType::AuthRequest, 0));
}

#[test]
fn an_unknown_type_is_no_error_but_none_is() {
    assert_eq!(head(b"Content-Type: text/novel\n\n").unwrap().content_type, ContentType::Other);
    assert_eq!(head(b"Reply-Text: +OK\n\n"), Err(BadHead::NoContentType));
}

#[test]
fn a_length_that_is_not_plain_decimal_is_refused() {
    for length in ["", "-1", "+1", "0x10", "12a", "1 2", "18446744073709551616"] {
        let input = format!("Content-Type: api/response\nContent-Length: {length}\n\n");
        assert_eq!(head(input.as_bytes()), Err(BadHead::ContentLength), "{length:?}");
    }
}

#[test]
fn two_lengths_must_agree() {
    let input = b"Content-Length: 3\nContent-Length: 4\nContent-Type: api/response\n\n";
    assert_eq!(head(input), Err(BadHead::ContentLength));
    let input = b"Content-Length: 3\nContent-Length: 3\nContent-Type: api/response\n\n";
    assert_eq!(head(input).unwrap().body_len, 3);
}

#[test]
fn the_usual_event_head_is_read_in_one_go() {
    let input = b"Content-Length: 675\nContent-Type: text/event-plain\n\nEvent-Name: CUSTOM\n";
    let envelope = usual_event_head(input).unwrap();
    assert_eq!(envelope, head(&input[..envelope.head_len]).unwrap());
    for end in 0..envelope.head_len {
        assert_eq!(usual_event_head(&input[..end]), None, "incomplete at {end}");
    }
}
