use std::net::IpAddr;

use super::Frame;
use crate::fake_freeswitch::Recording;

fn wrong_password() -> Vec<Frame> {
    Recording::load("scenarios/01a-register-wrongpw-udp4.plain").unwrap().into_frames()
}

#[test]
fn cuts_a_recording_into_its_frames_and_loses_no_byte() {
    let raw = Recording::load("scenarios/01a-register-wrongpw-udp4.plain").unwrap();
    let joined: Vec<u8> = raw.frames().iter().flat_map(|f| f.bytes().to_vec()).collect();
    let types: Vec<_> = raw.frames().iter().map(Frame::content_type).collect();

    assert_eq!(
        types,
        [
            "auth/request",
            "command/reply",
            "command/reply",
            "text/event-plain",
            "text/event-plain",
            "text/event-plain"
        ]
    );
    assert_eq!(joined.len(), 2621, "size of the recording");
}

#[test]
fn keeps_a_cut_frame_at_the_end_apart() {
    let (frames, rest) =
        Frame::split_stream(b"Content-Type: auth/request\n\nContent-Length: 9\n\nabc");

    assert_eq!(frames.len(), 1);
    assert_eq!(rest, b"Content-Length: 9\n\nabc");
}

#[test]
fn a_new_source_makes_content_length_true_again() {
    let failure = wrong_password().pop().unwrap();
    let source: IpAddr = "2001:db8:0:1::77".parse().unwrap();

    let moved = failure.from_source(source);

    assert_eq!(moved.decoded("network-ip").as_deref(), Some("2001:db8:0:1::77"));
    assert_eq!(moved.header("network-ip"), Some(&b"2001%3Adb8%3A0%3A1%3A%3A77"[..]));
    let (frames, rest) = Frame::split_stream(moved.bytes());
    assert_eq!((frames, rest), (vec![moved.clone()], &b""[..]));
    // Nothing else changed.
    assert_eq!(moved.from_source("127.0.0.1".parse().unwrap()), failure);
}

#[test]
fn a_header_that_an_attacker_put_into_the_body_is_not_rewritten() {
    let frame = Frame::with_body(
        "Content-Length: 40\nContent-Type: text/event-plain\n\n",
        b"network-ip: 192.0.2.1\n\nnetwork-ip: kept\n",
    );

    let moved = frame.with_header("network-ip", "192.0.2.9");

    assert!(moved.bytes().ends_with(b"network-ip: 192.0.2.9\n\nnetwork-ip: kept\n"));
}
