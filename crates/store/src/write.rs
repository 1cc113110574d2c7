//! Entries become rows.

use std::sync::Arc;

use ipnet::IpNet;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use sipward_engine::{
    Cause, Expiry, Flow, Offender, Refusal, Scope, Success, Timestamp, UnblockReason,
};

use super::column::micros;
use super::entry::{
    AllowEntry, Counts, Override, RetiredToken, SavedAcknowledgement, SavedAlarm, SavedBan,
    SavedFlow, SavedToken,
};
use super::inbox::Item;
use super::key::Key;
use super::schema::{NOTIFIED, WRITTEN};
use super::{Entry, HistoryKind, MOST_ACKNOWLEDGED, MOST_ALARMS, MOST_RETIRED, step};
use sipward_model::text::Time;
use sipward_model::wire::Mode;

/// Writes a batch in one transaction: all of it or nothing. Gives the mode after it.
pub(super) fn batch(
    connection: &mut Connection,
    items: &[Item],
    mode: Mode,
    now: Timestamp,
) -> rusqlite::Result<Mode> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut rows = Rows { transaction: &transaction, observed: mode == Mode::Observe };
    let mut mode = mode;
    for item in items {
        match item {
            Item::Entry(Entry::Mode(changed)) => {
                rows.switch_to(*changed)?;
                mode = *changed;
            }
            Item::Entry(entry) => rows.entry(entry)?,
            Item::Bans(bans, flows) => rows.all_bans(bans, flows)?,
            // Once all is written.
            Item::Read => {}
        }
    }
    written(&transaction, now)?;
    transaction.commit()?;
    Ok(mode)
}

/// `meta` row of a file that is in use, until it is closed. In a file without a write-ahead log beside it, it shows
/// that the log was lost.
const IN_USE: &str = "in_use_since";

/// Notes when the file was opened, and by which version.
pub(super) fn opened(connection: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    let at = Time(at).to_string();
    connection.execute(sql, params!["opened_at", at])?;
    connection.execute(sql, params!["opened_by", env!("CARGO_PKG_VERSION")])?;
    connection.execute(sql, params![IN_USE, at])?;
    Ok(())
}

/// Puts into the file itself what is in its log and nobody reads: the mark of a file that is in use, before a copy
/// without the log could lack it.
pub(super) fn work_in(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Notes when something was written.
fn written(connection: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    connection.prepare_cached(sql)?.execute(params![WRITTEN, Time(at).to_string()]).map(drop)
}

/// Notes that all is in the file.
pub(super) fn closed(connection: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    written(connection, at)?;
    connection.execute("DELETE FROM meta WHERE key = ?1", params![IN_USE]).map(drop)
}

/// Whether the file was not closed.
pub(super) fn is_in_use(connection: &Connection) -> rusqlite::Result<bool> {
    let mut rows = connection.prepare("SELECT 1 FROM meta WHERE key = ?1")?;
    rows.exists(params![IN_USE])
}

/// Ends all bans that were enforced; gives how many.
pub(super) fn end_bans(connection: &mut Connection, at: Timestamp) -> rusqlite::Result<usize> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO history (at, kind, observed, net, reason)
         SELECT ?1, ?2, 0, net, ?3 FROM bans WHERE observed = 0",
        params![micros(at), HistoryKind::Unban.number(), json(&UnblockReason::Manual)?],
    )?;
    let ended = transaction.execute("DELETE FROM bans WHERE observed = 0", [])?;
    transaction.execute("DELETE FROM flows WHERE observed = 0", [])?;
    // No other process uses it, and after this connection there is no log.
    closed(&transaction, at)?;
    transaction.commit()?;
    Ok(ended)
}

/// Both find the row by its key: 65,536 flows may end at once.
const FORGET_FLOW: &str = "DELETE FROM flows WHERE observed = ?1 AND flow = ?2";
const END_FLOW: &str = "UPDATE flows SET until = since WHERE observed = ?1 AND flow = ?2";

