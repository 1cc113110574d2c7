//! The table of `docs/policy.md`: what the best of each family of attacks comes to.

use std::fmt::Write as _;
use std::path::Path;

use crate::play::{Family, Results, Worst};

const BEGIN: &str = "<!-- adversary: begin -->";
const END: &str = "<!-- adversary: end -->";

/// A row as the page has it.
#[derive(Debug)]
struct Row<'a> {
    family: &'a str,
    guesses_a_day: u64,
    lost_minutes: u64,
}

/// Every family is on the page, and what it promises is no better than what was measured.
pub(crate) fn check(families: &[Family], results: &Results) -> Result<(), String> {
    // What goes wrong is reported by the family itself.
    let worst = |(index, family): (usize, &Family)| results.of(index, family).0;
    let measured: Vec<Worst> = families.iter().enumerate().map(worst).collect();
    let measured: Vec<(&Family, Worst)> = families.iter().zip(measured).collect();
    let table = print(&measured);
    if std::env::var_os("ADVERSARY_PRINT").is_some() {
        println!("{table}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy.md");
    let page = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let rows = rows(&page)?;
    let mut wrong = String::new();
    for (family, worst) in &measured {
        let row = rows.iter().find(|row| row.family == family.name);
        let holds = row.is_some_and(|row| {
            row.guesses_a_day >= worst.guesses_a_day && row.lost_minutes >= worst.lost_minutes
        });
        if !holds {
            let _ = writeln!(wrong, "{}: the page says {row:?}, measured {worst:?}", family.name);
        }
    }
    for row in rows.iter().filter(|row| families.iter().all(|family| family.name != row.family)) {
        let _ = writeln!(wrong, "{}: on the page, but not played", row.family);
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong}\n{table}")) }
}

/// The table, as it belongs between the marks of the page: guesses with two digits, rounded up.
fn print(measured: &[(&Family, Worst)]) -> String {
    let mut table = String::from(
        "| family | the attacker's best strategy | guesses a day | healthy minutes lost in an hour |\n|---|---|---|---|\n",
    );
    for (family, worst) in measured {
        let Worst { strategy, guesses_a_day, lost_minutes } = worst;
        let guesses = rounded_up(*guesses_a_day);
        let _ = writeln!(table, "| {} | {strategy} | {guesses} | {lost_minutes} |", family.name);
    }
    table
}

fn rounded_up(number: u64) -> u64 {
    let mut unit = 1;
    while number / unit >= 100 {
        unit *= 10;
    }
    number.div_ceil(unit) * unit
}

fn rows(page: &str) -> Result<Vec<Row<'_>>, String> {
    let begin = page.find(BEGIN).ok_or("docs/policy.md has no table of attacks")?;
    let end = page.find(END).ok_or("docs/policy.md: the table of attacks has no end")?;
    let table = page.get(begin..end).ok_or("docs/policy.md: the marks are in the wrong order")?;
    let lines = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [family, _, guesses, lost] = cells[..] else {
                return Err(format!("docs/policy.md: a row without four cells: {line}"));
            };
            let number = |text: &str| {
                text.replace(',', "").parse().map_err(|_| format!("{line}: no number: {text}"))
            };
            Ok(Row { family, guesses_a_day: number(guesses)?, lost_minutes: number(lost)? })
        })
        .collect()
}
