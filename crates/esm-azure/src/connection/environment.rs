//! The connection that environment variables describe.

use std::sync::Arc;

use azure_core::credentials::{Secret, TokenCredential};
use azure_identity::{
    ClientSecretCredential, DeveloperToolsCredential, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
};
use esm_core::{Error, Result};

use super::{
    Clear, Connection, Credentials, choose_cryptography, connection_string, has_signature,
    parse_endpoint,
};

/// Gives the value of a variable.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

const CONNECTION_STRING: &str = "AZURE_STORAGE_CONNECTION_STRING";
const ACCOUNT: [&str; 2] = ["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"];
const KEY: [&str; 2] = ["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_KEY"];
const SIGNATURE: [&str; 2] = ["AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN"];

/// # Errors
/// `Invalid`, naming the variable. Values are never repeated.
pub(super) fn connection(lookup: Lookup<'_>) -> Result<Connection> {
    let get = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
    let first = |names: &[&str]| names.iter().find_map(|name| get(name));
    if let Some(text) = get(CONNECTION_STRING) {
        return connection_string::parse(&text).map_err(|e| e.context(CONNECTION_STRING));
    }
    if get("AZURE_STORAGE_USE_EMULATOR").is_some_and(|value| is_true(&value)) {
        return connection_string::emulator(None);
    }
    let account = first(&ACCOUNT);
    let endpoint = match (get("AZURE_STORAGE_ENDPOINT"), &account) {
        (Some(endpoint), _) => endpoint,
        (None, Some(account)) => format!("https://{account}.blob.core.windows.net"),
        (None, None) => {
            return Err(
                Error::invalid("environment names no storage account").with_hint(
                    "set AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ENDPOINT or \
                     AZURE_STORAGE_CONNECTION_STRING",
                ),
            );
        }
    };
    let clear = if get("AZURE_ALLOW_HTTP").is_some_and(|value| is_true(&value)) {
        Clear::Accepted
    } else {
        Clear::OnThisMachine
    };
    let endpoint =
        parse_endpoint(&endpoint, clear).map_err(|e| e.context("AZURE_STORAGE_ENDPOINT"))?;
    if let Some(key) = first(&KEY) {
        let account = account.ok_or_else(|| {
            Error::invalid("environment has the key of a storage account but not its name")
                .with_hint("set AZURE_STORAGE_ACCOUNT_NAME too")
        })?;
        return Connection::keyed(endpoint, &account, &key);
    }
    if let Some(signature) = first(&SIGNATURE) {
        let signature = signature.trim().trim_start_matches('?').to_owned();
        if !has_signature(&signature) {
            return Err(
                Error::invalid("AZURE_STORAGE_SAS_KEY is no shared access signature")
                    .with_hint("it is the part behind the question mark, with sig=…"),
            );
        }
        let signature = Credentials::Signature(Secret::new(signature));
        return Ok(Connection::new(endpoint, signature));
    }
    choose_cryptography();
    let credential = entra(&get).map_err(|e| {
        Error::invalid("environment describes no Entra ID identity")
            .with_source(std::io::Error::other(e.to_string()))
            .with_hint(
                "set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or \
                 AZURE_TOKEN_CREDENTIALS=dev to use the login of the Azure command line, or a key",
            )
    })?;
    Connection::with_credential(endpoint.as_str(), credential)
}

/// Who this process is: a service principal, a workload of Kubernetes, a developer, or the machine.
fn entra(get: &dyn Fn(&str) -> Option<String>) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let client = get("AZURE_CLIENT_ID");
    let tenant = get("AZURE_TENANT_ID");
    Ok(match (&client, &tenant, get("AZURE_CLIENT_SECRET")) {
        (Some(client), Some(tenant), Some(secret)) => {
            ClientSecretCredential::new(tenant, client.clone(), Secret::new(secret), None)?
        }
        (Some(_), Some(_), None) if get("AZURE_FEDERATED_TOKEN_FILE").is_some() => {
            WorkloadIdentityCredential::new(None)?
        }
        _ if get("AZURE_TOKEN_CREDENTIALS").is_some_and(|kind| kind == "dev") => {
            DeveloperToolsCredential::new(None)?
        }
        _ => ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
            user_assigned_id: client.map(UserAssignedId::ClientId),
            ..ManagedIdentityCredentialOptions::default()
        }))?,
    })
}

fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes")
}

#[cfg(test)]
mod tests {
    use esm_core::ErrorKind;

    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Connection> {
        connection(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_way_to_say_who_is_understood() -> Result<()> {
        let account = ("AZURE_STORAGE_ACCOUNT_NAME", "acc");
        for (variables, by) in [
            (
                vec![account, ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")],
                "account key",
            ),
            (
                vec![account, ("AZURE_STORAGE_SAS_KEY", "?sv=1&sig=x")],
                "shared access signature",
            ),
            (
                vec![
                    account,
                    ("AZURE_CLIENT_ID", "c"),
                    ("AZURE_TENANT_ID", "t"),
                    ("AZURE_CLIENT_SECRET", "s"),
                ],
                "Entra ID",
            ),
            (
                vec![account, ("AZURE_TOKEN_CREDENTIALS", "dev")],
                "Entra ID",
            ),
            (vec![account], "Entra ID"),
            (
                vec![(
                    "AZURE_STORAGE_CONNECTION_STRING",
                    "UseDevelopmentStorage=true",
                )],
                "account key",
            ),
            (vec![("AZURE_STORAGE_USE_EMULATOR", "true")], "account key"),
        ] {
            let shown = format!("{:?}", of(&variables)?);
            assert!(shown.contains(by), "{variables:?}: {shown}");
        }
        Ok(())
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_and_no_value_repeated() {
        let account = ("AZURE_STORAGE_ACCOUNT_NAME", "acc");
        for (variables, named) in [
            (vec![], "names no storage account"),
            (
                vec![("AZURE_STORAGE_CONNECTION_STRING", "SECRET")],
                CONNECTION_STRING,
            ),
            (
                vec![account, ("AZURE_STORAGE_SAS_KEY", "SECRET")],
                "AZURE_STORAGE_SAS_KEY",
            ),
            (
                vec![
                    ("AZURE_STORAGE_ENDPOINT", "https://a.example"),
                    ("AZURE_STORAGE_KEY", "U0VDUkVU"),
                ],
                "not its name",
            ),
            (
                vec![
                    account,
                    ("AZURE_STORAGE_ENDPOINT", "http://a.example/acc"),
                    ("AZURE_STORAGE_KEY", "a2V5"),
                ],
                "no TLS",
            ),
        ] {
            let error = of(&variables).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Invalid, "{variables:?}");
            assert!(error.to_string().contains(named), "{error}");
            assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
            assert!(error.hint().is_some(), "{error:?}");
        }
    }
}
