//! Every layout: what changes, and what stays to the byte.

use esm_core::event::MetadataValue;

use super::{Bench, By, rename, rows, texts};
use crate::server::{places, tables_of};

/// Of each layout: its table, a transformation, and rows as they are then.
const CASES: [(&str, &str, By, &str, &[&str]); 5] = [
    (
        "cqrs-es",
        "events",
        By {
            name: "cqrs-es",
            change: |event| {
                if event.event_type.as_str() == "Placed" {
                    event.schema_version.0 = 2;
                }
                rename(event, "Placed", "OrderPlaced");
            },
        },
        "SELECT e::text FROM events e WHERE event_type = 'OrderPlaced' ORDER BY 1",
        &[
            r#"(order,1,1,OrderPlaced,2.0,"{""OrderPlaced"":{""cents"":  42.00}}","{""user"": ""eva""}")"#,
            r#"(order,2/b,1,OrderPlaced,2.0,"{""OrderPlaced"":{""cents"": 7}}",{})"#,
        ],
    ),
    (
        "emmett",
        "emt_messages",
        By {
            name: "emmett",
            change: |event| {
                // none becomes a version that there is already
                event.schema_version.0 += 10;
                event.payload = "{\"x\": 1}".into();
            },
        },
        "SELECT DISTINCT message_schema_version || message_data FROM emt_messages ORDER BY 1",
        &[r#"11{"x": 1}"#, r#"12{"x": 1}"#],
    ),
    (
        "eventuous",
        "eventuous.messages",
        By {
            name: "eventuous",
            change: |event| rename(event, "V1.Booked", "V2.Booked"),
        },
        "SELECT message_type || json_data FROM eventuous.messages ORDER BY global_position",
        &[r#"V2.Booked{"room": 7}"#, "V1.Paid{}", "V1.Left{}"],
    ),
    (
        "marten",
        "mt_events",
        By {
            name: "marten",
            change: |event| {
                if event.event_type.as_str() == "placed" {
                    event.metadata.insert("user", "eva").unwrap();
                }
            },
        },
        "SELECT coalesce(headers::text, 'none') || data FROM mt_events ORDER BY seq_id",
        &[
            r#"{"user": "eva"}{"cents": 42}"#,
            r#"{"user": "eva"}{"cents": 7}"#,
            "none{}",
            "none{}",
        ],
    ),
    (
        "message-db",
        "message_store.messages",
        By {
            name: "message-db",
            change: |event| {
                if event.event_type.as_str() == "Opened" {
                    event.payload = r#"{"owner": "***", "n": 1.0}"#.into();
                    event
                        .metadata
                        .insert("masked", MetadataValue::Boolean(true))
                        .unwrap();
                }
            },
        },
        "SELECT coalesce(data::text, 'null') || coalesce(metadata::text, 'null')
         FROM message_store.messages ORDER BY global_position",
        &[
            r#"{"n": 1.0, "owner": "***"}{"masked": true}"#,
            "nullnull",
            r#"{"cents": 5}{"a": {"b": 1}}"#,
            r#"{}{"causationMessagePosition": 1}"#,
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_each_layout_are_rewritten_and_restored_to_the_byte() {
    for (library, table, by, query, expected) in CASES {
        for place in places().await {
            place.run(tables_of(library)).await;
            let before = rows(&place, table).await;
            let bench = Bench::new(&place, by.clone()).await;
            let pass = bench.migrate().await.unwrap();
            assert_eq!(pass.events, before.len() as u64, "{library}");
            assert_eq!(texts(&place, query).await, expected, "{library}");
            let known = bench.newest().await;
            assert_eq!(known.rewritten, pass.rewritten, "{library}");

            let undone = bench
                .in_place
                .roll_back(&known, "test", None)
                .await
                .unwrap();
            assert_eq!(undone.restored, pass.rewritten, "{library}: {undone:?}");
            assert_eq!(
                (undone.left, undone.new_code_writes),
                (0, false),
                "{library}"
            );
            assert_eq!(rows(&place, table).await, before, "{library}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_class_of_marten_changes_with_the_type() {
    let classes = "SELECT type || ' ' || coalesce(mt_dotnet_type, 'none') FROM mt_events
                   ORDER BY seq_id";
    for place in places().await {
        place.run(tables_of("marten")).await;
        place
            .run("UPDATE mt_events SET mt_dotnet_type = 'Shop.Placed, Shop' WHERE type = 'placed'")
            .await;
        let before = rows(&place, "mt_events").await;
        let forgets = By {
            name: "forgets",
            change: |event| rename(event, "placed", "order_placed"),
        };
        let plan = Bench::new(&place, forgets).await.plan().await.unwrap();
        let failure = &plan.ledger.failures[0];
        assert!(
            failure.message.contains("set .mt_dotnet_type"),
            "{failure:?}"
        );
        let by = By {
            name: "class",
            change: |event| {
                let class = match event.event_type.as_str() {
                    "placed" => "Shop.OrderPlaced, Shop",
                    "paid" => "Shop.Paid, Shop",
                    _ => return,
                };
                event.metadata.insert("mt_dotnet_type", class).unwrap();
                rename(event, "placed", "order_placed");
            },
        };
        let bench = Bench::new(&place, by).await;
        assert_eq!(bench.migrate().await.unwrap().rewritten, 3);
        let placed = "order_placed Shop.OrderPlaced, Shop";
        let expected = [placed, placed, "paid Shop.Paid, Shop", "begun none"];
        assert_eq!(texts(&place, classes).await, expected);
        let known = bench.newest().await;
        bench
            .in_place
            .roll_back(&known, "test", None)
            .await
            .unwrap();
        assert_eq!(rows(&place, "mt_events").await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_does_not_change_is_not_written() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let versions = "SELECT event_type || ' ' || xmin FROM events ORDER BY 1";
        let before = texts(&place, versions).await;
        let by = By {
            name: "one",
            change: |event| rename(event, "Sent", "InvoiceSent"),
        };
        let pass = Bench::new(&place, by).await.migrate().await.unwrap();
        assert_eq!((pass.events, pass.rewritten), (4, 1));
        let after = texts(&place, versions).await;
        let same = before.iter().filter(|row| after.contains(row)).count();
        assert_eq!(same, 3, "{before:?} {after:?}");
    }
}
