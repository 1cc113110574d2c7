use super::*;

#[test]
fn the_recorded_registrations_are_read() {
    let recording =
        include_str!("../../../../../../tests/fixtures/freeswitch/api/show-registrations-json.raw");
    let json = recording.split("Content-Length: 989\n\n").nth(1).unwrap();
    let found = registrations(json).unwrap();
    let users: Vec<&str> = found.iter().map(|phone| phone.user.as_str()).collect();
    assert_eq!(users, ["1004", "1005", "1006", "1007"]);
    assert_eq!(found[2].source, "::1".parse::<IpAddr>().unwrap());
    assert!(found.iter().all(|phone| phone.domain == "pbx.test"));
    assert!(found.iter().all(|phone| phone.expires == Some(1_795_338_368)));
    assert_eq!(found[3].token, "1b8154407db097a1");
}

#[test]
fn nobody_registered_is_no_error_and_nonsense_is() {
    assert_eq!(registrations(r#"{"row_count":0}"#), Ok(vec![]));
    assert!(registrations("-ERR no reply").is_err());
    let odd = r#"{"rows":[{"reg_user":"1","realm":"r","token":"t","expires":"0","network_ip":"nowhere"}]}"#;
    assert_eq!(registrations(odd), Ok(vec![]));
    // What is of less use may be missing, or written in another way.
    for (rest, expires) in [
        ("", None),
        (r#","expires":"0""#, None),
        (r#","expires":"soon""#, None),
        (r#","expires":"17""#, Some(17)),
        (r#","expires":17"#, Some(17)),
    ] {
        let json =
            format!(r#"{{"rows":[{{"reg_user":"1","realm":"r","network_ip":"::1"{rest}}}]}}"#);
        assert_eq!(registrations(&json).unwrap()[0].expires, expires, "{rest}");
    }
}

#[test]
fn gateways_are_known_by_the_hosts_of_their_proxies() {
    let xml = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<gateways>\n  <gateway>\n    \
               <name>a</name>\n    <realm>one.example</realm>\n    \
               <proxy>sip:192.0.2.5:5080;transport=tcp</proxy>\n  </gateway>\n  <gateway>\n    \
               <username>b&c</username>\n    <proxy>sip:trunk.example.org</proxy>\n  </gateway>\n  \
               <gateway>\n    <proxy>sip:[2001:db8::5]:5060</proxy>\n  </gateway>\n</gateways>\n";
    assert_eq!(
        gateways(xml),
        Ok(vec!["192.0.2.5".to_owned(), "2001:db8::5".to_owned(), "trunk.example.org".to_owned(),])
    );
    assert_eq!(gateways("<gateways>\n</gateways>\n"), Ok(vec![]));
}

#[test]
fn the_host_of_a_uri_is_found_in_every_form() {
    for (uri, host) in [
        ("sip:host.example", Some("host.example")),
        ("sips:u@host.example:5061;transport=tls", Some("host.example")),
        ("host.example:5060", Some("host.example")),
        ("<sip:192.0.2.1>", Some("192.0.2.1")),
        ("sip:u@[2001:db8::1]:5060", Some("2001:db8::1")),
        ("sip:", None),
        ("", None),
    ] {
        assert_eq!(host_of(uri), host, "{uri}");
    }
}
