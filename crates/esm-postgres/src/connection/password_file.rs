//! The password file of PostgreSQL's own clients: lines `host:port:database:user:password`.

use std::path::Path;

use esm_core::{Error, Result};

/// Whom a password is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// Returns the password of the first line that fits.
///
/// # Errors
/// `Invalid` where the file cannot be read, or others than its owner can read it.
pub(super) fn find(path: &Path, login: &Login<'_>) -> Result<Option<String>> {
    ensure_private(path)?;
    let text = std::fs::read_to_string(path).map_err(|e| {
        Error::invalid(format!("password file cannot be read: {}", path.display())).with_source(e)
    })?;
    Ok(text.lines().find_map(|line| password(line, login)))
}

#[cfg(unix)]
fn ensure_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let readable = std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0);
    if readable {
        let message = format!("password file can be read by others: {}", path.display());
        return Err(Error::invalid(message).with_hint("chmod 600 the file"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn ensure_private(_path: &Path) -> Result<()> {
    Ok(())
}

fn password(line: &str, login: &Login<'_>) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let fields = fields(line);
    let [host, port, database, user, password] = <[String; 5]>::try_from(fields).ok()?;
    let port_text = login.port.to_string();
    let pairs = [
        (host, login.host),
        (port, &port_text),
        (database, login.database),
        (user, login.user),
    ];
    let fits = |(pattern, value): &(String, &str)| pattern == "*" || pattern == value;
    pairs.iter().all(fits).then_some(password)
}

/// The fields of a line; a backslash takes the next character as it is. The fifth field is the rest.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == ':' && fields.len() < 5 {
            fields.push(String::new());
            continue;
        }
        let kept = if character == '\\' {
            characters.next()
        } else {
            Some(character)
        };
        if let (Some(field), Some(kept)) = (fields.last_mut(), kept) {
            field.push(kept);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Login<'_> = Login {
        host: "db",
        port: 5432,
        database: "shop",
        user: "eva",
    };

    #[test]
    fn the_first_line_that_fits_counts() {
        for (line, found) in [
            ("db:5432:shop:eva:secret", Some("secret")),
            ("*:*:*:eva:a:b", Some("a:b")),
            (r"*:*:*:*:a\:b\\c", Some(r"a:b\c")),
            ("#db:5432:shop:eva:secret", None),
            ("db:5433:shop:eva:secret", None),
            ("db:5432:shop:other:secret", None),
            ("db:5432:shop:eva", None),
            ("", None),
        ] {
            assert_eq!(password(line, &LOGIN).as_deref(), found, "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "other:*:*:*:x\ndb:*:*:*:secret\n").unwrap();
        let permit = |mode| {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            find(file.path(), &LOGIN)
        };
        assert_eq!(permit(0o600).unwrap().as_deref(), Some("secret"));
        assert!(permit(0o640).is_err());
    }
}
