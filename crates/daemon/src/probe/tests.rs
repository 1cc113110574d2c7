use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

fn call() -> Call {
    let end = |port| SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), port));
    Call::new(end(40_000), end(5_060)).unwrap()
}

/// What FreeSWITCH answers to a request: all fields come back.
fn answer(request: &str, status: &str) -> String {
    let (_, fields) = request.split_once("\r\n").unwrap();
    format!("SIP/2.0 {status}\r\n{fields}")
}

#[test]
fn each_answer_ends_the_silence_before_it() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut open = Open::new(call());
    assert_eq!(open.silent(at(0)), None, "nothing was asked");
    let first = open.next(at(0));
    let second = open.next(at(1_000));
    let third = open.next(at(2_000));
    assert_eq!(open.silent(at(2_500)), Some(Duration::from_millis(2_500)));

    let heard = open.answered(answer(&second, "200 OK").as_bytes(), at(2_600));
    assert_eq!(heard, Some(Duration::from_millis(1_600)));
    assert_eq!(open.silent(at(3_000)), Some(Duration::from_millis(1_000)), "the third waits");
    assert_eq!(open.answered(answer(&first, "200 OK").as_bytes(), at(3_000)), None, "too late");
    let heard =
        open.answered(answer(&third, "503 Maximum Calls In Progress").as_bytes(), at(3_000));
    assert_eq!(heard, Some(Duration::from_secs(1)), "whatever it says, it hears");
    assert_eq!(open.silent(at(9_000)), None);
    assert_eq!(open.answered(answer(&third, "200 OK").as_bytes(), at(9_000)), None, "once");
}

#[test]
fn a_silence_longer_than_what_is_kept_is_still_told_whole() {
    let start = Instant::now();
    let mut open = Open::new(call());
    for second in 0..100 {
        open.next(start + Duration::from_secs(second));
    }
    assert_eq!(open.sent.len(), OPEN);
    assert_eq!(open.silent(start + Duration::from_secs(100)), Some(Duration::from_secs(100)));
    open.forget();
    assert_eq!(open.silent(start + Duration::from_secs(101)), None);
}

#[test]
fn what_answers_another_request_answers_none() {
    let (ours, theirs) = (call(), call());
    let request = ours.options(7);
    for status in ["100 Trying", "200 OK", "486 Busy Here", "603 "] {
        assert_eq!(ours.answers(answer(&request, status).as_bytes()), Some(7), "{status}");
    }
    let good = answer(&request, "200 OK");
    for bad in [
        answer(&theirs.options(7), "200 OK"),
        answer(&request, "2000 OK"),
        answer(&request, "0 OK"),
        answer(&request, "200"),
        good.replace("CSeq: 7 OPTIONS", "CSeq: 7 REGISTER"),
        good.replace("CSeq: 7", "CSeq: 99999999999"),
        good.replace("CSeq: 7 OPTIONS\r\n", ""),
        good.replace("Call-ID", "X-Call-ID"),
        // Below the empty line is a body.
        good.replace("SIP/2.0 200 OK\r\n", "SIP/2.0 200 OK\r\n\r\n"),
        request.clone(),
        String::new(),
    ] {
        assert_eq!(ours.answers(bad.as_bytes()), None, "{bad}");
    }
    let short = good.replace("Call-ID:", "i :").replace("\r\n", "\n");
    assert_eq!(ours.answers(short.as_bytes()), Some(7), "compact, and with bare line feeds");
    let padded = format!("SIP/2.0 200 OK\r\nX: {}\r\n{}", "x".repeat(70_000), good);
    assert_eq!(ours.answers(padded.as_bytes()), None, "a head without end");
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        prop_assert_eq!(call().answers(&bytes), None);
    }

    #[test]
    fn an_answer_that_is_damaged_is_ours_or_none(cut in any::<usize>(), byte in any::<u8>()) {
        let ours = call();
        let mut bytes = answer(&ours.options(7), "200 OK").into_bytes();
        let cut = cut % bytes.len();
        prop_assert!(ours.answers(bytes.get(..cut).unwrap()).is_none_or(|number| number == 7));
        *bytes.get_mut(cut).unwrap() = byte;
        // A digit of the number itself may have become another.
        let _ = ours.answers(&bytes);
    }
}

#[test]
fn candidates_are_few_and_such_as_can_be_asked() {
    let own: Vec<IpAddr> = ["127.0.0.1", "192.0.2.1", "169.254.3.4", "fe80::1", "2001:db8::1"]
        .map(|text| text.parse().unwrap())
        .into();
    let targets = candidates(&own, &[5_060, 5_080]);
    let told: Vec<String> = targets.iter().map(SocketAddr::to_string).collect();
    assert_eq!(
        told,
        [
            "192.0.2.1:5060",
            "[2001:db8::1]:5060",
            "127.0.0.1:5060",
            "192.0.2.1:5080",
            "[2001:db8::1]:5080",
            "127.0.0.1:5080"
        ]
    );
    let many: Vec<IpAddr> = (0..100).map(|n| Ipv4Addr::new(192, 0, 2, n).into()).collect();
    assert_eq!(candidates(&many, &[5_060]).len(), MOST_TARGETS);
}

/// The task against real sockets: one that answers, one that does not, a closed port.
#[tokio::test]
async fn it_asks_who_is_wanted_and_tells_what_it_hears() {
    let open = async || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (answering, silent, closed) = (open().await, open().await, open().await);
    let address = |socket: &UdpSocket| socket.local_addr().unwrap();
    let targets = [address(&answering), address(&silent), address(&closed)];
    drop(closed);
    let (probed, mut told) = mpsc::channel(16);
    let (want, wanted) = watch::channel(Arc::from(targets));
    let task = tokio::spawn(run(wanted, probed));
    let server = tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        loop {
            let (length, peer) = answering.recv_from(&mut buffer).await.unwrap();
            let request = std::str::from_utf8(&buffer[..length]).unwrap();
            answering.send_to(b"noise", peer).await.unwrap();
            answering.send_to(answer(request, "200 OK").as_bytes(), peer).await.unwrap();
        }
    });

    let mut seen = [false; 3];
    while seen != [true; 3] {
        let Some(Probed { target, outcome }) = told.recv().await else {
            panic!("the task has ended");
        };
        match outcome {
            Outcome::Answered(_) => assert_eq!(target, targets[0]),
            Outcome::Silent(_) => assert_eq!(target, targets[1]),
            Outcome::Closed => assert_eq!(target, targets[2]),
        }
        seen[targets.iter().position(|one| *one == target).unwrap()] = true;
    }
    want.send_replace(Arc::from([]));
    server.abort();
    drop(want);
    task.await.unwrap();
}
