//! Commands through the handle.

use std::time::Duration;

use super::{FreeSwitch, OLD, connected, names, run};
use crate::{Command, CommandError, Message};

#[tokio::test(start_paused = true)]
async fn answers_api_and_refusals() {
    let (mut freeswitch, config) = FreeSwitch::start();
    let (handle, mut notices, _task) = run(config);
    let mut client = connected(&mut freeswitch, &mut notices).await;
    let asked = tokio::spawn(async move {
        let answer = handle.api("status").await;
        (answer, handle.command(Command::filter("a", "b").unwrap()).await)
    });
    assert_eq!(client.command().await, "api status");
    client.heartbeat(OLD).await;
    client.frame("api/response", "UP 0 years\n").await;
    assert_eq!(client.command().await, "filter a b");
    client.reply("-ERR no such thing").await;
    let (status, filter) = asked.await.unwrap();
    assert_eq!(status.unwrap().lossy(), "UP 0 years\n");
    assert_eq!(filter, Err(CommandError::Refused { reply: "-ERR no such thing".into() }));
}

#[tokio::test(start_paused = true)]
async fn background_jobs_find_their_askers_in_any_order() {
    let (mut freeswitch, config) = FreeSwitch::start();
    let (handle, mut notices, _task) = run(config);
    let mut client = connected(&mut freeswitch, &mut notices).await;
    let ask = |command: &'static str| {
        let handle = handle.clone();
        tokio::spawn(async move { handle.bgapi(command).await.map(|r| r.lossy().into_owned()) })
    };
    let first = ask("first");
    assert_eq!(client.command().await, "event plain HEARTBEAT BACKGROUND_JOB");
    client.reply("+OK").await;
    let (_, first_job) = job(&client.command().await);
    client.reply("+OK Job-UUID: x").await;
    let second = ask("second");
    let (command, second_job) = job(&client.command().await);
    assert_eq!(command, "bgapi second", "subscribed to once only");
    client.reply("+OK Job-UUID: y").await;
    for (job, answer) in [("of-another-client", "?"), (&*second_job, "two"), (&*first_job, "one")] {
        let length = answer.len();
        let headers = format!(
            "Event-Name: BACKGROUND_JOB\nJob-UUID: {job}\nContent-Length: {length}\n\n{answer}"
        );
        client.frame("text/event-plain", &headers).await;
    }
    assert_eq!(first.await.unwrap().unwrap(), "one");
    assert_eq!(second.await.unwrap().unwrap(), "two");
    client.heartbeat(OLD).await;
    assert_eq!(names(&mut notices, 1).await, ["Event"], "jobs are no notices");
}

#[tokio::test(start_paused = true)]
async fn messages_to_channels_and_diverted_events_go_there_and_back() {
    let (mut freeswitch, config) = FreeSwitch::start();
    let (handle, mut notices, _task) = run(config);
    let mut client = connected(&mut freeswitch, &mut notices).await;
    let hang_up = Message::new()
        .header("call-command", "hangup")
        .and_then(|message| message.header("hangup-cause", "USER_BUSY"))
        .unwrap();
    let to = |uuid| Command::sendmsg(Some(uuid), &hang_up).unwrap();
    let (here, gone) = (to("278611fb-ee7f-48b8-8219-6ceb3350750a"), to("gone"));
    let asked = tokio::spawn(async move {
        let mut answers = Vec::new();
        for command in [here, gone, Command::divert_events(true), Command::divert_events(false)] {
            answers.push(handle.command(command).await.map(|reply| reply.lossy().into_owned()));
        }
        answers
    });
    let refusal = "-ERR invalid session id [gone]";
    for (command, reply) in [
        (
            "sendmsg 278611fb-ee7f-48b8-8219-6ceb3350750a\ncall-command: hangup\n\
             hangup-cause: USER_BUSY",
            "+OK",
        ),
        ("sendmsg gone\ncall-command: hangup\nhangup-cause: USER_BUSY", refusal),
        ("divert_events on", "+OK"),
        ("divert_events off", "+OK"),
    ] {
        assert_eq!(client.command().await, command);
        client.heartbeat(OLD).await;
        client.reply(reply).await;
    }
    let ok = Ok("+OK".to_owned());
    let refused = Err(CommandError::Refused { reply: refusal.into() });
    assert_eq!(asked.await.unwrap(), [ok.clone(), refused, ok.clone(), ok]);
}

fn job(command: &str) -> (String, String) {
    let (command, job) = command.split_once("\nJob-UUID: ").unwrap();
    (command.to_owned(), job.to_owned())
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_a_timeout_and_a_late_one_is_nobody_elses() {
    let (mut freeswitch, mut config) = FreeSwitch::start();
    config.1.command_timeout = Duration::from_millis(50);
    let (handle, mut notices, _task) = run(config);
    let mut client = connected(&mut freeswitch, &mut notices).await;
    assert!(matches!(handle.api("slow").await, Err(CommandError::Timeout { .. })));
    assert_eq!(client.command().await, "api slow");
    let second = tokio::spawn(async move {
        // Waits in line behind the one in flight.
        loop {
            match handle.api("quick").await {
                Err(CommandError::Timeout { .. }) => {}
                answer => return answer,
            }
        }
    });
    client.frame("api/response", "late").await;
    assert_eq!(client.command().await, "api quick");
    client.frame("api/response", "prompt").await;
    // The first request for it may have been given up already; then another one follows.
    let answers = async {
        while client.command().await == "api quick" {
            client.frame("api/response", "prompt").await;
        }
    };
    tokio::select! {
        answer = second => assert_eq!(answer.unwrap().unwrap().lossy(), "prompt"),
        () = answers => panic!("unexpected command"),
    }
}

#[tokio::test(start_paused = true)]
async fn commands_without_a_connection_fail_at_once() {
    let (mut freeswitch, mut config) = FreeSwitch::start();
    config.1.backoff.initial = Duration::from_secs(5);
    config.1.backoff.max = Duration::from_secs(5);
    let (handle, mut notices, task) = run(config);
    let mut client = connected(&mut freeswitch, &mut notices).await;
    let lost = tokio::spawn({
        let handle = handle.clone();
        async move { handle.api("status").await }
    });
    assert_eq!(client.command().await, "api status");
    drop(client);
    assert_eq!(lost.await.unwrap(), Err(CommandError::Lost));
    assert_eq!(handle.api("status").await, Err(CommandError::NotConnected));
    assert!(matches!(handle.api("a\nb").await, Err(CommandError::Invalid(_))));
    handle.close();
    task.await.unwrap();
    assert_eq!(handle.api("status").await, Err(CommandError::Ended));
}
