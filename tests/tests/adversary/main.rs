//! Attackers and healthy clients as data, played in simulated time against the engine.
//!
//! | file | is |
//! |---|---|
//! | `sofia.rs`, `event.rs` | a small FreeSWITCH, and its events as sipward decodes them |
//! | `world.rs`, `ledger.rs` | time, the kernel's bans, what was said and what it cost |
//! | `phone.rs`, `attack.rs` | what healthy clients and attackers send |
//! | `family/*.rs` | the attacks: each family has several members with random parameters |
//! | `play.rs`, `table.rs` | every member with many seeds; the table of `docs/policy.md` |
//!
//! `ADVERSARY_SEEDS=1000 cargo test --release -p sipward-tests --test adversary` plays more seeds than the
//! usual 100 of each member, and the attacks of full size. `--nocapture` (or `ADVERSARY_PRINT=1`) prints the table.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]
#![allow(clippy::cast_possible_truncation, reason = "seeds, counts and short times are small")]

/// Ends a play with an explanation unless something holds.
macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}
pub(crate) use ensure;

mod attack;
mod event;
mod family;
mod ledger;
mod phone;
mod play;
mod sofia;
mod table;
mod world;

use libtest_mimic::{Arguments, Trial};

fn main() -> std::process::ExitCode {
    let families = family::all();
    let played = play::Results::new(families.len());
    let trials = families.iter().enumerate().map(|(index, family)| {
        let (family, played) = (family.clone(), played.clone());
        let name = format!("family::{}", family.name.replace(' ', "_"));
        Trial::test(name, move || played.of(index, &family).1.map_err(Into::into))
    });
    let whole = (families.clone(), played.clone());
    let table = Trial::test("the_table_of_the_policy_page_is_no_better_than_what_was_measured", {
        move || table::check(&whole.0, &whole.1).map_err(Into::into)
    });
    let trials = trials.chain([table]).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
