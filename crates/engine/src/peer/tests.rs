use super::*;

#[test]
fn a_name_is_read_as_it_is_written() {
    let name: PeerName = "fra-1.pbx-07".parse().unwrap();
    assert_eq!((name.site(), name.node()), ("fra-1", "pbx-07"));
    assert_eq!(name.to_string(), "fra-1.pbx-07");
    let json = serde_json::to_string(&name).unwrap();
    assert_eq!(json, r#""fra-1.pbx-07""#);
    assert_eq!(serde_json::from_str::<PeerName>(&json).unwrap(), name);
    let longest = "a".repeat(PeerName::MAX_BYTES);
    assert_eq!(PeerName::new(&longest, &longest).unwrap().node(), longest);
}

#[test]
fn what_is_no_name_is_refused() {
    let long = "a".repeat(PeerName::MAX_BYTES + 1);
    for (site, node) in [("", "a"), ("a", ""), ("A", "a"), ("a", "a.b"), ("a", "ü"), ("a", "*")] {
        assert_eq!(PeerName::new(site, node), Err(PeerNameError), "{site} {node}");
    }
    assert_eq!(PeerName::new("a", &long), Err(PeerNameError));
    for text in ["a", "", ".", "a.", ".a", "a.b.c", "a b"] {
        assert_eq!(text.parse::<PeerName>(), Err(PeerNameError), "{text}");
    }
}

#[test]
fn names_sort_as_their_text_does() {
    let names = ["a.b", "a.bb", "aa.b", "b.a"].map(|text| text.parse::<PeerName>().unwrap());
    assert!(names.is_sorted());
}

#[test]
fn the_words_of_a_peer_are_cut() {
    let facts = RemoteFacts::by_hand(&"ü".repeat(RemoteFacts::MAX_WHY_BYTES));
    assert_eq!(facts.why.len(), RemoteFacts::MAX_WHY_BYTES);
}
