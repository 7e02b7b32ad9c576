//! Shared access signatures, as somebody else would make them.

use azure_core::credentials::Secret;
use azure_core::hmac::hmac_sha256;
use esm_azure::Connection;
use esm_testkit::containers::Azurite;

/// What a signature allows, and until when.
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
    /// A connection that has this signature alone.
    pub(crate) fn connection(&self, azurite: &Azurite) -> Connection {
        let url = format!("{}?{}", azurite.endpoint(), self.query(azurite));
        Connection::from_sas_url(&url).unwrap()
    }

    fn query(&self, azurite: &Azurite) -> String {
        let Self {
            permissions,
            resources,
            expiry,
        } = self;
        let text = format!(
            "{}\n{permissions}\nb\n{resources}\n\n{expiry}\n\nhttps,http\n2020-12-06\n\n",
            azurite.account()
        );
        let signature = hmac_sha256(&text, &Secret::new(azurite.key())).unwrap();
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
