use super::*;

#[test]
fn nothing_but_a_host_name_is_shown() {
    assert_eq!(readable("Mail.Example.ORG.").as_deref(), Some("mail.example.org"));
    assert_eq!(
        readable("a\u{1b}[2J<script>.é.example").as_deref(),
        Some("a??2j?script?.?.example")
    );
    assert_eq!(readable("192.0.2.7"), None, "which means that there is none");
    assert_eq!(readable("2001:db8::7"), None);
    assert_eq!(readable("."), None);
    assert_eq!(readable(&"a.".repeat(500)).map(|name| name.len()), Some(MAX_NAME));
}

#[test]
fn an_address_without_a_name_is_no_failure_of_the_resolver() {
    // EAI_NONAME and EAI_AGAIN of glibc and musl (netdb.h).
    assert_eq!(heard(Err(LookupError::new(-2))), Ok(None));
    assert!(matches!(heard(Err(LookupError::new(-3))), Err(ReverseError::Resolver(_))));
    assert_eq!(heard(Ok("a.example".to_owned())), Ok(Some("a.example".to_owned())));
}

#[tokio::test]
async fn the_name_of_this_host_is_found_and_leads_back() {
    // Of /etc/hosts: nobody outside is asked.
    let found = Reverse::default().look_up("127.0.0.1".parse().unwrap()).await.unwrap().unwrap();
    assert!(found.name.contains("localhost"), "{found:?}");
    assert!(found.confirmed);
}

#[tokio::test]
async fn an_answer_is_remembered_and_no_more_than_the_limit() {
    let mut memory = Memory::new(MAX_KNOWN);
    let address = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
    for n in 0..=MAX_KNOWN {
        keep(&mut memory, address(n), Ok(None));
    }
    assert_eq!(memory.get(&address(0)), None);
    assert_eq!(memory.get(&address(1)), Some(Ok(None)));
    assert_eq!(memory.len(), MAX_KNOWN);
}

#[tokio::test]
async fn who_finds_no_room_is_told_in_time() {
    tokio::time::pause();
    let reverse = Reverse::default();
    let _all = reverse.room.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
    let found = reverse.look_up("192.0.2.7".parse().unwrap()).await;
    assert_eq!(found, Err(ReverseError::TimedOut));
}
