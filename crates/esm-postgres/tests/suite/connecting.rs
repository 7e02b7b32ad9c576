//! Connections: what they can do, and what is said where there is none.

use esm_core::ErrorKind;
use esm_postgres::{Database, Query};

use crate::server::places;

#[tokio::test(flavor = "multi_thread")]
async fn a_read_cannot_write_whatever_the_query_is() {
    for place in places().await {
        let database = place.connect().await.unwrap();
        let rows = database.read(&Query::new("SELECT 40 + 2")).await.unwrap();
        assert_eq!(rows[0].get::<_, i32>(0), 42);
        let written = database.read(&Query::new("CREATE TABLE t (n int)")).await;
        let error = written.unwrap_err();
        assert!(error.to_string().contains("read-only"), "{error}");
        // the connection is usable afterwards
        let rows = database
            .read(&Query::new("SELECT to_regclass('t')::text"))
            .await;
        assert_eq!(rows.unwrap()[0].get::<_, Option<String>>(0), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_ended_is_replaced() {
    for place in places().await {
        let database = place.connect().await.unwrap();
        let pid = Query::new("SELECT pg_backend_pid()");
        let first: i32 = database.read(&pid).await.unwrap()[0].get(0);
        let other = place.connect().await.unwrap();
        let end = Query::new(&format!("SELECT pg_terminate_backend({first})"));
        other.read(&end).await.unwrap();
        let second: i32 = database.read(&pid).await.unwrap()[0].get(0);
        assert_ne!(first, second);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_an_unknown_database_and_missing_tls_are_named() {
    for place in places().await {
        let failure = async |address: &str, password: &str| {
            let settings = place.settings_of(address, password).unwrap();
            Database::connect(settings).await.unwrap_err()
        };
        let wrong = failure(&place.address, "s3cret").await;
        assert_eq!(*wrong.kind(), ErrorKind::PermissionDenied, "{wrong:?}");
        assert!(wrong.hint().unwrap().contains("PGPASSWORD"), "{wrong:?}");
        assert!(!format!("{wrong:?}").contains("s3cret"), "{wrong:?}");

        let missing = failure(&place.address, "").await;
        assert_eq!(*missing.kind(), ErrorKind::PermissionDenied, "{missing:?}");
        assert!(
            missing.hint().unwrap().contains("PGPASSWORD"),
            "{missing:?}"
        );

        let elsewhere = place.address.replace("/esm_", "/none_");
        let unknown = failure(&elsewhere, "postgres").await;
        assert_eq!(*unknown.kind(), ErrorKind::NotFound, "{unknown:?}");

        let encrypted = format!("{}?sslmode=require", place.address);
        let plain = failure(&encrypted, "postgres").await;
        assert_eq!(*plain.kind(), ErrorKind::Unavailable, "{plain:?}");
        assert!(plain.hint().unwrap().contains("sslmode"), "{plain:?}");
        let said = plain.to_string();
        assert!(said.contains("cannot connect to postgres://"), "{said}");
    }
}
