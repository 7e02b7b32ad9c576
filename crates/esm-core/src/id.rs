//! Names and ids: validated once, then passed around as what they are.
//!
//! Any Unicode text without control characters is a valid name; providers encode names for their
//! storage so that two names never collide. Limits are in bytes of UTF-8.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};

fn check(what: &str, text: &str, limit: usize) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid(format!("{what} is empty")));
    }
    if text.len() > limit {
        return Err(Error::invalid(format!(
            "{what} is too long: {} bytes of at most {limit}",
            text.len()
        )));
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, c)) => Err(Error::invalid(format!(
            "{what} has a control character at byte {at}: {:?}",
            c.escape_unicode().to_string()
        ))),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $limit:literal $(, $extra:expr)?) => {
        $(#[$doc])*
        #[doc = concat!("\n\nNot empty, no control characters, at most ", $limit, " bytes.")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest that is accepted, in bytes of UTF-8.
            pub const MAX_BYTES: usize = $limit;

            /// Validates a text.
            ///
            /// # Errors
            /// `Invalid`, saying what is wrong with it.
            pub fn new(text: impl AsRef<str>) -> Result<Self> {
                let text = text.as_ref();
                check($what, text, $limit)?;
                $( ($extra as fn(&str) -> Result<()>)(text)?; )?
                Ok(Self(text.into()))
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;
            fn try_from(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.as_str().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// What kind of business entity an object is: `order` in `order/123`. Has no `/`.
    ObjectName, "object name", 512,
    |text| if text.contains('/') {
Err(Error::invalid(format!("object name has a '/': {text:?}")))
} else {
Ok(())
}
);
name!(
    /// Which entity of its kind an object is: `123` in `order/123`. May contain `/`.
    ObjectKey, "object key", 512
);
name!(
    /// The logical name that a user gives to a stream.
    StreamName, "stream name", 512
);
name!(
    /// The id under which a stream is stored. Never used twice: see [`StreamId::target`].
    StreamId, "stream id", 600
);
name!(
    /// Id of an event, unique in its stream.
    EventId, "event id", 1024
);
name!(
    /// Type of an event, `OrderPlaced`.
    EventType, "event type", 1024
);
name!(
    /// Name of a lock.
    LockName, "lock name", 1100
);
name!(
    /// Name of a backup or an archive.
    BackupId, "backup id", 200
);
name!(
    /// Identity of a transformation: the hash of a jq program's text, or the id and version that a
    /// transformer declares. Equal fingerprints promise equal outputs for equal inputs.
    Fingerprint, "fingerprint", 512
);
name!(
    /// Name of a process in locks and journals: `host:pid:nonce`, for people to read.
    HolderId, "holder", 512
);

impl HolderId {
    /// The holder that a process is, unless it is given another: `process PID:NONCE`.
    pub(crate) fn of_process(process: u32, nonce: Uuid) -> Self {
        let nonce = nonce.simple().to_string();
        Self(format!("process {process}:{}", &nonce[..8]).into())
    }
}

/// A business entity whose events are one stream at a time: `order/123`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId {
    name: ObjectName,
    key: ObjectKey,
}

impl ObjectId {
    /// An object of this kind with this key.
    pub fn new(name: ObjectName, key: ObjectKey) -> Self {
        Self { name, key }
    }

    /// The kind, `order`.
    pub fn name(&self) -> &ObjectName {
        &self.name
    }

    /// The key, `123`.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.key)
    }
}

impl FromStr for ObjectId {
    type Err = Error;

    /// Splits at the first `/`.
    fn from_str(text: &str) -> Result<Self> {
        let (name, key) = text.split_once('/').ok_or_else(|| {
            Error::invalid(format!("object id has no '/': {text:?}"))
                .with_hint("write it as name/key, for example order/123")
        })?;
        Ok(Self::new(ObjectName::new(name)?, ObjectKey::new(key)?))
    }
}

impl TryFrom<String> for ObjectId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ObjectId> for String {
    fn from(object: ObjectId) -> String {
        object.to_string()
    }
}

impl StreamId {
    /// The id of an object's first stream: the same in every process, so that concurrent creators
    /// agree.
    pub fn first(object: &ObjectId) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("esm stream id v1 first");
        hash.update(object.to_string().as_bytes());
        Self::suffixed(&format!("{}-{}", object.name, object.key), hash)
    }

    /// The object whose [first](Self::first) stream has this id: its name and its key are in the id, with
    /// a `-` between them, and the id's hash says which `-`.
    pub(crate) fn object_of_first(&self) -> Option<ObjectId> {
        let (text, _) = self.as_str().rsplit_once('.')?;
        text.match_indices('-')
            .filter_map(|(at, _)| {
                let name = ObjectName::new(&text[..at]).ok()?;
                Some(ObjectId::new(name, ObjectKey::new(&text[at + 1..]).ok()?))
            })
            .find(|object| Self::first(object) == *self)
    }

    /// The id of a migration's target: the logical name and a hash of what makes it unique, so that
    /// migrators that know nothing of each other share a target, and no id is used twice.
    ///
    /// `attempt` is the number of Fences of that migration in the source.
    pub fn target(
        name: &StreamName,
        migration: MigrationId,
        source: &StreamRef,
        attempt: u64,
    ) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("esm stream id v1 target");
        hash.update(migration.0.as_bytes());
        hash.update(source.store.0.as_bytes());
        hash.update(&attempt.to_be_bytes());
        hash.update(source.stream.as_str().as_bytes());
        Self::suffixed(name.as_str(), hash)
    }

    fn suffixed(name: &str, hash: blake3::Hasher) -> Self {
        let mut end = name.len().min(StreamName::MAX_BYTES);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let suffix = &hash.finalize().to_hex()[..16];
        Self(format!("{}.{suffix}", &name[..end]).into())
    }
}

