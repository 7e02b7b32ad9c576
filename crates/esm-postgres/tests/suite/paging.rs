//! Long streams, large events, and many streams.

use esm_core::store::{PageLimit, ReadFrom};

use crate::reading::{events, objects};
use crate::server::{places, tables_of};

const MANY: &str = "
INSERT INTO mt_streams (id, type) SELECT 'n' || n, 'many' FROM generate_series(1, 2500) n;
INSERT INTO mt_streams (id, type) VALUES ('long', 'long');
INSERT INTO mt_events (seq_id, stream_id, version, data, type)
SELECT 1000 + n, 'long', n, jsonb_build_object('n', n), 't' FROM generate_series(1, 1400) n
WHERE n % 100 <> 50;
";

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_many_pages_is_read_whole_over_its_holes() {
    for place in places().await {
        place.run(tables_of("marten")).await;
        place.run(MANY).await;
        let store = place.layout("").await.unwrap();
        let read = events(&store, "long/long").await;
        let expected: Vec<_> = (1..=1400).filter(|n| n % 100 != 50).collect();
        let numbers = read.iter().map(|event| {
            let payload: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
            payload["n"].as_u64().unwrap()
        });
        assert_eq!(numbers.collect::<Vec<_>>(), expected);

        // in the middle, and at the end, without the pages before
        let events = place.layout("").await.unwrap().event_store();
        let stream = "long/long".parse().unwrap();
        let from = ReadFrom::Revision(esm_core::event::Revision(1000));
        let page = events
            .read(&stream, from, PageLimit::default())
            .await
            .unwrap();
        assert_eq!(page.cells[0].events[0].event.payload, r#"{"n": 1011}"#);
        let tail = events.tail(&stream).await.unwrap();
        assert_eq!(tail.next_revision().0, 1386);
        let last = tail.last.unwrap().commit;
        let from = ReadFrom::Seq(1385);
        let page = events
            .read(&stream, from, PageLimit::default())
            .await
            .unwrap();
        assert_eq!(page.cells[0].header.commit, last);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_several_pages_are_each_listed_once() {
    for place in places().await {
        place.run(tables_of("marten")).await;
        place.run(MANY).await;
        let store = place.layout("").await.unwrap();
        let all = objects(&store, None).await;
        assert_eq!(all.len(), 2504);
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), 2504);
        assert_eq!(objects(&store, Some("many")).await.len(), 2500);
        assert_eq!(objects(&store, Some("order")).await, ["order/1"]);
        let tenant = objects(&store, Some("order@tenant_id=acme")).await;
        assert_eq!(tenant, ["order@tenant_id=acme/1"]);
        assert_eq!(objects(&store, Some("none")).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_table_of_events_alone_are_each_listed_once() {
    for place in places().await {
        place.run(tables_of("message-db")).await;
        place
            .run(
                "INSERT INTO message_store.messages (position, stream_name, type)
                 SELECT p, 'order-' || n, 't' FROM generate_series(1, 1500) n, generate_series(0, 2) p",
            )
            .await;
        let store = place.layout("").await.unwrap();
        assert_eq!(objects(&store, None).await.len(), 1503);
        assert_eq!(objects(&store, Some("order")).await.len(), 1500);
        assert_eq!(objects(&store, Some("account")).await, ["account/1"]);
        assert_eq!(
            objects(&store, Some("(stream)")).await,
            ["(stream)/account"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_ends_after_its_bytes_however_many_events_are_left() {
    for place in places().await {
        place.run(tables_of("message-db")).await;
        place
            .run(
                "ALTER TABLE message_store.messages ALTER data SET STORAGE EXTERNAL;
                 INSERT INTO message_store.messages (position, stream_name, type, data)
                 SELECT n, 'big-1', 't', jsonb_build_object('x', repeat('x', 200000))
                 FROM generate_series(0, 9) n",
            )
            .await;
        let store = place.layout("").await.unwrap();
        let limit = PageLimit {
            cells: 10,
            bytes: 500_000,
        };
        let stream = "big/1".parse().unwrap();
        let page = store
            .event_store()
            .read(&stream, ReadFrom::Seq(0), limit)
            .await;
        assert_eq!(page.unwrap().cells.len(), 3);
        assert_eq!(events(&store, "big/1").await.len(), 10);
    }
}
