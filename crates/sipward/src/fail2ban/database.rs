//! Active bans, from fail2ban's SQLite database.
//!
//! Since 0.11 the table `bips` holds the present ban of each address and jail, with its length; before,
//! `bans` held every ban and the jail's settings had the length.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use sipward_engine::{Scope, Timestamp};

use super::time::Span;
use super::{Jail, Notes, StandingBan};

/// Bans taken at most: as many as sipward holds by default (`policy.max_bans`).
const MAX_BANS: usize = 500_000;

/// How long a write of fail2ban may hold up the reading.
const PATIENCE: Duration = Duration::from_secs(5);

/// fail2ban's default `bantime` in seconds, for a database of before 0.11 and a jail that sets none.
const DEFAULT_BAN_TIME: f64 = 600.0;

/// Characters of an address that a note shows at most.
const MAX_SHOWN: usize = 60;

/// The bans of these jails that are active at `now`.
pub(super) fn bans(
    file: &Path,
    jails: &[Jail],
    now: Timestamp,
    notes: &mut Notes,
) -> Result<Vec<StandingBan>, String> {
    let said = |error: rusqlite::Error| error.to_string();
    // Opening must not create it.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(file, flags).map_err(said)?;
    database.busy_timeout(PATIENCE).map_err(said)?;
    let known = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'bips'";
    let has_bips: i64 = database.query_row(known, [], |row| row.get(0)).map_err(said)?;
    let query = if has_bips == 1 {
        "SELECT ip, timeofban, bantime FROM bips WHERE jail = ?1"
    } else {
        "SELECT ip, max(timeofban), NULL FROM bans WHERE jail = ?1 GROUP BY ip"
    };
    let mut found: BTreeMap<IpNet, StandingBan> = BTreeMap::new();
    let mut statement = database.prepare(query).map_err(said)?;
    for jail in jails {
        let configured = match jail.ban_time {
            Some(Span::Seconds(seconds)) => u32::try_from(seconds).map_or(f64::MAX, f64::from),
            Some(Span::Permanent) => -1.0,
            None => DEFAULT_BAN_TIME,
        };
        let mut rows = statement.query([&jail.name]).map_err(said)?;
        while let Some(row) = rows.next().map_err(said)? {
            let Some(ban) = standing(row, jail, configured, now, notes) else {
                continue;
            };
            if found.len() >= MAX_BANS && !found.contains_key(&ban.net) {
                notes.add(format!("more than {MAX_BANS} bans; the rest is skipped"));
                break;
            }
            let kept = found.entry(ban.net).or_insert_with(|| ban.clone());
            // Of two scopes the wider one counts.
            let scope =
                if kept.scope == Some(Scope::Host) { kept.scope } else { ban.scope.or(kept.scope) };
            // No end is later than any.
            if kept.until.is_some_and(|kept| ban.until.is_none_or(|until| until > kept)) {
                *kept = ban;
            }
            kept.scope = scope;
        }
    }
    Ok(found.into_values().collect())
}

fn standing(
    row: &Row<'_>,
    jail: &Jail,
    configured: f64,
    now: Timestamp,
    notes: &mut Notes,
) -> Option<StandingBan> {
    // SQLite columns hold whatever was put into them. Lengths with a fraction come of bantime.increment.
    let text = match row.get_ref(0) {
        Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        Ok(_) | Err(_) => "?".to_owned(),
    };
    let shown: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let Ok(net) = net else {
        notes.add(format!("`{shown}` is banned but is not an address; left out"));
        return None;
    };
    let length = match row.get_ref(2) {
        Ok(ValueRef::Null) => Some(configured),
        Ok(value) => number(value),
        Err(_) => None,
    };
    let (Some(since), Some(length)) = (row.get_ref(1).ok().and_then(number), length) else {
        notes.add(format!("the ban of {shown} has no time that can be read; left out"));
        return None;
    };
    let until = if length < 0.0 {
        None
    } else {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, and what ended before 1970 has ended"
        )]
        let end = (since + length).round() as u64;
        Some(Timestamp::from_micros(end.saturating_mul(1_000_000)))
    };
    if until.is_some_and(|until| until <= now) {
        return None;
    }
    Some(StandingBan {
        net: net.trunc(),
        until,
        jail: jail.name.clone(),
        scope: jail.reach.as_ref().map(|reach| reach.scope),
    })
}

/// A number, whichever way SQLite keeps it.
fn number(value: ValueRef<'_>) -> Option<f64> {
    let number = match value {
        #[allow(clippy::cast_precision_loss, reason = "times are far below 2^53 seconds")]
        ValueRef::Integer(whole) => whole as f64,
        ValueRef::Real(number) => number,
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok()?,
        ValueRef::Null | ValueRef::Blob(_) => return None,
    };
    number.is_finite().then_some(number)
}
