use super::*;

#[test]
fn fills_one_cache_line() {
    assert_eq!(size_of::<Text>(), 64);
}

#[test]
fn keeps_short_text_whole() {
    let text = Text::new("1000");
    assert_eq!(text, "1000");
    assert!(!text.is_cut());
}

#[test]
fn cuts_long_text_and_says_so() {
    let text = Text::new(&"x".repeat(2_000_000));
    assert_eq!(text.len(), Text::MAX_BYTES);
    assert!(text.is_cut());
}

#[test]
fn cuts_between_characters() {
    // 61 bytes, then a character of three bytes that no longer fits.
    let text = Text::new(&format!("{}€€", "x".repeat(61)));
    assert_eq!(text.as_str(), "x".repeat(61));
    assert!(text.is_cut());
}
