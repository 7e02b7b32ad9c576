//! Who may see and steer what.
//!
//! | file | idea |
//! |---|---|
//! | `host` | only requests to the console's own names are answered |
//! | `session` | one-time codes, and the cookies that they are exchanged for |
//! | `proxy` | sign-in by a proxy in front of the console |
//! | `operator` | who sends a request, and who may give commands |
//! | `headers` | the headers of every answer, for the browser |

mod headers;
mod host;
mod operator;
mod proxy;
mod session;

pub(crate) use headers::add_headers;
pub(crate) use host::{Hosts, check_host};
pub(crate) use operator::{Operator, require_control};
pub use proxy::TrustedProxy;
pub(crate) use session::{Sessions, require_session, sign_in};
