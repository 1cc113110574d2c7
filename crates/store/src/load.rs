//! Rows become what the daemon starts with.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Deserialize;
use sipward_engine::{
    Cause, Evidence, Grade, Identity, Offender, RuleName, Success, Text, Timestamp,
};

use super::column::{expiry, flow, json, scope, timestamp};
use super::entry::{
    AllowEntry, Counts, Override, RetiredToken, Saved, SavedAcknowledgement, SavedAlarm, SavedBan,
    SavedFlow, SavedToken,
};
use super::key::Net;
use super::schema::{NOTIFIED, WRITTEN};
use sipward_model::text::Time;
use sipward_model::wire::Scope;

/// Bans that come back with the readable part of their evidence (about 1 kB each), the newest: as many as
/// the engine keeps it of. That of the others stays in the file.
const DETAILED: i64 = 4_096;

/// Everything that outlives the process.
pub(super) fn all(connection: &Connection, observed: bool) -> rusqlite::Result<Saved> {
    let mut saved = Saved::default();
    let unreadable = &mut saved.unreadable;
    let detailed_from = connection
        .query_row(
            "SELECT id FROM bans WHERE +observed = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2",
            params![observed, DETAILED - 1],
            |row| row.get::<_, i64>(0),
        )
        .optional()?
        .unwrap_or_default();
    // As they were written: the newest come last.
    saved.bans = rows(
        connection,
        // The plus keeps SQLite from walking the index and the table in an order of its own.
        "SELECT net, since, until, cause, id, scope FROM bans WHERE +observed = ?1 ORDER BY id",
        params![observed],
        unreadable,
        |row| ban(row, detailed_from),
    )?;
    saved.flows = rows(
        connection,
        "SELECT flow, since, until, cause FROM flows WHERE observed = ?1 ORDER BY since",
        params![observed],
        unreadable,
        denied_flow,
    )?;
    saved.offenders = rows(
        connection,
        "SELECT source, bans, until FROM offenders WHERE observed = ?1 ORDER BY until",
        params![observed],
        unreadable,
        offender,
    )?;
    saved.successes = rows(
        connection,
        "SELECT source, user, user_agent, since, at FROM successes ORDER BY at",
        [],
        unreadable,
        success,
    )?;
    saved.allow = rows(connection, ALLOW, [], unreadable, allow)?;
    saved.acknowledged = rows(
        connection,
        "SELECT kind, about, text, since, last, name, at FROM acknowledged ORDER BY at",
        [],
        unreadable,
        acknowledged,
    )?;
    saved.alarms = rows(
        connection,
        "SELECT kind, about, text, data, since, last, times FROM alarms ORDER BY last",
        [],
        unreadable,
        alarm,
    )?;
    saved.tokens = rows(
        connection,
        "SELECT name, hash, scope, since, until, used FROM tokens",
        [],
        unreadable,
        token,
    )?;
    saved.retired = rows(
        connection,
        "SELECT name, hash, at FROM retired_tokens ORDER BY at",
        [],
        unreadable,
        |row| Ok(RetiredToken { name: row.get(0)?, hash: row.get(1)?, at: timestamp(row.get(2)?) }),
    )?;
    saved.overrides = rows(connection, OVERRIDES, [], unreadable, set)?;
    saved.written = time_of(connection, WRITTEN)?;
    saved.notified = time_of(connection, NOTIFIED)?;
    Ok(saved)
}

/// The time in a `meta` row.
fn time_of(connection: &Connection, key: &str) -> rusqlite::Result<Option<Timestamp>> {
    let text = connection
        .query_row("SELECT value FROM meta WHERE key = ?1", params![key], |row| {
            row.get::<_, String>(0)
        })
        .optional()?;
    Ok(text.and_then(|text| text.parse().ok()).map(|Time(at)| at))
}

const ALLOW: &str = "SELECT host, comment, since, until FROM allow";
const OVERRIDES: &str = "SELECT key, value, since FROM overrides";

/// The override of one setting.
pub(super) fn one_override(
    connection: &Connection,
    key: &str,
) -> rusqlite::Result<Option<serde_json::Value>> {
    let all = rows(connection, OVERRIDES, [], &mut 0, set)?;
    Ok(all.into_iter().find(|set| set.key == key).map(|set| set.value))
}

