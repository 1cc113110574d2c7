//! The current state and recent events.

mod alarms;
mod attackers;
mod facts;
mod flood;
mod ticker;

pub(super) use alarms::acknowledge;

use axum::extract::State;
use maud::{Markup, html};

use super::bans::{Columns, rows};
use super::chart;
use super::error_page::ErrorPage;
use super::fields::Asked;
use super::frame::Frame;
use super::insights::Insights;
use super::language::t;
use sipward_daemon::control::Control;
use sipward_model::wire::{
    AlarmList, BanOrder, BanPage, BanQuery, Direction, Recent, Series, SeriesQuery, SeriesRange,
    Top, TopBy, TopOnly, TopQuery, UserPage, UserQuery,
};

/// Rows of each short table.
const LINES: u16 = 8;

pub(super) async fn show(
    State(control): State<Control>,
    frame: Frame,
    Asked(fields): Asked,
) -> Result<Markup, ErrorPage> {
    let range = fields.word::<SeriesRange>("range")?.unwrap_or_default();
    let query = BanQuery {
        sort: Some(BanOrder::Since),
        order: Some(Direction::Desc),
        limit: Some(LINES),
        ..BanQuery::default()
    };
    let top = async |by, only| {
        let query = TopQuery { by: Some(by), only: Some(only), limit: Some(LINES) };
        control.top(query).await
    };
    let phones = UserQuery { limit: Some(1), ..UserQuery::default() };
    let series = SeriesQuery { range: Some(range) };
    let (alarms, bans, attackers, forged, users, accounts, insights) = tokio::try_join!(
        control.alarms(),
        control.bans(query),
        top(TopBy::Address, TopOnly::Counted),
        top(TopBy::Address, TopOnly::Forgeable),
        top(TopBy::User, TopOnly::Counted),
        control.users(phones),
        Insights::ask(&control),
    )?;
    let series = control.series(&series);
    let recent = control.recent();
    let found =
        Found { series, alarms, bans, attackers, forged, users, accounts, recent, insights };
    Ok(page(&frame, &found))
}

/// The data of the page.
struct Found {
    series: Series,
    alarms: AlarmList,
    bans: BanPage,
    attackers: Top,
    forged: Top,
    users: Top,
    accounts: UserPage,
    recent: Vec<Recent>,
    insights: Insights,
}

fn page(frame: &Frame, found: &Found) -> Markup {
    let here = chart::path(found.series.range);
    let body = html! {
        h1.hidden { (t("Overview")) }
        div.facts #facts data-live="" { (facts::row(frame, &found.alarms)) }
        p.shield #shield data-live="" { (facts::shield(frame)) }
        section.card #alarms data-live="" aria-labelledby="alarms-title" {
            (alarms::list(frame, &found.alarms))
        }
        section.card aria-labelledby="chart-title" {
            div.head {
                h2 #chart-title { (t("Failures and bans")) }
                (chart::ranges(found.series.range))
            }
            div #chart data-live="" { (chart::figure(&found.series)) }
        }
        div.grid {
            section.card aria-labelledby="sources-title" {
                h2 #sources-title { (t("Attackers")) }
                div #sources data-live="" { (attackers::sources(frame, &found.attackers)) }
            }
            section.card aria-labelledby="users-title" {
                h2 #users-title { a href="/users" { (t("Users under attack")) } }
                div #users data-live="" { (attackers::users(frame, &found.users)) }
            }
        }
        div.grid {
            section.card aria-labelledby="phones-title" {
                h2 #phones-title { a href="/users" { (t("Phones in trouble")) } }
                div #phones data-live="" { (attackers::phones(frame, &found.accounts)) }
            }
            section.card.faint aria-labelledby="forged-title" {
                h2 #forged-title { (t("Named by forged packets")) }
                div #forged data-live="" { (attackers::forged(frame, &found.forged)) }
            }
        }
        (found.insights.section())
        section.card aria-labelledby="strangers-title" {
            h2 #strangers-title { (t("Busiest strangers")) }
            div #strangers data-live="" { (flood::strangers(frame)) }
        }
        section.card aria-labelledby="ticker-title" {
            h2 #ticker-title { (t("What happened last")) }
            div #ticker data-live="" { (ticker::list(frame, &found.recent)) }
        }
        section.card aria-labelledby="newest-title" {
            h2 #newest-title { a href="/bans" { (t("Newest bans")) } }
            div #newest data-live="" {
                (rows(frame, &found.bans.items, &Columns::plain(t("Newest bans"))))
            }
        }
    };
    frame.page("/", t("Overview"), Some(here), &body)
}
