//! Shared access signatures of the emulator's account, as somebody else would make them.

use azure_core::credentials::Secret;
use azure_core::hmac::hmac_sha256;
use url::Url;

use crate::place::{ACCOUNT, KEY};

/// What a signature allows.
pub(crate) struct Signature<'a> {
    pub(crate) permissions: &'a str,
    pub(crate) resources: &'a str,
    pub(crate) expiry: &'a str,
}

impl Default for Signature<'_> {
    fn default() -> Self {
        Self {
            permissions: "rwdlac",
            resources: "sco",
            expiry: "2099-01-01T00:00:00Z",
        }
    }
}

impl Signature<'_> {
    /// The query.
    pub(crate) fn query(&self) -> String {
        let Self {
            permissions,
            resources,
            expiry,
        } = self;
        let text = format!(
            "{ACCOUNT}\n{permissions}\nb\n{resources}\n\n{expiry}\n\nhttps,http\n2020-12-06\n\n"
        );
        let signature = hmac_sha256(&text, &Secret::new(KEY)).unwrap();
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("sv", "2020-12-06")
            .append_pair("ss", "b")
            .append_pair("srt", resources)
            .append_pair("sp", permissions)
            .append_pair("se", expiry)
            .append_pair("spr", "https,http")
            .append_pair("sig", &signature)
            .finish()
    }
}

/// An address with a signature that allows everything.
pub(crate) fn signed(address: &str) -> Url {
    Url::parse(&format!("{address}?{}", Signature::default().query())).unwrap()
}
