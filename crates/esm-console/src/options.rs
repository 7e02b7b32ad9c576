//! Options of a console.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use esm_core::migration::MigrationPlan;
use esm_core::transform::EventTransformer;

use crate::access::TrustedProxy;

/// Options of a [`Console`](crate::Console).
#[derive(Clone, Default)]
pub struct ConsoleOptions {
    pub(crate) hosts: Vec<String>,
    pub(crate) listening: Option<SocketAddr>,
    pub(crate) control: Option<Control>,
    pub(crate) hides_payloads: bool,
    pub(crate) mask: Option<Arc<dyn EventTransformer>>,
    pub(crate) plans: Vec<(String, Arc<MigrationPlan>)>,
    pub(crate) metrics_token: Option<String>,
    pub(crate) proxy: Option<TrustedProxy>,
    pub(crate) signed_in: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// Permission to steer migrations.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    pub(crate) author: String,
}

impl fmt::Debug for ConsoleOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleOptions")
            .field("hosts", &self.hosts)
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

impl ConsoleOptions {
    /// The defaults: read-only, payloads are shown, reached under no name yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The loopback address under which the console is reached, and under `localhost`. Its port is part
    /// of the name of the cookie, so that consoles on several ports do not sign each other out.
    #[must_use]
    pub fn listening(mut self, address: SocketAddr) -> Self {
        self.listening = Some(address);
        self
    }

    /// Adds a name, with its port, under which the console is reached. Requests to other names are
    /// refused.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Permits to steer migrations; this is the author of the commands. Without it the routes do not
    /// exist.
    #[must_use]
    pub fn allow_control(mut self, author: impl Into<String>) -> Self {
        let author = author.into();
        self.control = Some(Control { author });
        self
    }

    /// Hides what events contain.
    #[must_use]
    pub fn hide_payloads(mut self) -> Self {
        self.hides_payloads = true;
        self
    }

    /// Shows what this transformation makes of an event instead of the event. One that it drops or
    /// fails on is hidden.
    #[must_use]
    pub fn mask(mut self, mask: Arc<dyn EventTransformer>) -> Self {
        self.mask = Some(mask);
        self
    }

    /// Adds a saved plan, under a name.
    #[must_use]
    pub fn plan(mut self, name: impl Into<String>, plan: MigrationPlan) -> Self {
        self.plans.push((name.into(), Arc::new(plan)));
        self
    }

    /// Permits requests with this bearer token to read `/metrics` without a session.
    #[must_use]
    pub fn metrics_token(mut self, token: impl Into<String>) -> Self {
        self.metrics_token = Some(token.into());
        self
    }

    /// Lets this proxy sign people in, in place of codes.
    #[must_use]
    pub fn trusted_proxy(mut self, proxy: TrustedProxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Called whenever a browser has signed in: its code is used up.
    #[must_use]
    pub fn on_sign_in(mut self, callback: impl Fn() + Send + Sync + 'static) -> Self {
        self.signed_in = Some(Arc::new(callback));
        self
    }
}
