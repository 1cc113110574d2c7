//! Bans one network for some seconds, with the gate that drops its packets, then removes everything again.
//!
//! ```console
//! # cargo run -p sipward-examples --example null_route -- 203.0.113.66 30
//! 203.0.113.66/32: dropped on arrival
//! removed 1 routes
//! ```

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use sipward_route::{Change, Enforcer, Report, Settings, flush};
use tokio::sync::{mpsc, oneshot};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(who), Some(seconds)) = (arguments.next(), arguments.next()) else {
        return Err("usage: null_route ADDRESS|NETWORK SECONDS".into());
    };
    let net = who.parse::<IpNet>().or_else(|_| who.parse::<IpAddr>().map(IpNet::from))?;
    let pause = Duration::from_secs(seconds.parse()?);

    let settings = Settings::default();
    let (enforcer, found) = Enforcer::open(settings.clone()).await?;
    for gap in &found.coverage.gaps {
        eprintln!("not covered: {gap}");
    }
    let (changes, queue) = mpsc::channel(16);
    let (report, mut reports) = mpsc::channel(16);
    let (stop, stopped) = oneshot::channel();
    let enforcer = tokio::spawn(enforcer.run(queue, report, stopped));

    changes.send(Change::block(net)).await?;
    while let Some(report) = reports.recv().await {
        match report {
            Report::Blocked { net, enforcement } => println!("{net}: {enforcement}"),
            Report::Failed { error, .. } => eprintln!("{error}"),
            _ => continue,
        }
        break;
    }
    tokio::time::sleep(pause).await;
    drop(stop);
    enforcer.await??;
    let removed = flush(&settings).await?;
    println!("removed {} routes", removed.routes);
    Ok(())
}
