//! What is logged, down to the finest level, by this crate and by all that it uses.

use std::io;
use std::sync::{Arc, Mutex};

use esm_azure::{Connection, OpenOptions};
use esm_core::store::RecordKey;
use esm_testkit::containers::{self, Azurite};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::place::fresh_address;

/// All that was logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A request that succeeds, one that fails, and one that is refused.
async fn requests(connection: &Connection) {
    let address = fresh_address();
    let opened = esm_azure::open_or_create(connection, &address, OpenOptions::new()).await;
    let Ok(store) = opened else {
        println!("{opened:?}");
        return;
    };
    let records = store.records();
    records.put(&RecordKey::Index, 0, "a".into()).await.unwrap();
    let taken = records.put(&RecordKey::Index, 0, "b".into()).await;
    println!("{:?}", taken.unwrap_err());
}

/// A connection for each kind of secret, right and wrong.
fn connections(azurite: &Azurite) -> Vec<Connection> {
    let url = |sas: &str| format!("{}?{sas}", azurite.endpoint());
    let wrong = azurite.sas().replace("sp=rwdlacup", "sp=rwdlac");
    let keyed = |key| Connection::with_account_key(&azurite.endpoint(), azurite.account(), key);
    let connected = [
        Connection::from_sas_url(&url(azurite.sas())),
        Connection::from_sas_url(&url(&wrong)),
        Connection::from_connection_string(&azurite.connection_string()),
        keyed(azurite.key()),
        keyed("V1JPTkctU0VDUkVU"),
    ];
    connected.into_iter().map(Result::unwrap).collect()
}

#[test]
fn nothing_secret_is_logged() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(azurite) = runtime.block_on(containers::azurite()) else {
        return;
    };
    log.0.lock().unwrap().clear();
    for connection in connections(&azurite) {
        runtime.block_on(requests(&connection));
    }
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(!logged.is_empty(), "nothing was logged at all");
    let (_, signature) = azurite.sas().split_once("sig=").unwrap();
    for secret in [signature, azurite.key(), "V1JPTkctU0VDUkVU"] {
        let line = logged.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is logged");
    }
}
