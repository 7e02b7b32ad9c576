//! A server that all tests of a process share.

use std::marker::PhantomData;
use std::sync::OnceLock;

use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use super::run::Run;
use super::server::Server;

/// One server for all tests of this process.
#[derive(Debug)]
pub(super) struct Shared<S> {
    address: OnceCell<Option<String>>,
    kind: PhantomData<fn() -> S>,
}

impl<S: Server> Shared<S> {
    pub(super) const fn new() -> Self {
        Self {
            address: OnceCell::const_new(),
            kind: PhantomData,
        }
    }

    /// Returns its address, `127.0.0.1:PORT`. Where none can be started, that is reported.
    ///
    /// # Panics
    /// In continuous integration, where none can be started.
    pub(super) async fn address(&self) -> Option<String> {
        let address = self.address.get_or_init(async || {
            // tasks of Docker's client must not end with the runtime of one test
            let found = runtime().spawn(Run::current().server::<S>()).await;
            match found.unwrap_or_else(|panicked| Err(panicked.to_string())) {
                Ok(address) => Some(address),
                Err(why) if in_ci() => panic!("{} cannot be had: {why}", S::WHAT),
                Err(why) => {
                    crate::not_tested(S::WHAT, &why);
                    None
                }
            }
        });
        address.await.clone()
    }
}

/// A runtime that lasts as long as the process.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        runtime.expect("a runtime can be started")
    })
}

/// Returns whether this is continuous integration, where every server must start.
pub(super) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}
