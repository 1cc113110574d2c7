use std::borrow::Cow;

use super::{Text, excerpt};

#[test]
fn keeps_the_exact_bytes() {
    let text = Text::decode(b"bad%FF%FE%C3(bytes");
    assert_eq!(text.as_bytes(), b"bad\xff\xfe\xc3(bytes");
    assert_eq!(text.lossy(), "bad\u{fffd}\u{fffd}\u{fffd}(bytes");
    assert_eq!(text.to_str(), None);
}

#[test]
fn borrows_from_the_event_where_nothing_is_encoded() {
    assert!(matches!(Text::decode(b"1000").into_lossy(), Cow::Borrowed("1000")));
}

#[test]
fn shows_control_characters_escaped() {
    let text = Text::decode(b"ctl%01%0D%0A%1B[31m%7F end%E2%80%AE");
    assert_eq!(text.to_string(), "ctl\\u{1}\\u{d}\\u{a}\\u{1b}[31m\\u{7f} end\\u{202e}");
    assert_eq!(format!("{:?}", Text::decode(b"a b")), "\"a b\"");
}

#[test]
fn an_excerpt_is_bounded_and_says_so() {
    assert_eq!(excerpt(b"abcdef", 3), "abc…");
    assert_eq!(excerpt(b"abc", 3), "abc");
}
