//! A file that is written piece by piece.

use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::FutureExt as _;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use super::disk::{Disk, blocking, done, failure};
use super::staging::Staged;

/// A file that is written piece by piece, and has its name when it is complete.
#[derive(Debug)]
pub(super) struct DirectoryUpload {
    disk: Arc<Disk>,
    file: PathBuf,
    staged: Arc<Mutex<Option<Staged>>>,
    /// Where the next part begins.
    offset: u64,
}

impl DirectoryUpload {
    pub(super) fn new(disk: Arc<Disk>, file: PathBuf, staged: Staged) -> Self {
        Self {
            disk,
            file,
            staged: Arc::new(Mutex::new(Some(staged))),
            offset: 0,
        }
    }
}

#[async_trait]
impl MultipartUpload for DirectoryUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let at = self.offset;
        self.offset += data.content_length() as u64;
        let staged = Arc::clone(&self.staged);
        let write = move || {
            let mut staged = lock(&staged);
            let staged = staged.as_mut().ok_or_else(ended)?;
            let written = staged.write(|file| {
                file.seek(SeekFrom::Start(at))?;
                data.iter().try_for_each(|piece| file.write_all(piece))
            });
            written.map_err(failure)
        };
        blocking(write).boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = lock(&self.staged).take().ok_or_else(ended)?;
        let (disk, file) = (Arc::clone(&self.disk), self.file.clone());
        blocking(move || disk.finish(staged, &file)).await?;
        Ok(done())
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = lock(&self.staged).take();
        blocking(move || {
            drop(staged);
            Ok(())
        })
        .await
    }
}

fn lock(staged: &Mutex<Option<Staged>>) -> MutexGuard<'_, Option<Staged>> {
    staged.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ended() -> Error {
    failure(io::Error::other("the upload has ended already"))
}
