//! What the operator asks of the daemon, and its answers.

use std::net::IpAddr;
use std::path::Path;

use hyper::Method;
use sipward_engine::Flow;

use crate::cli::{ban, out, ssh, why};
use crate::client::{Client, ClientError, segment};
use sipward_model::wire::{FlowAllowed, Healthy, Net, NewBan, SourceReport};

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// As `sipward why`.
    Why(IpAddr),
    /// What a ban would hit. Its answer is a question.
    Weigh(Net),
    /// As `sipward ban`.
    Ban(Net),
    /// As `sipward unban`.
    Unban(Net),
    /// As `sipward flows --allow`.
    Allow(Flow),
}

/// What came of a request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Report {
        report: Box<SourceReport>,
        /// Nothing reaches the kernel by intent.
        observes: bool,
    },
    /// To be confirmed.
    Question {
        text: String,
        request: Request,
    },
    Done(String),
    Failed(String),
}

/// Asks over a connection of its own: the others are busy with events and the status.
pub(super) async fn ask(socket: &Path, request: Request) -> Answer {
    answer(socket, request).await.unwrap_or_else(|error| Answer::Failed(error.to_string()))
}

async fn answer(socket: &Path, request: Request) -> Result<Answer, ClientError> {
    let mut client = Client::connect(socket).await?;
    Ok(match request {
        Request::Why(address) => {
            let (report, observes) = why::report(&mut client, address).await?;
            Answer::Report { report: Box::new(report.value), observes }
        }
        Request::Weigh(net) => {
            let healthy = ban::healthy(&mut client, net).await;
            let mut text = String::new();
            for line in healthy.iter().flat_map(Healthy::words) {
                out::add(&mut text, format_args!("{line}\n"));
            }
            out::add(&mut text, format_args!("ban {net}?"));
            Answer::Question { text, request: Request::Ban(net) }
        }
        Request::Ban(net) => {
            let order = NewBan {
                net,
                ban_time_seconds: None,
                permanent: false,
                scope: None,
                reason: None,
                force: false,
                spare: ssh::clients(),
            };
            let (made, observes) = ban::make(&mut client, &order).await?;
            Answer::Done(ban::made(&made.value, observes))
        }
        Request::Unban(net) => {
            let done = ban::lift(&mut client, Some(net)).await?;
            Answer::Done(ban::lifted(&done.value, Some(net)))
        }
        Request::Allow(flow) => {
            let path = format!("/flows/{}", segment(flow.to_string()));
            let done = client.send::<FlowAllowed>(Method::DELETE, &path).await?;
            Answer::Done(format!("{} is allowed", done.value.flow))
        }
    })
}