impl Fingerprint {
    /// Returns whether both are of one program: equal, or both `jq:vN:HASH` with the same hash of the
    /// text, or both `upcasters:v1:jqN:HASH` with the same hash of all steps. `N` is the version of what
    /// jq programs mean. Versions that other transformers declare are those of the transformers
    /// themselves, which are then others.
    ///
    /// Events that went through a program are not to go through it again because a newer version of
    /// esm gives it another meaning.
    pub fn is_of_same_program(&self, other: &Self) -> bool {
        self == other
            || match (self.jq_parts(), other.jq_parts()) {
                (Some((kind, _, rest)), Some((other_kind, _, other_rest))) => {
                    (kind, rest) == (other_kind, other_rest)
                }
                _ => false,
            }
    }

    /// The kind of a transformation of jq programs, the version of what they mean, and the rest.
    pub(crate) fn jq_parts(&self) -> Option<(&'static str, u32, &str)> {
        ["jq:v", "upcasters:v1:jq"].into_iter().find_map(|kind| {
            let versioned = self.as_str().strip_prefix(kind)?;
            let (version, rest) = versioned.split_once(':')?;
            Some((kind, version.parse().ok()?, rest))
        })
    }

    /// The id of the [`MaskingKey`](crate::transform::MaskingKey) that a jq program, or a step of
    /// upcasters, makes pseudonyms with, if it makes any.
    pub fn masking_key(&self) -> Option<&str> {
        let (_, key) = self.as_str().split_once(":key:")?;
        key.split(':').next()
    }

    /// What to do where a transformation is not the one that was planned.
    pub fn hint_for(&self, given: &Self) -> String {
        match self.masking_key() {
            Some(key) if given.masking_key().is_some_and(|given| given != key) => {
                format!("the masking key is another one: give the key with the id {key}")
            }
            _ => "resume with the original transformation, or roll back and begin a new migration"
                .to_owned(),
        }
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id with these bits.
            pub fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The bits.
            pub fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Uuid::parse_str(text).map(Self).map_err(|e| {
                    Error::invalid(format!("not a {}: {text:?}", stringify!($name))).with_source(e)
                })
            }
        }
    };
}

random_id!(
    /// Identity of a store, random, written once into its marker.
    StoreId
);
random_id!(
    /// Identity of one atomic write, chosen by the writer, so that an unknown outcome can be
    /// settled by reading back.
    CommitId
);
random_id!(
    /// Identity of a migration. Ordered by the time it was planned (UUID version 7).
    MigrationId
);
random_id!(
    /// Identity of a command to a migration.
    CommandId
);

/// A stream in a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamRef {
    /// The store's random id, from its marker. It survives renaming the bucket.
    pub store: StoreId,
    /// The stream in that store.
    pub stream: StreamId,
}

impl StreamRef {
    /// This stream of this store.
    pub fn new(store: StoreId, stream: StreamId) -> Self {
        Self { store, stream }
    }
}

impl fmt::Display for StreamRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in store {}", self.stream, self.store)
    }
}