/// Of a damaged file, what an operator allowed and changed, as far as these tables can be read, because it exists
/// nowhere else. Tokens are not included, so that no revoked token returns from a damaged table.
pub(super) fn operators_words(connection: &Connection) -> Saved {
    let mut unreadable = 0;
    Saved {
        allow: rows(connection, ALLOW, [], &mut unreadable, allow).unwrap_or_default(),
        overrides: rows(connection, OVERRIDES, [], &mut unreadable, set).unwrap_or_default(),
        ..Saved::default()
    }
}

/// All rows of a question. An invalid row, for example after a manual edit, is counted and skipped: it must not
/// prevent reading the others.
fn rows<T>(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
    unreadable: &mut usize,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(values)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(value) => all.push(value),
            Err(_) => *unreadable += 1,
        }
    }
    Ok(all)
}

/// What happened in each quarter of an hour, the oldest first.
pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Vec<(u64, Counts)>> {
    let sql =
        "SELECT quarter, unjoined, unproven, unchallenged, challenged, assumed, answered, genuine,
                      bans, unbans
               FROM counts WHERE quarter >= 0 ORDER BY quarter";
    rows(connection, sql, [], &mut 0, |row| {
        let mut counts = Counts { bans: row.get(8)?, unbans: row.get(9)?, ..Counts::default() };
        for (column, count) in (1..).zip(&mut counts.failures) {
            *count = row.get(column)?;
        }
        Ok((row.get::<_, i64>(0)?.unsigned_abs(), counts))
    })
}

fn ban(row: &Row<'_>, detailed_from: i64) -> rusqlite::Result<SavedBan> {
    let Net(net) = row.get(0)?;
    // A ban whose reason cannot be read is still a ban.
    let with_details = row.get::<_, i64>(4)? >= detailed_from;
    let cause = cause(row.get_ref(3)?.as_str()?, with_details).unwrap_or(Cause::Adopted);
    Ok(SavedBan {
        net,
        scope: scope(row, 5)?,
        since: timestamp(row.get(1)?),
        until: expiry(row.get(2)?),
        cause: Arc::new(cause),
    })
}

fn denied_flow(row: &Row<'_>) -> rusqlite::Result<SavedFlow> {
    let cause = cause(row.get_ref(3)?.as_str()?, true).unwrap_or(Cause::Adopted);
    Ok(SavedFlow {
        flow: flow(row, 0)?,
        since: timestamp(row.get(1)?),
        until: timestamp(row.get(2)?),
        cause: Arc::new(cause),
    })
}

/// As serde reads a [`Cause`], but several times as fast for nearly all of them: serde has to put a
/// tagged and flattened value aside before it knows what it is. Without `with_details` those are left
/// out.
fn cause(text: &str, with_details: bool) -> serde_json::Result<Cause> {
    /// [`Cause::Rule`] and the numbers of its [`Evidence`], side by side as their JSON has them.
    #[derive(Deserialize)]
    struct Numbers {
        #[serde(rename = "by")]
        _by: By,
        rule: RuleName,
        address: IpAddr,
        identity: Identity,
        failures: u32,
        score: f64,
        max_failures: u32,
        window_seconds: f64,
        grade: Grade,
        ban_count: u32,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum By {
        Rule,
    }
    let Ok(numbers) = serde_json::from_str::<Numbers>(text) else {
        return serde_json::from_str(text);
    };
    let Ok(window) = Duration::try_from_secs_f64(numbers.window_seconds) else {
        return serde_json::from_str(text);
    };
    Ok(Cause::Rule(Evidence {
        rule: numbers.rule,
        address: numbers.address,
        identity: numbers.identity,
        failures: numbers.failures,
        score: numbers.score,
        max_failures: numbers.max_failures,
        window,
        grade: numbers.grade,
        ban_count: numbers.ban_count,
        // Fails where there are none.
        details: if with_details { serde_json::from_str(text).ok().map(Box::new) } else { None },
    }))
}

fn offender(row: &Row<'_>) -> rusqlite::Result<Offender> {
    let Net(net) = row.get(0)?;
    Ok(Offender { source: net.addr(), bans: row.get(1)?, until: timestamp(row.get(2)?) })
}

fn success(row: &Row<'_>) -> rusqlite::Result<Success> {
    let Net(net) = row.get(0)?;
    let text = |column| Ok::<_, rusqlite::Error>(Text::new(row.get_ref(column)?.as_str()?));
    Ok(Success {
        source: net.addr(),
        user: text(1)?,
        user_agent: text(2)?,
        since: timestamp(row.get(3)?),
        at: timestamp(row.get(4)?),
    })
}

fn allow(row: &Row<'_>) -> rusqlite::Result<AllowEntry> {
    let host = row.get_ref(0)?.as_str()?.parse().map_err(|error: String| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(0, kind, error.into())
    })?;
    let until = row.get::<_, Option<i64>>(3)?.map(timestamp);
    Ok(AllowEntry { host, comment: row.get(1)?, since: timestamp(row.get(2)?), until })
}

