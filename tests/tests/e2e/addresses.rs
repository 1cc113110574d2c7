//! Whose an address is, and all banned ones as a file.

use std::io::{Read as _, Write as _};
use std::thread;

use serde_json::{Value, json};
use sipward_tests::fake_freeswitch::{Attempt, Outcome};

use super::console::get_until;
use super::world::World;

super::cases![
    all_bans_are_sent_as_a_file,
    an_address_has_a_name_a_place_and_an_owner,
    a_registry_that_does_not_answer_is_told_as_that,
    attackers_are_counted_and_bans_found_by_country_and_network,
];

fn all_bans_are_sent_as_a_file() {
    let world = World::new();
    let setup = world.setup("mode = \"observe\"\n");
    let daemon = world.watch(&setup);
    let attempts = 600_u32;
    for n in 0..attempts {
        let address = std::net::Ipv4Addr::from(0x0b00_0000 + n).into();
        let attempt = Attempt::new(address, 5060, "=1+1").user_agent("=cmd|friendly-scanner,\"x\"");
        world.fs.emit(&attempt, Outcome::WrongPassword);
    }
    daemon.expect_many("ban", attempts as usize, |_| true);
    let client = setup.client();

    let all = client.get("/bans.json").expect(200);
    assert_eq!(all.as_array().unwrap().len(), 600);
    let one = client.get("/bans.json?inside=11.0.0.7&search=FRIENDLY").expect(200);
    assert_eq!(one[0]["net"], "11.0.0.7/32");
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert_eq!(client.get("/bans.json?search=nobody").expect(200), json!([]));
    assert_eq!(client.get("/bans?search=friendly&limit=1").expect(200)["total"], 600);
    assert_eq!(client.get("/bans.csv?sort=net").wrong_fields(), ["sort"]);

    let said = setup.shell(&["bans", "--csv"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let table = String::from_utf8(said.stdout).unwrap();
    assert_eq!(table.lines().count(), 601);
    assert!(table.starts_with("network,since,"), "{table}");
    let first = table.lines().nth(1).unwrap();
    assert!(first.starts_with("11.0.0.0/32,"), "{first}");
    assert!(first.contains("\"'=cmd|friendly-scanner,\"\"x\"\"\""), "{first}");
    assert!(first.contains(",'=1+1,"), "{first}");
}

fn an_address_has_a_name_a_place_and_an_owner() {
    let world = World::new();
    let registry = world.pbx.tcp("127.0.0.1:0");
    let port = registry.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in registry.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(b"% comment\nnetname: EVIL\x1b[2J\n");
        }
    });
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/geo");
    let setup = world.setup(&format!(
        "[whois]\nserver = \"127.0.0.1:{port}\"\nper_minute = 1\n\
         [geo]\nfiles = [\"{fixtures}/city.mmdb\", \"{fixtures}/as.mmdb\", \"/nowhere.mmdb\"]\n"
    ));
    let daemon = world.watch(&setup);
    let client = setup.client();

    let failed = daemon.expect("geo_failed");
    assert_eq!(failed.text("file"), "/nowhere.mmdb");
    let host = client.get("/hosts/127.0.0.1").expect(200);
    assert_eq!((&host["location"], &host["located"]), (&Value::Null, &json!(true)));
    let host = client.get("/hosts/203.0.113.7").expect(200);
    assert_eq!(
        (&host["location"]["country"], &host["location"]["as_number"]),
        (&json!("NL"), &json!(64496))
    );
    let why = client.get("/sources/203.0.113.7").expect(200);
    assert_eq!(why["location"], host["location"]);

    let first = client.get("/whois/8.8.8.8").expect(200);
    assert_eq!(first["text"], "netname: EVIL?[2J\n");
    assert_eq!((&first["server"], &first["cached"]), (&json!("127.0.0.1"), &json!(false)));
    assert_eq!(client.get("/whois/8.8.8.8%2F24").status, 429, "its first address is another one");
    assert_eq!(client.get("/whois/8.8.8.8").expect(200)["cached"], true);
    let refused = client.get("/whois/8.8.4.4");
    assert_eq!(refused.status, 429);
    assert!(refused.head.contains("retry-after: 60"), "{}", refused.head);
    assert_eq!(client.get("/whois/192.0.2.7").wrong_fields(), ["address"]);

    let said = setup.shell(&["whois", "8.8.8.8"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("Answer of 127.0.0.1:\nnetname: EVIL?[2J\n"), "{said}");
    let said = setup.shell(&["why", "203.0.113.7"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("Amsterdam, Netherlands (NL), AS64496, Example Hosting"), "{said}");

    setup.configure("");
    let _ = client.post("/reload", &json!({}));
    assert_eq!(client.get("/hosts/203.0.113.7").expect(200)["located"], false, "after a reload");
}

fn attackers_are_counted_and_bans_found_by_country_and_network() {
    let world = World::new();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/geo");
    let files = format!("[geo]\nfiles = [\"{fixtures}/city.mmdb\", \"{fixtures}/as.mmdb\"]\n");
    let setup = world.setup(&files);
    let daemon = world.watch(&setup);
    let client = setup.client();
    world.fail("198.51.100.7", 5);
    daemon.expect("ban");

    let countries = get_until(&client, "/places", |places| places["items"][0]["failures"] == 5);
    let germany = json!({"country": "DE", "as_number": null, "name": "Germany", "failures": 5, "proved": 5, "counted": 5,
        "sources": 1, "bans": 1, "last": countries["items"][0]["last"]});
    assert_eq!((&countries["items"], &countries["located"]), (&json!([germany]), &json!(true)));
    let networks = client.get("/places?by=network").expect(200);
    assert_eq!(networks["items"][0]["as_number"], 64500);
    assert_eq!(networks["items"][0]["name"], "Evil?[2J ?Networks \"Ltd\"");

    for (query, total) in [
        ("country=de", 1),
        ("country=NL", 0),
        ("as=64500", 1),
        ("as=64496", 0),
        ("as=64500&country=NL", 0),
        ("sort=country", 1),
        ("sort=as&order=desc", 1),
    ] {
        let page = client.get(&format!("/bans?{query}")).expect(200);
        assert_eq!((&page["total"], &page["located"]), (&json!(total), &json!(true)), "{query}");
        if total > 0 {
            assert_eq!(page["items"][0]["location"]["city"], "Frankfurt am Main");
        }
    }
    assert_eq!(client.get("/bans.json?country=NL").expect(200), json!([]));
    assert_eq!(client.get("/bans.json?country=DE").expect(200).as_array().unwrap().len(), 1);
    for (query, field) in
        [("country=Germany", "country"), ("country=%C3%9F", "country"), ("as=-1", "as")]
    {
        assert_eq!(client.get(&format!("/bans?{query}")).wrong_fields(), [field]);
    }

    setup.configure("");
    let _ = client.post("/reload", &json!({}));
    let places = client.get("/places").expect(200);
    assert_eq!((&places["located"], &places["items"]), (&json!(false), &json!([])));
    assert_eq!(client.get("/bans?country=DE").wrong_fields(), ["country"]);
    assert_eq!(client.get("/bans").expect(200)["items"][0]["location"], Value::Null);
}

fn a_registry_that_does_not_answer_is_told_as_that() {
    let world = World::new();
    let silent = world.pbx.tcp("127.0.0.1:0");
    let port = silent.local_addr().unwrap().port();
    let config = format!("[whois]\nserver = \"127.0.0.1:{port}\"\ntimeout = \"1s\"\n");
    let setup = world.setup(&config);
    let _daemon = world.watch(&setup);
    let answer = setup.client().get("/whois/8.8.8.8");
    assert_eq!(answer.status, 504);
    assert_eq!(answer.body["type"], "urn:sipward:problem:no-answer");
    drop(silent);
    assert_eq!(setup.client().get("/whois/8.8.4.4").status, 502);
}
