//! The kernel side of sipward: blackhole routes, the inbound gate and the route monitor.
//!
//! A ban is a blackhole route set through netlink. It stops what would be sent *to* the banned host;
//! the gate, a handful of nftables rules, drops what the host *sends*: by a set of exact hosts, and by asking for
//! the route of the rest. A ban of [`Scope::Sip`] and a denied [`Flow`] have no route; the gate drops what they send
//! to the SIP ports. [`Enforcer`] is the one task
//! that owns netlink: it applies [`Change`]s in batches, looks up whether each really wins, watches for
//! outsiders who take something that is ours away, and puts it back.
//!
//! The gate also counts what arrives for the SIP ports ([`Report::Packets`]) and holds the shield: all
//! strangers together share a budget of packets to them ([`ShieldSettings`]), healthy and unlimited hosts
//! pass ([`Shield`], [`Enforcer::shield_by`]).
//!
//! ```no_run
//! use sipward_route::{Change, Enforcer, Report, Settings};
//! use tokio::sync::{mpsc, oneshot};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (enforcer, found) = Enforcer::open(Settings::default()).await?;
//! for gap in &found.coverage.gaps {
//!     eprintln!("not covered: {gap}");
//! }
//! let (changes, change_queue) = mpsc::channel(1024);
//! let (report_queue, mut reports) = mpsc::channel(1024);
//! let (stop, stopped) = oneshot::channel();
//! let running = tokio::spawn(enforcer.run(change_queue, report_queue, stopped));
//!
//! changes.send(Change::block("203.0.113.66/32".parse()?)).await?;
//! if let Some(Report::Blocked { net, enforcement }) = reports.recv().await {
//!     println!("{net}: {enforcement}");
//! }
//! drop(stop); // routes and gate stay; `flush` takes them away
//! running.await??;
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `settings` | what an operator may choose, and its ranges |
//! | `ban` | [`Scope`] and [`Flow`]: what a ban stops |
//! | `report`, `counts` | [`Change`]: what the engine asks; [`Report`]: what comes back |
//! | `shield` | [`Shield`]: who is healthy, unlimited, slowed |
//! | `found` | what is known about this host and about what a ban covers |
//! | `enforcer` | [`Enforcer`]: open, run, apply, heal; count, and follow the shield's hosts |
//! | `flush` | [`flush`]: the way out without a daemon |
//! | `inspect` | [`inspect()`]: a look at all of it that changes nothing |
//! | `look_up` | [`look_up()`]: which route the kernel takes to an address |
//! | `dry_run` | [`dry_run`]: the same answers without a kernel |
//! | `place` | which table holds the bans |
//! | `policy_rules`, `ways`, `proof` | the rules of others, the ways in that they tell apart, and the look-ups that prove a ban for each |
//! | `blackhole`, `host`, `links`, `rules`, `reverse_path` | the rtnetlink messages behind each |
//! | `gate` | the nftables rules and sets, and whether they stand |
//! | `monitor` | multicast notifications: who changed what |
//! | `netlink` | batches of requests in one send, answers matched by number |

mod ban;
mod blackhole;
mod counts;
mod coverage;
mod dry_run;
mod enforcer;
mod error;
mod flush;
mod found;
mod gate;
mod host;
mod inspect;
mod links;
mod look_up;
mod monitor;
mod net_set;
mod netlink;
mod place;
mod policy_rules;
mod proof;
mod report;
mod reverse_path;
mod rules;
mod settings;
mod shield;
mod way;
mod ways;

pub use ban::{Flow, Scope, Transport};
pub use counts::{ByFamily, Dropped, ShieldCounts, Stranger};
pub use dry_run::dry_run;
pub use enforcer::Enforcer;
pub use error::RouteError;
pub use flush::{Flushed, flush};
pub use found::{Coverage, Found, HostFacts};
pub use gate::{GateState, MOST_COUNTED, MOST_DENIED};
pub use host::host_facts;
pub use inspect::{Inspection, inspect};
pub use look_up::{Route, look_up};
pub use report::{Change, Enforcement, Report};
pub use settings::{
    BanTable, GateMode, GateSettings, HealthyLimits, MOST_SIP_PORTS, OwnLimits, OwnTable,
    RULE_PREFERENCE, Settings, SettingsError, ShieldSettings, USUAL_REQUESTS,
};
pub use shield::{
    Admission, Admitted, MOST_HEALTHY, MOST_KEPT_FLOWS, MOST_SLOWED, MOST_UNLIMITED, Shield,
};
