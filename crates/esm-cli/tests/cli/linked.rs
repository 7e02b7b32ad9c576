//! Linked stores: opened by the commands that need something in them, and by no other.

use std::io::ErrorKind;
use std::net::TcpListener;

use esm_core::id::{ObjectId, StoreId};
use esm_core::object::{Documents, KnownStores, StoreLink};
use esm_objectstore::{OpenOptions, Store};

use crate::esm::Esm;
use crate::orders;
use crate::stores;

/// A store with an object that lives in it, and one that lives in a linked store.
struct World {
    esm: Esm,
    linked: StoreId,
}

impl World {
    fn new() -> Self {
        let esm = Esm::new();
        esm.import(&orders::sorted(2, 3));
        let other = esm.url("other");
        let init = ["store", "init", "--store", &other, "-o", "json"];
        let linked = esm.run(&init).succeeded().json()["id"]
            .as_str()
            .expect("an id")
            .parse()
            .expect("an id");
        esm.run(&["migrate", "order/00001", "--to", &other])
            .succeeded();
        Self { esm, linked }
    }

    async fn store(&self) -> Store {
        let address = self.esm.url("store");
        let store = esm_objectstore::open(&address, OpenOptions::new()).await;
        store.expect("the store opens")
    }

    /// Links the other store at an address at which it cannot be opened now.
    async fn link(&self, address: &str) {
        let known = KnownStores::new(self.store().await.records());
        let link = StoreLink {
            store: self.linked,
            aliases: [].into(),
            address: address.to_owned(),
        };
        known.link(&link).await.expect("the record is written");
    }
}

/// A server that accepts connections and never responds, and the address of a store there.
fn silent() -> (TcpListener, String) {
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    server.set_nonblocking(true).expect("a setting");
    let port = server.local_addr().expect("an address").port();
    let address = format!("postgres://eva@127.0.0.1:{port}/shop?schema=esm");
    (server, address)
}

#[tokio::test]
async fn a_linked_store_that_does_not_respond_disturbs_no_command_that_does_not_need_it() {
    let world = World::new();
    let esm = &world.esm;
    let (server, address) = silent();
    world.link(&address).await;
    for command in [
        &["list", "--names-only"][..],
        &["list", "--name", "invoice"],
        &["read", "order/00000"],
        &["show", "order/00000"],
        &["export", "order/00000"],
        &["verify", "order/00000"],
        &["plan", "order/00000"],
        &["migrate", "order/00000"],
        &["status", "--all"],
        &["store", "show"],
        &["backup", "list"],
        &["lock", "list"],
    ] {
        let ran = esm.run(command);
        ran.succeeded();
        assert!(!ran.stderr.contains("WARN"), "{command:?}: {ran:?}");
    }
    let more = orders::sorted(1, 3).replace("00000", "00002");
    assert!(!esm.import(&more).stderr.contains("WARN"));
    let connected = server.accept().map_err(|error| error.kind());
    assert!(
        matches!(connected, Err(ErrorKind::WouldBlock)),
        "{connected:?}"
    );
}

#[tokio::test]
async fn the_command_that_needs_a_linked_store_names_it_if_it_cannot_be_opened() {
    let world = World::new();
    let (server, address) = silent();
    world.link(&address).await;
    drop(server);
    let named = format!("cannot open the linked store {address}");
    let again = "link it again with `esm store link URL`";
    for command in [
        &["show", "order/00001"][..],
        &["read", "order/00001"],
        &["list"],
        &["migrate", "--all"],
    ] {
        world.esm.run(command).failed(8, &[&named]);
    }
    // what is there now is another store
    let third = world.esm.url("third");
    let init = ["store", "init", "--store", &third];
    world.esm.run(&init).succeeded();
    world.link(&third).await;
    let show = world.esm.run(&["show", "order/00001"]);
    show.failed(2, &["another store is at the address", again]);
    // it can be linked anew, whatever the earlier address is worth
    world.link(&address).await;
    let other = world.esm.url("other");
    world.esm.run(&["store", "link", &other]).succeeded();
    world.esm.run(&["show", "order/00001"]).succeeded();
}

#[tokio::test]
async fn an_earlier_id_of_a_linked_store_is_known_without_opening_it() {
    let world = World::new();
    let esm = &world.esm;
    let other = esm.url("other");
    esm.run(&["store", "new-id", "--store", &other, "--yes"])
        .succeeded();
    esm.run(&["store", "link", &other]).succeeded();
    esm.run(&["show", "order/00001"]).succeeded();
    // the document still names the id that the store had before
    let documents = Documents::new(world.store().await.records());
    let object: ObjectId = "order/00001".parse().expect("an id");
    let document = documents.load(&object).await.expect("a document");
    assert_eq!(document.document.active.store, world.linked);
}

#[test]
fn a_copy_of_a_linked_store_is_refused_as_a_target() {
    let world = World::new();
    let esm = &world.esm;
    let other = esm.url("other");
    esm.run(&["store", "link", &other]).succeeded();
    stores::copy(&esm.path("other"), &esm.path("copy"));
    let to = esm.url("copy");
    let refused = esm.run(&["migrate", "order/00000", "--to", &to]);
    refused.failed(2, &["two places hold a store with the same id"]);
}
