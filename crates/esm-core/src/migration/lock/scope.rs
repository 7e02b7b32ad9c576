//! Which lock stands for which scope.

use crate::error::Result;
use crate::id::{LockName, ObjectId, ObjectName};
use crate::protocol::planned::Scope;

/// The name of the lock that keeps a second migrator away from this scope. Several objects of one
/// name, and several names, are locked as a whole.
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

/// The locks of wider scopes, whose holder works on this one too.
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
