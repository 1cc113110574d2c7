//! Names of other programs for the keys of sipward.

/// The key of today that is written by another name.
pub(super) fn canonical(written: &str) -> Option<&'static str> {
    match written {
        "ignoreip" => Some("allow"),
        "policy.maxretry" => Some("policy.max_failures"),
        "policy.findtime" => Some("policy.window"),
        "policy.bantime" => Some("policy.ban_time"),
        _ => None,
    }
}

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
