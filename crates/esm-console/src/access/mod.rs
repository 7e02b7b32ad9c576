//! Who may see and steer what.
//!
//! | file | idea |
//! |---|---|
//! | `host` | only requests to the console's own names are answered |
//! | `session` | one-time codes, and the cookies that they are exchanged for |
//! | `headers` | the headers of every answer, for the browser |

mod headers;
mod host;
mod session;

pub(crate) use headers::add_headers;
pub(crate) use host::{Hosts, check_host};
pub(crate) use session::{Sessions, require_session, sign_in};
