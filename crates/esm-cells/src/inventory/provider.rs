//! The inventory: the objects of a store, listed once and put together by their folders.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::Result;
use esm_core::id::{BackupId, LockName, MigrationId, ObjectId, ObjectKey, ObjectName, StreamId};
use esm_core::store::{Inventory, Numbers, RecordKey, StoredContent, StoredItem};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use super::stored::{Folder, FolderKind, Part, StoredObject};
use crate::backend::Backend;
use crate::key::Key;
use crate::lock::name_of_acquisition;
use crate::records::key_of_version;
use crate::segment::{decode, is_cut};

/// Objects that are read at once, to learn names that were too long for a key.
const READ_AT_ONCE: usize = 8;

/// What a store holds.
#[derive(Debug)]
pub(crate) struct ObjectInventory {
    backend: Arc<Backend>,
}

impl ObjectInventory {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        Self { backend }
    }

    /// The item of a group; nothing for objects of the store that are no items.
    async fn item(&self, group: Group) -> Result<StoredItem> {
        let place = match group.folder() {
            Some(folder) => self.folder_key(folder),
            None => group.first.clone(),
        };
        let place = self.backend.place(&place);
        let content = match &group.kind {
            GroupKind::Unknown => StoredContent::Unknown,
            GroupKind::Folder(folder) => {
                let named = self.named(folder, &group).await?;
                named.unwrap_or(StoredContent::Unnamed)
            }
        };
        Ok(StoredItem::new(place, content))
    }

    fn folder_key(&self, folder: &Folder) -> Key {
        let root = self.backend.layout().root().clone();
        folder
            .segments
            .iter()
            .fold(root, |key, segment| key.join(segment))
    }

    /// What a folder holds; nothing where its name cannot be read.
    async fn named(&self, folder: &Folder, group: &Group) -> Result<Option<StoredContent>> {
        let is_short = !folder.segments.iter().any(|segment| is_cut(segment));
        let last = folder.segments.last().map_or("", String::as_str);
        Ok(match folder.kind {
            FolderKind::Stream => {
                let stream = if is_short {
                    decode(last).and_then(|name| StreamId::new(name).ok())
                } else {
                    self.inside(group, |bytes| {
                        esm_format::cell::decode_stream(bytes).ok()?
                    })
                    .await?
                };
                let cells = group.numbers;
                stream.map(|stream| StoredContent::Stream { stream, cells })
            }
            FolderKind::Record => {
                let key = if is_short {
                    record_key(&folder.segments)
                } else {
                    self.inside(group, key_of_version).await?
                };
                let versions = (!group.is_replaced).then_some(group.numbers);
                key.map(|key| StoredContent::Record { key, versions })
            }
            FolderKind::Lock => {
                let name = if is_short {
                    decode(last).and_then(|name| LockName::new(name).ok())
                } else {
                    self.inside(group, name_of_acquisition).await?
                };
                name.map(StoredContent::Lock)
            }
            FolderKind::Backup => {
                // ids of backups are shorter than a segment, unless most of an id is escaped
                let backup = decode(last).and_then(|name| BackupId::new(name).ok());
                let has_manifest = group.has_manifest;
                backup.map(|backup| StoredContent::Backup {
                    backup,
                    has_manifest,
                })
            }
        })
    }

    /// A name that an object of the group says itself.
    async fn inside<T>(
        &self,
        group: &Group,
        name: impl FnOnce(&bytes::Bytes) -> Option<T>,
    ) -> Result<Option<T>> {
        let key = group.numbered.as_ref().unwrap_or(&group.first);
        Ok(self.backend.get(key).await?.and_then(|bytes| name(&bytes)))
    }
}

#[async_trait]
impl Inventory for ObjectInventory {
    async fn check(&self) -> Result<()> {
        self.backend.check().await
    }

    fn items(&self) -> BoxStream<'_, Result<StoredItem>> {
        let layout = self.backend.layout();
        let keys = self.backend.list(layout.root());
        let pieces = keys.map_ok(|key| {
            let object = StoredObject::of(layout, &key);
            (key, object)
        });
        grouped(pieces.boxed())
            .map_ok(|group| self.item(group))
            .try_buffered(READ_AT_ONCE)
            .boxed()
    }
}

/// Objects that are one item.
#[derive(Debug)]
struct Group {
    kind: GroupKind,
    first: Key,
    /// One with a number.
    numbered: Option<Key>,
    numbers: Numbers,
    is_replaced: bool,
    has_manifest: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum GroupKind {
    Folder(Folder),
    Unknown,
}

impl Group {
    fn new(kind: GroupKind, first: Key) -> Self {
        Self {
            kind,
            first,
            numbered: None,
            numbers: Numbers::default(),
            is_replaced: false,
            has_manifest: false,
        }
    }

    fn folder(&self) -> Option<&Folder> {
        match &self.kind {
            GroupKind::Folder(folder) => Some(folder),
            GroupKind::Unknown => None,
        }
    }

    fn add(&mut self, key: Key, part: Part) {
        match part {
            Part::Numbered(number) => {
                self.numbers.add(number);
                self.numbered = Some(key);
            }
            Part::Replaced => self.is_replaced = true,
            Part::Manifest => self.has_manifest = true,
            Part::Other => {}
        }
    }
}

type Pieces<'a> = BoxStream<'a, Result<(Key, StoredObject)>>;

/// Puts the objects of a folder together: they are listed one after the other.
fn grouped(pieces: Pieces<'_>) -> BoxStream<'_, Result<Group>> {
    stream::try_unfold(
        (pieces, None::<Group>),
        |(mut pieces, mut open)| async move {
            while let Some((key, object)) = pieces.try_next().await? {
                match object {
                    StoredObject::Own => {}
                    StoredObject::Unknown => {
                        let group = Group::new(GroupKind::Unknown, key);
                        return Ok(Some((group, (pieces, open))));
                    }
                    StoredObject::Part { folder, part } => {
                        if let Some(group) = open.as_mut().filter(|g| g.folder() == Some(&folder)) {
                            group.add(key, part);
                            continue;
                        }
                        let mut begun = Group::new(GroupKind::Folder(folder), key.clone());
                        begun.add(key, part);
                        if let Some(group) = open.replace(begun) {
                            return Ok(Some((group, (pieces, open))));
                        }
                    }
                }
            }
            Ok(open.take().map(|group| (group, (pieces, None))))
        },
    )
    .boxed()
}

/// The record whose versions are in this folder.
fn record_key(segments: &[String]) -> Option<RecordKey> {
    let object = |name: &str, key: &str| {
        Some(ObjectId::new(
            ObjectName::new(decode(name)?).ok()?,
            ObjectKey::new(decode(key)?).ok()?,
        ))
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    Some(match segments[..] {
        ["documents", name, key] => RecordKey::Document(object(name, key)?),
        ["routing", name, key] => RecordKey::Routing(object(name, key)?),
        ["journals", migration] => RecordKey::Journal(migration_id(migration)?),
        ["control", migration] => RecordKey::Control(migration_id(migration)?),
        ["progress", migration] => RecordKey::Progress(migration_id(migration)?),
        ["index"] => RecordKey::Index,
        ["known-stores"] => RecordKey::KnownStores,
        _ => return None,
    })
}

fn migration_id(text: &str) -> Option<MigrationId> {
    text.parse().ok()
}
