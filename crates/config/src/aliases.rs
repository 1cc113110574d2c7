//! Names of other programs for the keys of sipward.

/// Other names that a key may be written by.
pub(super) fn aliases(key: &str) -> &'static [&'static str] {
    match key {
        "allow" => &["ignoreip"],
        "policy.max_failures" => &["maxretry"],
        "policy.window" => &["findtime"],
        "policy.ban_time" => &["bantime"],
        _ => &[],
    }
}
