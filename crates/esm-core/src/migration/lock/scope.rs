//! The name of the lock of a scope.

use crate::error::Result;
use crate::id::{LockName, ObjectId, ObjectName};
use crate::protocol::plan::Scope;

/// Returns the name of the lock that excludes a second migrator from this scope.
///
/// Several objects of one name share the lock of that name; objects of several names share the lock
/// of all objects.
pub(crate) fn lock_name(scope: &Scope) -> Result<LockName> {
    let common = |objects: &[ObjectId]| -> Option<ObjectName> {
        let first = objects.first()?.name();
        objects
            .iter()
            .all(|o| o.name() == first)
            .then(|| first.clone())
    };
    match scope {
        Scope::Objects(objects) => match (objects.as_slice(), common(objects)) {
            ([only], _) => LockName::new(format!("object {only}")),
            (_, Some(name)) => LockName::new(format!("objects {name}")),
            (_, None) => LockName::new("objects"),
        },
        Scope::Name(name) => LockName::new(format!("objects {name}")),
        Scope::All => LockName::new("objects"),
    }
}

/// Returns the names of the locks of wider scopes, which include this scope.
pub(crate) fn wider_locks(scope: &Scope) -> Result<Vec<LockName>> {
    let own = lock_name(scope)?;
    let mut wider = Vec::new();
    if let Scope::Objects(objects) = scope
        && let Some(object) = objects.first()
    {
        wider.push(LockName::new(format!("objects {}", object.name()))?);
    }
    wider.push(LockName::new("objects")?);
    wider.retain(|name| *name != own);
    Ok(wider)
}
