//! Connection strings: `Name=value` pairs with `;` between them.

use azure_core::credentials::Secret;
use esm_core::{Error, Result};

use super::{Clear, Connection, Credentials, has_signature, parse_endpoint};

/// The emulator's account. Its key is published and protects nothing.
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const EMULATOR_PORT: u16 = 10_000;

/// The settings that matter for blobs.
#[derive(Default)]
struct Settings {
    emulator: Option<String>,
    emulator_at: Option<String>,
    protocol: Option<String>,
    account: Option<String>,
    key: Option<String>,
    suffix: Option<String>,
    endpoint: Option<String>,
    signature: Option<String>,
}

/// # Errors
/// `Invalid`, naming the setting. Values are never repeated.
pub(super) fn parse(text: &str) -> Result<Connection> {
    let settings = read(text)?;
    match settings.emulator.as_deref() {
        Some(yes) if yes.eq_ignore_ascii_case("true") => {
            return emulator(settings.emulator_at.as_deref());
        }
        None => {}
        Some(no) if no.eq_ignore_ascii_case("false") => {}
        Some(_) => {
            return Err(wrong("UseDevelopmentStorage is neither true nor false"));
        }
    }
    let endpoint = endpoint(&settings)?;
    // a connection string that says http means it
    let endpoint = parse_endpoint(&endpoint, Clear::Accepted)?;
    match (&settings.signature, &settings.account, &settings.key) {
        (Some(signature), ..) => {
            let signature = signature.trim_start_matches('?');
            if !has_signature(signature) {
                return Err(wrong("SharedAccessSignature has no signature (sig=…)"));
            }
            let signature = Credentials::Signature(Secret::new(signature.to_owned()));
            Ok(Connection::new(endpoint, signature))
        }
        (None, Some(account), Some(key)) => Connection::keyed(endpoint, account, key),
        (None, None, _) => Err(wrong("connection string has no AccountName")),
        (None, Some(_), None) => Err(wrong(
            "connection string has neither AccountKey nor SharedAccessSignature",
        )),
    }
}

/// The emulator on this machine, or below another address.
pub(super) fn emulator(at: Option<&str>) -> Result<Connection> {
    let endpoint = match at {
        None => format!("http://127.0.0.1:{EMULATOR_PORT}/{EMULATOR_ACCOUNT}"),
        Some(at) => {
            let at = at.trim_end_matches('/');
            let url = parse_endpoint(at, Clear::Accepted)?;
            match url.port() {
                Some(_) => format!("{at}/{EMULATOR_ACCOUNT}"),
                None => format!("{at}:{EMULATOR_PORT}/{EMULATOR_ACCOUNT}"),
            }
        }
    };
    let endpoint = parse_endpoint(&endpoint, Clear::Accepted)?;
    Connection::keyed(endpoint, EMULATOR_ACCOUNT, EMULATOR_KEY)
}

fn read(text: &str) -> Result<Settings> {
    let mut settings = Settings::default();
    for pair in text.split(';').map(str::trim) {
        if pair.is_empty() {
            continue;
        }
        let Some((name, value)) = pair.split_once('=') else {
            return Err(wrong("connection string has a part without an equals sign"));
        };
        let name = name.trim();
        let place = match name.to_ascii_lowercase().as_str() {
            "usedevelopmentstorage" => &mut settings.emulator,
            "developmentstorageproxyuri" => &mut settings.emulator_at,
            "defaultendpointsprotocol" => &mut settings.protocol,
            "accountname" => &mut settings.account,
            "accountkey" => &mut settings.key,
            "endpointsuffix" => &mut settings.suffix,
            "blobendpoint" => &mut settings.endpoint,
            "sharedaccesssignature" => &mut settings.signature,
            // of queues, tables and files
            _ => continue,
        };
        if place.replace(value.trim().to_owned()).is_some() {
            return Err(wrong(&format!("connection string has {name} twice")));
        }
    }
    Ok(settings)
}

fn endpoint(settings: &Settings) -> Result<String> {
    if let Some(endpoint) = &settings.endpoint {
        return Ok(endpoint.clone());
    }
    let Some(account) = &settings.account else {
        return Err(wrong(
            "connection string has neither AccountName nor BlobEndpoint",
        ));
    };
    let protocol = settings.protocol.as_deref().unwrap_or("https");
    let suffix = settings.suffix.as_deref().unwrap_or("core.windows.net");
    Ok(format!("{protocol}://{account}.blob.{suffix}"))
}

fn wrong(what: &str) -> Error {
    Error::invalid(what)
        .with_hint("copy the whole connection string from the account's access keys, in quotes")
}

#[cfg(test)]
mod tests {
    use esm_core::ErrorKind;

    use super::*;

    #[test]
    fn accounts_emulators_and_endpoints_are_understood() -> Result<()> {
        for (text, endpoint, by) in [
            (
                "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5;EndpointSuffix=core.windows.net",
                "https://acc.blob.core.windows.net",
                "account key",
            ),
            (
                "accountname=acc; accountkey=a2V5;",
                "https://acc.blob.core.windows.net",
                "account key",
            ),
            (
                "UseDevelopmentStorage=true",
                "http://127.0.0.1:10000/devstoreaccount1",
                "account key",
            ),
            (
                "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite",
                "http://azurite:10000/devstoreaccount1",
                "account key",
            ),
            (
                "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1234/devstoreaccount1;QueueEndpoint=x",
                "http://127.0.0.1:1234/devstoreaccount1",
                "account key",
            ),
            (
                "BlobEndpoint=https://acc.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=a%3D",
                "https://acc.blob.core.windows.net",
                "shared access signature",
            ),
        ] {
            let connection = parse(text)?;
            assert_eq!(connection.endpoint(), endpoint);
            assert!(format!("{connection:?}").contains(by), "{connection:?}");
        }
        Ok(())
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_and_no_value_repeated() {
        for (text, named) in [
            ("", "AccountName"),
            ("AccountName=acc", "AccountKey"),
            ("AccountKey=U0VDUkVU", "AccountName"),
            ("AccountName=acc;AccountKey=SECRET!", "base64"),
            ("AccountName=acc;AccountName=SECRET", "twice"),
            ("SECRET", "equals sign"),
            ("UseDevelopmentStorage=SECRET", "UseDevelopmentStorage"),
            (
                "BlobEndpoint=SECRET;AccountName=a;AccountKey=a2V5",
                "endpoint",
            ),
            ("AccountName=acc;SharedAccessSignature=SECRET", "sig="),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Invalid, "{text}");
            assert!(error.to_string().contains(named), "{error}");
            assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
            assert!(error.hint().is_some(), "{error:?}");
        }
    }
}
