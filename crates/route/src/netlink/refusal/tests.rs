use nix::errno::Errno;

use super::Refusal;

#[test]
fn zero_is_an_ack() {
    assert_eq!(Refusal::read(&[0; 20]), None);
    assert_eq!(Refusal::read(&[]), None);
}

#[test]
fn the_kernels_explanation_is_kept() {
    let mut payload = (-22_i32).to_ne_bytes().to_vec();
    payload.extend([0; 16]);
    payload.extend(9_u16.to_ne_bytes());
    payload.extend(1_u16.to_ne_bytes());
    payload.extend(b"nope\0\0\0\0");
    let refusal = Refusal::read(&payload).unwrap();
    assert_eq!(refusal.errno, Errno::EINVAL);
    assert_eq!(refusal.explanation.as_deref(), Some("nope"));
    assert_eq!(refusal.to_string(), "Invalid argument (nope)");
}

#[test]
fn a_truncated_explanation_is_left_out() {
    let mut payload = (-1_i32).to_ne_bytes().to_vec();
    payload.extend([0; 16]);
    payload.extend([200, 0, 1, 0, b'x']);
    let refusal = Refusal::read(&payload).unwrap();
    assert_eq!(refusal, Refusal { errno: Errno::EPERM, explanation: None });
}
