use std::borrow::Cow;

use proptest::prelude::*;

use super::{decode, decode_into, encode_into};

#[test]
fn borrows_when_there_is_nothing_to_decode() {
    assert!(matches!(decode(b"friendly-scanner"), Cow::Borrowed(b"friendly-scanner")));
    assert!(matches!(decode(b""), Cow::Borrowed(b"")));
}

#[test]
fn decodes_either_letter_case() {
    assert_eq!(&*decode(b"sofia%3A%3aregister"), b"sofia::register");
    assert_eq!(&*decode(b"%FF%fe%C3"), b"\xff\xfe\xc3");
}

#[test]
fn leaves_what_is_no_escape_as_it_is() {
    for raw in [&b"%"[..], b"100%", b"%4", b"%G0", b"a%%b", b"%0", b"a+b", b"% 41"] {
        assert_eq!(&*decode(raw), raw);
    }
    assert_eq!(&*decode(b"%%41"), b"%A");
    assert_eq!(&*decode(b"%2541"), b"%41", "decodes once only");
}

proptest! {
    #[test]
    fn encoding_survives_the_round_trip_and_never_ends_a_line(value: Vec<u8>) {
        let mut encoded = Vec::new();
        encode_into(&value, &mut encoded);
        prop_assert!(!encoded.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        prop_assert_eq!(&*decode(&encoded), &value[..]);
    }

    #[test]
    fn both_decoders_agree(raw: Vec<u8>) {
        let mut buffer = [0; 128];
        if let Some(decoded) = decode_into(&raw, &mut buffer) {
            prop_assert_eq!(decoded, &*decode(&raw));
        } else {
            prop_assert!(decode(&raw).len() > 128);
        }
    }

    #[test]
    fn decoding_anything_never_grows_it(raw: Vec<u8>) {
        prop_assert!(decode(&raw).len() <= raw.len());
    }
}