/// Number of an epoch of a migration's journal; each new holder claims the next.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// A number that grows with every acquisition of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_with_the_reason() {
        let message = |r: Result<ObjectName>| r.err().map(|e| e.to_string());
        assert_eq!(
            message(ObjectName::new("")).as_deref(),
            Some("object name is empty")
        );
        assert_eq!(
            message(ObjectName::new("a\nb")).as_deref(),
            Some("object name has a control character at byte 1: \"\\\\u{a}\"")
        );
        assert!(message(ObjectName::new("x".repeat(513))).is_some_and(|m| m.contains("513 bytes")));
        assert!(message(ObjectName::new("a/b")).is_some_and(|m| m.contains("'/'")));
        assert!(ObjectName::new("日本語 🛒 Ordre").is_ok());
    }

    #[test]
    fn a_program_is_the_same_in_another_version_of_its_meaning() -> Result<()> {
        let [one, two] = [Fingerprint::new("jq:v1:ab")?, Fingerprint::new("jq:v2:ab")?];
        assert!(one.is_of_same_program(&one) && one.is_of_same_program(&two));
        let [three, four] = ["upcasters:v1:jq1:ab:key:0", "upcasters:v1:jq2:ab:key:0"];
        let [three, four] = [Fingerprint::new(three)?, Fingerprint::new(four)?];
        assert!(three.is_of_same_program(&four) && !three.is_of_same_program(&one));
        assert!(!four.is_of_same_program(&Fingerprint::new("upcasters:v1:jq2:ab:key:1")?));
        for other in ["jq:v1:ac", "order:v1:ab", "jq:vx:ab", "jq:v1", "ab"] {
            let other = Fingerprint::new(other)?;
            assert!(!one.is_of_same_program(&other), "{other}");
            assert!(other.is_of_same_program(&other));
        }
        Ok(())
    }

    #[test]
    fn another_key_is_told_from_another_program() -> Result<()> {
        let print = |text| Fingerprint::new(text);
        let planned = print("jq:v2:ab:key:0123:only:cd")?;
        assert_eq!(planned.masking_key(), Some("0123"));
        assert_eq!(print("jq:v2:ab")?.masking_key(), None);
        let upcasters = print("upcasters:v1:jq2:ab:key:0123")?;
        assert_eq!(upcasters.masking_key(), Some("0123"));
        assert!(
            planned
                .hint_for(&print("jq:v2:ab:key:4567")?)
                .contains("0123")
        );
        assert!(planned.hint_for(&print("jq:v2:ac")?).contains("original"));
        Ok(())
    }

    #[test]
    fn an_object_id_splits_at_its_first_slash() -> Result<()> {
        let object: ObjectId = "order/2024/7".parse()?;
        assert_eq!(
            (object.name().as_str(), object.key().as_str()),
            ("order", "2024/7")
        );
        assert!(
            "order"
                .parse::<ObjectId>()
                .is_err_and(|e| e.hint().is_some())
        );
        Ok(())
    }

    #[test]
    fn the_object_of_a_first_stream_is_found_by_its_id() -> Result<()> {
        for text in ["order/1", "a-b/c", "a/b-c", "a-b/c-d.e", "é/x/y"] {
            let object: ObjectId = text.parse()?;
            assert_eq!(StreamId::first(&object).object_of_first(), Some(object));
        }
        let other = StreamId::new("a-b.0011223344556677")?;
        assert_eq!(other.object_of_first(), None);
        Ok(())
    }

    #[test]
    fn first_stream_ids_differ_where_the_joined_names_are_equal() -> Result<()> {
        let (a, b): (ObjectId, ObjectId) = ("a-b/c".parse()?, "a/b-c".parse()?);
        assert_ne!(StreamId::first(&a), StreamId::first(&b));
        assert!(StreamId::first(&a).as_str().starts_with("a-b-c."));
        Ok(())
    }

    #[test]
    fn every_attempt_has_its_own_target_and_long_names_are_cut_between_characters() -> Result<()> {
        let name = StreamName::new("é".repeat(256))?;
        let source = StreamRef::new(StoreId(Uuid::from_u128(1)), StreamId::new("s")?);
        let migration = MigrationId(Uuid::from_u128(2));
        let first = StreamId::target(&name, migration, &source, 0);
        assert_eq!(first, StreamId::target(&name, migration, &source, 0));
        assert_ne!(first, StreamId::target(&name, migration, &source, 1));
        let object = ObjectId::new(ObjectName::new("é".repeat(256))?, ObjectKey::new("key")?);
        assert!(StreamId::first(&object).as_str().len() <= StreamId::MAX_BYTES);
        Ok(())
    }
}
