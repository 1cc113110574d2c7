use super::*;
use crate::http::serve::Listener as _;

fn stranger() -> Peer {
    // Neither root nor, as far as tests are run by people and machines, anybody who runs them.
    Peer { user: 4_294_000_001, group: 4_294_000_001 }
}

#[tokio::test]
async fn once_the_file_is_open_to_all_credentials_decide() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let endpoint = Listener::open(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let own = geteuid().as_raw();
    assert!(endpoint.admits(Peer { user: 0, group: stranger().group }).await);
    assert!(endpoint.admits(Peer { user: own, group: stranger().group }).await);
    assert!(endpoint.admits(Peer { user: stranger().user, group: endpoint.group.as_raw() }).await);
    assert!(!endpoint.admits(stranger()).await);
}

#[tokio::test]
async fn as_long_as_the_file_is_closed_to_others_the_kernel_has_decided() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Listener::open(&directory.path().join("socket")).unwrap();
    assert!(endpoint.admits(stranger()).await, "a member by a group that is not its first");
}

#[tokio::test]
async fn the_other_end_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let endpoint = Listener::open(&path).unwrap();
    let _stream = StdStream::connect(&path).unwrap();
    let (_, peer) = endpoint.next().await.unwrap();
    assert_eq!(peer.user, geteuid().as_raw());
}

#[tokio::test]
async fn a_file_that_another_has_put_there_is_not_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let endpoint = Listener::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "theirs").unwrap();
    drop(endpoint);
    assert!(path.exists());
}
