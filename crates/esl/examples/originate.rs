//! Places a call by `bgapi originate` and prints the answer: `originate ENDPOINT APPLICATION`
//!
//! ```console
//! $ ESL_PASSWORD=ClueCon cargo run --example originate -- user/1000 '&echo'
//! +OK 278611fb-ee7f-48b8-8219-6ceb3350750a
//! ```
//!
//! Exits with 1 when FreeSWITCH says `-ERR`.

mod common;

use std::{env, error::Error, process::ExitCode, time::Duration};

use sipward_esl::{Notice, session};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [endpoint, application] = &args[..] else {
        return Err("usage: originate ENDPOINT APPLICATION".into());
    };
    let mut config = common::config()?;
    // The answer comes when the called party answers or gives up.
    config.command_timeout = Duration::from_secs(90);
    let (session, handle, mut notices) = session(config);
    tokio::spawn(session.run());

    loop {
        match notices.recv().await {
            Some(Notice::Connected { .. }) => break,
            Some(Notice::Disconnected { error, .. }) => return Err(error.to_string().into()),
            Some(_) => {}
            None => return Err("the session has ended".into()),
        }
    }
    // Events that come meanwhile are of no interest; the session's queue is bounded.
    let answer = handle.bgapi(&format!("originate {endpoint} {application}")).await?;
    println!("{}", answer.lossy().trim_end());
    Ok(if answer.is_error() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
