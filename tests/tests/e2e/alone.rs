//! A second daemon on the same store, or beside the same kernel.

use sipward_tests::daemon::{Daemon, Setup};
use sipward_tests::netns::Host;
use sipward_tests::wait::until;

use super::kernel::blackholes;
use super::world::{Family, World};

super::cases![
    a_second_daemon_on_the_same_store_does_not_start_and_names_the_first,
    a_second_daemon_on_the_same_kernel_does_not_start_and_names_the_first,
    an_observer_beside_a_daemon_needs_a_store_of_its_own,
    after_a_crash_the_next_daemon_starts,
];

/// What the second daemon says at its end, which must be a failure that names the first.
fn refused(second: Daemon, first: &Daemon, of_first: &Setup) -> String {
    let ended = second.wait_for_end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log.text());
    let said = ended.log.text();
    let socket = of_first.socket().display().to_string();
    for part in [format!("process {}", first.id()), socket] {
        assert!(said.contains(&part), "{part} in:\n{said}");
    }
    said
}

fn a_second_daemon_on_the_same_store_does_not_start_and_names_the_first() {
    let world = World::new();
    let setup = world.setup("");
    let first = world.watch(&setup);
    // In another network namespace nothing of the kernel's is shared.
    let said = refused(Host::new("other").run(|| setup.start()), &first, &setup);
    assert!(said.contains(&setup.store_file().display().to_string()), "{said}");
    world.ban(&first, Family::V4);
    first.stop();
}

fn a_second_daemon_on_the_same_kernel_does_not_start_and_names_the_first() {
    let world = World::new();
    let setup = world.setup("");
    let first = world.watch(&setup);
    world.ban(&first, Family::V4);
    for config in [
        "",
        "[route]\nprotocol = 217\n",
        "[route]\ngate_table_name = \"other\"\n",
        "[store]\npath = \":memory:\"\n",
    ] {
        let other = world.setup(config);
        let said = refused(world.start(&other), &first, &setup);
        assert!(said.contains("protocol 216") || said.contains("nftables table"), "{said}");
    }
    // Unbanned is unbanned.
    let unbanned = setup.client().delete("/bans/198.51.100.7");
    assert_eq!(unbanned.status, 200, "{}", unbanned.body);
    until("the route is gone", || blackholes(&world.pbx).is_empty());
    first.stop();
}

fn an_observer_beside_a_daemon_needs_a_store_of_its_own() {
    let world = World::new();
    let setup = world.setup("");
    let first = world.watch(&setup);
    let observer = world.setup("mode = \"observe\"\n");
    let watching = world.watch(&observer);
    watching.stop();
    let same =
        format!("mode = \"observe\"\n[store]\npath = \"{}\"\n", setup.store_file().display());
    let same = world.setup(&same);
    refused(world.start(&same), &first, &setup);
    first.stop();
}

fn after_a_crash_the_next_daemon_starts() {
    let world = World::new();
    let setup = world.setup("");
    for _ in 0..3 {
        world.watch(&setup).kill();
    }
    world.watch(&setup).stop();
}
