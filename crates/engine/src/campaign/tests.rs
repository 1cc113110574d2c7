//! What is a campaign, and what is only busy.

use std::hash::BuildHasher;

use super::*;
use crate::hash::Seed;
use crate::seen::Fingerprints;
use crate::{AuthFailure, CoreId, Method};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const LIMIT: u32 = 100;

fn failure_of(host: u32) -> AuthFailure<'static> {
    AuthFailure {
        source: std::net::Ipv4Addr::from_bits(host).into(),
        port: 5060,
        profile: "internal",
        user: "1000",
        domain: "pbx.example",
        user_agent: "a phone",
        method: Method::Register,
        sequence: 1,
        core: CoreId(1),
    }
}

/// Failures in a row, `each` of every host, five a second; how long until the alarm.
fn alarm_after(each: u32, hosts: u32, networks: u32, noise: bool) -> Option<(Duration, u32)> {
    let (mut campaign, seed) = (Campaign::default(), Seed::new(3));
    let mut fail = |host: u32, network: u32, at| {
        let failure = failure_of(host);
        let stranger = Stranger { host: seed.hash_one(host), network: seed.hash_one(network) };
        campaign.failure(stranger, &Fingerprints::new(3).failure(&failure), LIMIT, at)
    };
    let began = NOW + Duration::from_secs(55);
    if noise {
        assert_eq!(fail(1, 1, NOW), None);
    }
    for n in 0..3_000 {
        let host = n / each % hosts;
        let at = began + Duration::from_millis(200) * n;
        if let Some((sources, users)) = fail(host, host % networks, at) {
            assert_eq!(users, [Text::new("1000")]);
            return Some((at.since(began), sources));
        }
    }
    None
}

#[test]
fn any_number_of_guesses_of_each_host_is_seen_within_a_minute() {
    for each in 1..=20 {
        for noise in [false, true] {
            let (after, sources) = alarm_after(each, 10_000, 10_000, noise).unwrap();
            assert!(after <= MINUTE, "{each} of each host: {after:?}");
            let hosts = u32::try_from(after.as_millis()).unwrap() / 200 / each;
            assert!(sources <= hosts + 2 && sources >= hosts * 9 / 10, "{sources} of {hosts}");
        }
    }
}

#[test]
fn one_busy_host_nat_or_network_is_no_campaign() {
    assert_eq!(alarm_after(3_000, 1, 1, true), None);
    assert_eq!(alarm_after(1, 250, 1, true), None, "hosts of one network");
    assert_eq!(alarm_after(4, 5_000, 9, true), None, "nine networks");
}

#[test]
fn it_is_told_again_after_a_minute_while_it_goes_on() {
    let (mut campaign, seed) = (Campaign::default(), Seed::new(3));
    let fingerprints = Fingerprints::new(3);
    let mut told = Vec::new();
    for n in 0..1_500_u32 {
        let failure = failure_of(n);
        let hash = seed.hash_one(n);
        let at = NOW + Duration::from_millis(200) * n;
        let stranger = Stranger { host: hash, network: hash };
        if campaign.failure(stranger, &fingerprints.failure(&failure), LIMIT, at).is_some() {
            told.push(at);
        }
    }
    assert_eq!(told.len(), 5, "in five minutes");
    assert!(told.windows(2).all(|two| two[1].since(two[0]) >= MINUTE));
}