fn set(row: &Row<'_>) -> rusqlite::Result<Override> {
    Ok(Override { key: row.get(0)?, value: json(row, 1)?, since: timestamp(row.get(2)?) })
}

fn acknowledged(row: &Row<'_>) -> rusqlite::Result<SavedAcknowledgement> {
    let about: String = row.get(1)?;
    Ok(SavedAcknowledgement {
        kind: json(row, 0)?,
        about: Some(about).filter(|about| !about.is_empty()),
        text: row.get(2)?,
        since: timestamp(row.get(3)?),
        last: timestamp(row.get(4)?),
        name: row.get(5)?,
        at: timestamp(row.get(6)?),
    })
}

fn alarm(row: &Row<'_>) -> rusqlite::Result<SavedAlarm> {
    let about: String = row.get(1)?;
    Ok(SavedAlarm {
        kind: json(row, 0)?,
        about: Some(about).filter(|about| !about.is_empty()),
        text: row.get(2)?,
        data: row.get(3)?,
        since: timestamp(row.get(4)?),
        last: timestamp(row.get(5)?),
        times: row.get(6)?,
    })
}

fn token(row: &Row<'_>) -> rusqlite::Result<SavedToken> {
    let scope = match row.get_ref(2)?.as_str()? {
        "read" => Scope::Read,
        "write" => Scope::Write,
        other => {
            let kind = rusqlite::types::Type::Text;
            let error = format!("`{other}` is not a scope");
            return Err(rusqlite::Error::FromSqlConversionFailure(2, kind, error.into()));
        }
    };
    Ok(SavedToken {
        name: row.get(0)?,
        hash: row.get(1)?,
        scope,
        since: timestamp(row.get(3)?),
        until: row.get::<_, Option<i64>>(4)?.map(timestamp),
        used: row.get::<_, Option<i64>>(5)?.map(timestamp),
    })
}

#[cfg(test)]
mod tests {
    use sipward_engine::Details;

    use super::*;

    /// Whatever the engine makes of an evidence, both ways of reading must agree.
    #[test]
    fn the_fast_way_of_reading_gives_what_serde_gives() {
        let details = Details {
            users: vec![Text::new("1000"), Text::new("a\u{1b}\0\"\\")],
            profile: Text::new("internal"),
            user_agent: Text::new("friendly-scanner"),
            reason: None,
        };
        let evidence = Evidence {
            rule: RuleName::UserAgents,
            address: "2001:db8::7".parse().unwrap(),
            identity: Identity::Known,
            failures: 5,
            score: 4.75,
            max_failures: 6,
            window: Duration::from_millis(600_500),
            grade: Grade::Unchallenged,
            ban_count: 3,
            details: None,
        };
        let with = |details| Evidence { details: Some(Box::new(details)), ..evidence.clone() };
        let reason = Some(Text::new("dialplan"));
        let rule = Cause::Rule(with(Details { reason, ..details.clone() }));
        let causes = [
            Cause::Split { of: "2001:db8::/32".parse().unwrap(), was: Arc::new(rule.clone()) },
            rule,
            Cause::Rule(with(details)),
            Cause::Rule(evidence),
            Cause::Manual { reason: "pest".to_owned(), force: true },
            Cause::Adopted,
        ];
        for given in causes {
            let text = serde_json::to_string(&given).unwrap();
            assert_eq!(serde_json::from_str::<Cause>(&text).unwrap(), given);
            assert_eq!(cause(&text, true).unwrap(), given, "{text}");
            if let Cause::Rule(evidence) = given {
                let bare = Cause::Rule(Evidence { details: None, ..evidence });
                assert_eq!(cause(&text, false).unwrap(), bare, "{text}");
            }
        }
        assert!(cause("{", true).is_err() && cause("{\"by\":\"rule\"}", true).is_err());
    }
}
