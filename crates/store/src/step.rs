//! Rows follow a step of the system's clock.

use rusqlite::{Connection, params};

use super::Stepped;
use super::column::micros;

/// Moves the times of what this run has stored, so that bans keep their time left and events were when they were.
///
/// What a run has stored has times since its start. A row of an earlier run is among them only where the
/// clock was set back before the start, and then it is as wrong as the others.
pub(super) fn rows(connection: &Connection, step: &Stepped) -> rusqlite::Result<()> {
    let Stepped { from, to, by, all_bans } = *step;
    let (from, to) = (micros(from), micros(to));
    let run = |sql: &str| connection.prepare_cached(sql)?.execute(params![from, to, by]).map(drop);
    // An offender has the end of its last ban, which is active or in the history.
    run("UPDATE offenders SET until = until + ?3 WHERE until IN
         (SELECT until FROM bans WHERE since BETWEEN ?1 AND ?2
          UNION SELECT until FROM history WHERE at BETWEEN ?1 AND ?2)")?;
    run(if all_bans {
        "UPDATE bans SET since = since + ?3, until = until + ?3 WHERE ?1 <= ?2"
    } else {
        "UPDATE bans SET since = since + ?3, until = until + ?3 WHERE since BETWEEN ?1 AND ?2"
    })?;
    run("UPDATE flows SET since = since + ?3, until = until + ?3 WHERE since BETWEEN ?1 AND ?2")?;
    run("UPDATE history SET at = at + ?3, until = until + ?3 WHERE at BETWEEN ?1 AND ?2")?;
    run("UPDATE successes SET since = since + ?3 WHERE since BETWEEN ?1 AND ?2")?;
    run("UPDATE successes SET at = at + ?3 WHERE at BETWEEN ?1 AND ?2")?;
    run("UPDATE allow SET since = since + ?3 WHERE since BETWEEN ?1 AND ?2")?;
    for column in ["since", "last", "at"] {
        run(&format!(
            "UPDATE acknowledged SET {column} = {column} + ?3 WHERE {column} BETWEEN ?1 AND ?2"
        ))?;
    }
    for column in ["since", "last"] {
        run(&format!(
            "UPDATE alarms SET {column} = {column} + ?3 WHERE {column} BETWEEN ?1 AND ?2"
        ))?;
    }
    run("UPDATE overrides SET since = since + ?3 WHERE since BETWEEN ?1 AND ?2")
}
