//! Many migrations: of one object, whose document leaves streams to an earlier version, and of a
//! store, whose status does not read them all.

use std::fs;

use crate::esm::Esm;
use crate::orders;

const ORDER: &str = "order/00000";
/// More than a document lists.
const MIGRATIONS: usize = 18;

#[test]
fn an_object_that_was_migrated_eighteen_times_is_shown_whole_and_damage_to_it_is_named() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 2));
    for _ in 0..MIGRATIONS {
        esm.run(&["migrate", "--all", "--again"]).succeeded();
    }
    let folder = esm.path("store/documents/order/00000");
    let version = |number: u64| folder.join(format!("{number:020}"));
    let newest = fs::read_dir(&folder).unwrap().count() as u64 - 1;
    let stored = fs::read_to_string(version(newest)).unwrap();
    // behind a line of its own facts
    let document = stored.lines().next_back().unwrap();
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    let page = document["earlier_streams"]["version"].as_u64().unwrap();
    assert!(document["terminated"].as_array().unwrap().len() < MIGRATIONS);

    let show = ["show", ORDER, "-o", "json"];
    let shown = esm.run(&show).succeeded().json();
    let streams = shown["streams"].as_array().unwrap();
    assert_eq!(streams.len(), MIGRATIONS + 1);
    let listed = shown["document"]["terminated"].as_array().unwrap();
    assert_eq!(listed.len(), MIGRATIONS);
    let list = esm.run(&["list", "-o", "json"]).succeeded().json();
    assert_eq!(list["migrations"], MIGRATIONS);
    esm.run(&["verify", "--all"]).succeeded();
    // sequences are those of the first stream
    let again = esm.import(&orders::sorted(1, 2));
    again.succeeded();
    assert_eq!(esm.run(&["list", "-o", "json"]).json()["events"], 2);

    fs::remove_file(version(page)).unwrap();
    let named = format!("version {page}");
    esm.run(&["verify", "--all"]).failed(9, &[]).printed(&named);
    let shown = esm.run(&show);
    let shown = shown.failed(9, &[]).json();
    let damage = shown["document_damage"].as_str().unwrap();
    assert!(damage.contains(&named), "{damage}");
    assert!(shown["streams"].as_array().unwrap().len() < MIGRATIONS);
    let text = esm.run(&["show", ORDER]);
    text.failed(9, &[]).printed(&named);
    // nothing else needs it
    esm.run(&["read", ORDER]).succeeded();
    esm.run(&["migrate", "--all", "--again"]).succeeded();
}

#[test]
fn status_reads_the_newest_two_hundred_and_counts_the_others() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 2));
    esm.run(&["migrate", "--all"]).succeeded();
    let none = esm.run(&["status"]);
    assert!(!none.succeeded().stderr.contains("not read"), "{none:?}");
    assert_eq!(
        esm.run(&["status", "-o", "json"]).json().get("not_read"),
        None
    );
    for number in 0..203 {
        let journal = format!("store/journals/00000000-0000-7000-8000-{number:012}");
        let journal = esm.path(&journal);
        fs::create_dir_all(&journal).unwrap();
        fs::write(journal.join(format!("{:020}", 0)), "{}").unwrap();
    }
    let status = esm.run(&["status"]);
    let said = &status.succeeded().stderr;
    assert!(
        said.contains("older migrations not read: 4; add --all"),
        "{said}"
    );
    let json = esm.run(&["status", "-o", "json"]).succeeded().json();
    assert_eq!(json["not_read"], 4);
    assert_eq!(json["migrations"].as_array().unwrap().len(), 199);
    let all = esm
        .run(&["status", "--all", "-o", "json"])
        .succeeded()
        .json();
    assert_eq!(all.get("not_read"), None);
    assert_eq!(all["migrations"].as_array().unwrap().len(), 204);
}
