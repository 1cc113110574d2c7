use super::*;

#[test]
fn a_network_is_an_address_or_a_prefix_without_host_bits() {
    for (written, read) in [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("2001:db8::7", "2001:db8::7/128"),
        ("2001:db8::7/48", "2001:db8::/48"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
    ] {
        assert_eq!(written.parse::<Net>().map(|net| net.to_string()), Ok(read.to_owned()));
    }
    for wrong in ["", "192.0.2", "192.0.2.7/33", "office.example.org", "192.0.2.7 ", "fe80::1%eth0"]
    {
        assert!(wrong.parse::<Net>().is_err(), "{wrong}");
    }
}

#[test]
fn times_are_read_as_they_are_written() {
    use crate::text::Time;
    let time: Time = "2026-11-23T22:00:00.125Z".parse().unwrap();
    assert_eq!(time.to_string(), "2026-11-23T22:00:00.125Z");
    assert_eq!("2026-11-24T00:00:00.125+02:00".parse::<Time>().unwrap(), time);
    assert!("yesterday".parse::<Time>().is_err());
}
