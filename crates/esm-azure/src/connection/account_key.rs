//! Shared access signatures of an account, made from its key.

use azure_core::credentials::Secret;
use azure_core::hmac::hmac_sha256;
use esm_core::{Error, Result};
use jiff::Timestamp;

/// The version of the string that is signed.
const VERSION: &str = "2020-12-06";
/// Read, write, delete, list, add, create: what a store does to containers and blobs.
const PERMISSIONS: &str = "rwdlac";
/// Blobs, not files, queues or tables.
const SERVICES: &str = "b";
/// The service itself, containers, blobs.
const RESOURCES: &str = "sco";

/// An account's name and key. `Debug` does not show the key.
#[derive(Debug, Clone)]
pub(super) struct AccountKey {
    account: String,
    key: Secret,
}

impl AccountKey {
    /// # Errors
    /// `Invalid` for a name that is empty, or a key that is not base64.
    pub(super) fn new(account: &str, key: &str) -> Result<Self> {
        if account.is_empty() {
            return Err(Error::invalid("storage account has no name"));
        }
        let key = Self {
            account: account.to_owned(),
            key: Secret::new(key.to_owned()),
        };
        // the cause could quote the key
        if key.key.secret().is_empty() || hmac_sha256("", &key.key).is_err() {
            return Err(
                Error::invalid(format!("key of storage account {account} is not base64"))
                    .with_hint("copy the whole key, with the equals signs at its end"),
            );
        }
        Ok(key)
    }

    /// The query that signs requests until this time. `clear`: also those without TLS.
    ///
    /// # Errors
    /// `Invalid` for a key that cannot sign.
    pub(super) fn sign(&self, until: Timestamp, clear: bool) -> Result<Secret> {
        let expiry = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let protocols = if clear { "https,http" } else { "https" };
        // account, permissions, services, resources, start, expiry, addresses, protocols, version,
        // encryption scope: each ended by a line feed
        let fields = [
            self.account.as_str(),
            PERMISSIONS,
            SERVICES,
            RESOURCES,
            "",
            &expiry,
            "",
            protocols,
            VERSION,
            "",
        ];
        let text: String = fields.iter().flat_map(|field| [*field, "\n"]).collect();
        let signature = hmac_sha256(&text, &self.key)
            .map_err(|_| Error::invalid("key of the storage account cannot sign"))?;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("sv", VERSION)
            .append_pair("ss", SERVICES)
            .append_pair("srt", RESOURCES)
            .append_pair("sp", PERMISSIONS)
            .append_pair("se", &expiry)
            .append_pair("spr", protocols)
            .append_pair("sig", &signature)
            .finish();
        Ok(Secret::new(query))
    }
}

#[cfg(test)]
mod tests {
    use esm_core::ErrorKind;

    use super::*;

    #[test]
    fn the_signature_is_that_of_the_documented_string() -> Result<()> {
        let key = AccountKey::new("account", "a2V5")?;
        let until: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let query = key.sign(until, false)?;
        // computed with openssl over the string that the REST documentation describes
        assert_eq!(
            query.secret(),
            "sv=2020-12-06&ss=b&srt=sco&sp=rwdlac&se=2026-01-02T03%3A04%3A05Z&spr=https&sig=mFVclYRqqbl1KhFE41vh1jugpuLbopSQ60W%2FlClCb3s%3D"
        );
        Ok(())
    }

    #[test]
    fn a_wrong_key_is_refused_and_not_repeated() {
        for wrong in ["", "SECRET!"] {
            let error = AccountKey::new("account", wrong).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Invalid);
            assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
        }
        assert!(AccountKey::new("", "a2V5").is_err());
    }
}