/// One row of the history.
struct Happened<'a> {
    at: Timestamp,
    kind: HistoryKind,
    net: IpNet,
    scope: Option<Scope>,
    flow: Option<Flow>,
    until: Option<Expiry>,
    reason: Option<&'a str>,
    cause: Option<&'a str>,
}

impl Happened<'_> {
    fn new(at: Timestamp, kind: HistoryKind, net: IpNet) -> Self {
        Self { at, kind, net, scope: None, flow: None, until: None, reason: None, cause: None }
    }
}

struct Rows<'a> {
    transaction: &'a Transaction<'a>,
    observed: bool,
}

impl Rows<'_> {
    fn entry(&self, entry: &Entry) -> rusqlite::Result<()> {
        match entry {
            Entry::Ban { at, ban } => {
                let cause = json(&*ban.cause)?;
                self.ban(ban, &cause)?;
                self.history(&Happened {
                    scope: Some(ban.scope),
                    until: Some(ban.until),
                    cause: Some(&cause),
                    ..Happened::new(*at, HistoryKind::Ban, ban.net)
                })
            }
            Entry::DenyFlow { at, flow } => self.deny_flow(*at, flow),
            Entry::Slowed(limit) => self.flow(limit, &json(&*limit.cause)?),
            Entry::AllowFlow { flow, at, reason } => self.allow_flow(*flow, *at, *reason),
            Entry::Unban { net, at, reason } => self.unban(*net, *at, *reason),
            Entry::Refused { net, at, refusal, cause } => self.refused(*net, *at, *refusal, cause),
            Entry::Stepped(step) => step::rows(self.transaction, step),
            Entry::EndPast { at } => self.end_past(*at),
            Entry::Remember(success) => self.success(success),
            Entry::Allow(allowed) => self.allow(allowed),
            Entry::Disallow { host } => {
                self.run("DELETE FROM allow WHERE host = ?1", params![host.to_string()])
            }
            Entry::Override(set) => self.set(set),
            Entry::Reset { key } => self.run("DELETE FROM overrides WHERE key = ?1", params![key]),
            Entry::Acknowledge(alarm) => self.acknowledge(alarm),
            Entry::Alarm(alarm) => self.alarm(alarm),
            Entry::Notified { at } => self.run(
                "INSERT OR IGNORE INTO meta (key, value) VALUES (?1, ?2)",
                params![NOTIFIED, Time(*at).to_string()],
            ),
            Entry::ForgetAcknowledgement { kind, about } => self.run(
                "DELETE FROM acknowledged WHERE kind = ?1 AND about = ?2",
                params![json(kind)?, about.as_deref().unwrap_or_default()],
            ),
            // It concerns what comes after it: see [`batch`].
            Entry::Mode(_) => Ok(()),
            Entry::Token(token) => self.token(token),
            Entry::RevokeToken(token) => self.retire(token),
            Entry::Counts { from, counts } => self.counts(*from, counts),
        }
    }

    fn ban(&self, ban: &SavedBan, cause: &str) -> rusqlite::Result<()> {
        let until = match ban.until {
            Expiry::At(end) => Some(micros(end)),
            Expiry::Never => None,
        };
        // A route that was found explains nothing: where a ban is stored, that is the truth.
        let sql = match &*ban.cause {
            Cause::Adopted => {
                "INSERT INTO bans (observed, net, since, until, cause, scope) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (observed, net) DO UPDATE
                 SET since = excluded.since, until = excluded.until, cause = excluded.cause, scope = excluded.scope
                 WHERE bans.until <= excluded.since"
            }
            Cause::Rule(_) | Cause::Manual { .. } | Cause::Remote(_) | Cause::Split { .. } => {
                "INSERT INTO bans (observed, net, since, until, cause, scope) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (observed, net) DO UPDATE
                 SET since = excluded.since, until = excluded.until, cause = excluded.cause, scope = excluded.scope"
            }
        };
        let net = Key::from(ban.net);
        let scope = ban.scope.as_str();
        self.run(sql, params![self.observed, net, micros(ban.since), until, cause, scope])?;
        match Offender::of(&ban.cause, ban.until) {
            Some(offender) => self.offender(&offender),
            None => Ok(()),
        }
    }

    /// What is stored belongs to the other mode from now on. What that mode has left behind is gone: the daemon
    /// takes over what of it the kernel still holds.
    fn switch_to(&mut self, mode: Mode) -> rusqlite::Result<()> {
        let observe = mode == Mode::Observe;
        if observe == self.observed {
            return Ok(());
        }
        self.observed = observe;
        for sql in [
            "DELETE FROM bans WHERE observed = ?1",
            "UPDATE bans SET observed = ?1",
            "DELETE FROM flows WHERE observed = ?1",
            "UPDATE flows SET observed = ?1",
            "UPDATE OR REPLACE offenders SET observed = ?1 WHERE observed <> ?1",
        ] {
            self.run(sql, params![observe])?;
        }
        Ok(())
    }

    fn all_bans(&self, bans: &[SavedBan], flows: &[SavedFlow]) -> rusqlite::Result<()> {
        self.run("DELETE FROM bans WHERE observed = ?1", params![self.observed])?;
        bans.iter().try_for_each(|ban| self.ban(ban, &json(&*ban.cause)?))?;
        // Those that are over count on ([`Self::allow_flow`]).
        self.run("UPDATE flows SET until = since WHERE observed = ?1", params![self.observed])?;
        flows.iter().try_for_each(|flow| self.flow(flow, &json(&*flow.cause)?))
    }

    fn unban(&self, net: IpNet, at: Timestamp, reason: UnblockReason) -> rusqlite::Result<()> {
        self.run(
            "DELETE FROM bans WHERE observed = ?1 AND net = ?2",
            params![self.observed, Key::from(net)],
        )?;
        let reason = json(&reason)?;
        self.history(&Happened {
            reason: Some(&reason),
            ..Happened::new(at, HistoryKind::Unban, net)
        })
    }

    fn deny_flow(&self, at: Timestamp, denied: &SavedFlow) -> rusqlite::Result<()> {
        let cause = json(&*denied.cause)?;
        self.flow(denied, &cause)?;
        self.history(&Happened {
            flow: Some(denied.flow),
            until: Some(Expiry::At(denied.until)),
            cause: Some(&cause),
            ..Happened::new(at, HistoryKind::FlowDenied, denied.flow.source.into())
        })
    }

    fn flow(&self, denied: &SavedFlow, cause: &str) -> rusqlite::Result<()> {
        let SavedFlow { flow, since, until, cause: _ } = denied;
        self.run(
            "INSERT OR REPLACE INTO flows (observed, flow, since, until, cause)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![self.observed, flow.to_string(), micros(*since), micros(*until), cause],
        )
    }

    /// A flow that is allowed again stays for the hour in which its port is not denied again, with its beginning as
    /// its end: the next start knows by that that its end was reported ([`SavedFlow::is_over`]). The one that made
    /// room does not, so that the table is bounded; `prune` deletes the others.
    fn allow_flow(&self, flow: Flow, at: Timestamp, reason: UnblockReason) -> rusqlite::Result<()> {
        let sql = if reason == UnblockReason::MadeRoom { FORGET_FLOW } else { END_FLOW };
        self.run(sql, params![self.observed, flow.to_string()])?;
        let reason = json(&reason)?;
        self.history(&Happened {
            flow: Some(flow),
            reason: Some(&reason),
            ..Happened::new(at, HistoryKind::FlowAllowed, flow.source.into())
        })
    }

    /// Ends the bans whose end has passed.
    fn end_past(&self, at: Timestamp) -> rusqlite::Result<()> {
        let reason = json(&UnblockReason::Expired)?;
        self.run(
            "INSERT INTO history (at, kind, observed, net, reason)
             SELECT ?1, ?2, observed, net, ?3 FROM bans WHERE observed = ?4 AND until <= ?1",
            params![micros(at), HistoryKind::Unban.number(), reason, self.observed],
        )?;
        self.run(
            "DELETE FROM bans WHERE observed = ?1 AND until <= ?2",
            params![self.observed, micros(at)],
        )
    }

    fn refused(
        &self,
        net: IpNet,
        at: Timestamp,
        refusal: Refusal,
        cause: &Arc<Cause>,
    ) -> rusqlite::Result<()> {
        let (reason, cause) = (json(&refusal)?, json(&**cause)?);
        self.history(&Happened {
            reason: Some(&reason),
            cause: Some(&cause),
            ..Happened::new(at, HistoryKind::Refused, net)
        })
    }

    fn history(&self, happened: &Happened<'_>) -> rusqlite::Result<()> {
        let Happened { at, kind, net, scope, flow, until, reason, cause } = *happened;
        let until = match until {
            Some(Expiry::At(end)) => Some(micros(end)),
            Some(Expiry::Never) | None => None,
        };
        let (scope, flow) = (scope.map(Scope::as_str), flow.map(|flow| flow.to_string()));
        self.run(
            "INSERT INTO history (at, kind, observed, net, until, reason, cause, scope, flow)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                micros(at),
                kind.number(),
                self.observed,
                Key::from(net),
                until,
                reason,
                cause,
                scope,
                flow
            ],
        )
    }

    fn offender(&self, offender: &Offender) -> rusqlite::Result<()> {
        let Offender { source, bans, until } = *offender;
        self.run(
            "INSERT INTO offenders (observed, source, bans, until) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (observed, source) DO UPDATE
             SET bans = max(bans, excluded.bans), until = max(until, excluded.until)",
            params![self.observed, Key::from(source), bans, micros(until)],
        )
    }

    fn success(&self, success: &Success) -> rusqlite::Result<()> {
        let Success { source, user, user_agent, since, at } = success;
        self.run(
            "INSERT INTO successes (source, user, user_agent, since, at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (source, user) DO UPDATE
             SET user_agent = CASE excluded.user_agent WHEN '' THEN user_agent
                              ELSE excluded.user_agent END,
                 since = min(since, excluded.since),
                 at = max(at, excluded.at)",
            params![
                Key::from(*source),
                user.as_str(),
                user_agent.as_str(),
                micros(*since),
                micros(*at)
            ],
        )
    }

    fn allow(&self, allowed: &AllowEntry) -> rusqlite::Result<()> {
        let AllowEntry { host, comment, since, until } = allowed;
        self.run(
            "INSERT INTO allow (host, comment, since, until) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (host) DO UPDATE SET
                 comment = excluded.comment, since = excluded.since, until = excluded.until",
            params![host.to_string(), comment, micros(*since), until.map(micros)],
        )
    }

    fn set(&self, set: &Override) -> rusqlite::Result<()> {
        let Override { key, value, since } = set;
        self.run(
            "INSERT INTO overrides (key, value, since) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, since = excluded.since",
            params![key, json(value)?, micros(*since)],
        )
    }

    fn acknowledge(&self, alarm: &SavedAcknowledgement) -> rusqlite::Result<()> {
        let SavedAcknowledgement { kind, about, text, since, last, name, at } = alarm;
        self.run(
            "INSERT OR REPLACE INTO acknowledged (kind, about, text, since, last, name, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                json(kind)?,
                about.as_deref().unwrap_or_default(),
                text,
                micros(*since),
                micros(*last),
                name,
                micros(*at)
            ],
        )?;
        self.run(
            "DELETE FROM acknowledged WHERE (kind, about) NOT IN
             (SELECT kind, about FROM acknowledged ORDER BY at DESC LIMIT ?1)",
            params![i64::try_from(MOST_ACKNOWLEDGED).unwrap_or(i64::MAX)],
        )
    }

    fn alarm(&self, alarm: &SavedAlarm) -> rusqlite::Result<()> {
        let SavedAlarm { kind, about, text, data, since, last, times } = alarm;
        self.run(
            "INSERT OR REPLACE INTO alarms (kind, about, text, data, since, last, times)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                json(kind)?,
                about.as_deref().unwrap_or_default(),
                text,
                data,
                micros(*since),
                micros(*last),
                times
            ],
        )?;
        self.run(
            "DELETE FROM alarms WHERE (kind, about) NOT IN
             (SELECT kind, about FROM alarms ORDER BY last DESC LIMIT ?1)",
            params![i64::try_from(MOST_ALARMS).unwrap_or(i64::MAX)],
        )
    }

    fn token(&self, token: &SavedToken) -> rusqlite::Result<()> {
        let SavedToken { name, hash, scope, since, until, used } = token;
        self.run(
            "INSERT INTO tokens (name, hash, scope, since, until, used) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (name) DO UPDATE
             SET hash = excluded.hash, scope = excluded.scope, since = excluded.since,
                 until = excluded.until, used = excluded.used",
            params![
                name,
                hash,
                scope.to_string(),
                micros(*since),
                until.map(micros),
                used.map(micros)
            ],
        )
    }

    fn retire(&self, token: &RetiredToken) -> rusqlite::Result<()> {
        let RetiredToken { name, hash, at } = token;
        self.run("DELETE FROM tokens WHERE name = ?1 AND hash = ?2", params![name, hash])?;
        self.run(
            "INSERT OR REPLACE INTO retired_tokens (hash, name, at) VALUES (?1, ?2, ?3)",
            params![hash, name, micros(*at)],
        )?;
        self.run(
            "DELETE FROM retired_tokens WHERE hash NOT IN
             (SELECT hash FROM retired_tokens ORDER BY at DESC LIMIT ?1)",
            params![i64::try_from(MOST_RETIRED).unwrap_or(i64::MAX)],
        )
    }

    fn counts(&self, from: u64, counts: &[(u64, Counts)]) -> rusqlite::Result<()> {
        let number = |quarter: u64| i64::try_from(quarter).unwrap_or(i64::MAX);
        self.run("DELETE FROM counts WHERE quarter >= ?1", params![number(from)])?;
        counts.iter().try_for_each(|(quarter, counts)| {
            let Counts { failures, bans, unbans } = counts;
            let [unjoined, unproven, unchallenged, challenged, assumed, answered, genuine] =
                failures;
            self.run(
                "INSERT OR REPLACE INTO counts (quarter, unjoined, unproven, unchallenged, challenged,
                                                assumed, answered, genuine, bans, unbans)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    number(*quarter),
                    unjoined,
                    unproven,
                    unchallenged,
                    challenged,
                    assumed,
                    answered,
                    genuine,
                    bans,
                    unbans
                ],
            )
        })
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<()> {
        self.transaction.prepare_cached(sql)?.execute(values).map(drop)
    }
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{VERSION, migrate};

    /// How SQLite finds the rows of a statement.
    fn plan(connection: &Connection, sql: &str) -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let parameters = statement.parameter_count();
        let nulls = std::iter::repeat_n(rusqlite::types::Null, parameters);
        let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get(3));
        rows.unwrap().map(|row| row.unwrap()).collect::<Vec<String>>().join("; ")
    }

    #[test]
    fn a_flow_that_ends_is_found_by_its_key() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, VERSION).unwrap();
        for sql in [FORGET_FLOW, END_FLOW] {
            let plan = plan(&connection, sql);
            assert!(plan.contains("PRIMARY KEY (observed=? AND flow=?)"), "{plan}");
        }
    }
}
