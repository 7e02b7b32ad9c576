//! Sorts more records than fit into memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _};

/// Bytes of records in memory before they are moved to a temporary file.
const MEMORY: usize = 4 << 20;
/// Sorted files of one level that are merged into one of the next level.
const FAN_IN: usize = 16;

type Records = Box<dyn Iterator<Item = io::Result<Vec<u8>>> + Send>;

/// Sorts records, which are byte strings. Uses a few MiB of memory however many there are; the rest
/// is kept in temporary files, which have no name and vanish with the process.
#[derive(Debug)]
pub(super) struct Sorter {
    memory: usize,
    bytes: Vec<u8>,
    /// Where each record in memory ends.
    ends: Vec<usize>,
    /// Sorted files; those of level n hold about `FAN_IN` to the power of n memories.
    levels: Vec<Vec<File>>,
}

impl Default for Sorter {
    fn default() -> Self {
        Self::with_memory(MEMORY)
    }
}

impl Sorter {
    fn with_memory(memory: usize) -> Self {
        Self {
            memory,
            bytes: Vec::new(),
            ends: Vec::new(),
            levels: Vec::new(),
        }
    }

    /// Adds a record, given in parts.
    pub(super) fn add(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.ends.push(self.bytes.len());
        if self.bytes.len() + self.ends.len() * size_of::<usize>() >= self.memory {
            self.spill()?;
        }
        Ok(())
    }

    /// Returns all records in the order of their bytes.
    pub(super) fn into_sorted(mut self) -> io::Result<Records> {
        let mut sources = vec![self.take_memory()];
        for file in self.levels.into_iter().flatten() {
            sources.push(read(file)?);
        }
        merge(sources)
    }

    fn take_memory(&mut self) -> Records {
        let bytes = std::mem::take(&mut self.bytes);
        let mut begin = 0;
        let ends = std::mem::take(&mut self.ends).into_iter();
        let mut ranges: Vec<_> = ends
            .map(|end| std::mem::replace(&mut begin, end)..end)
            .collect();
        ranges.sort_unstable_by(|a, b| bytes[a.clone()].cmp(&bytes[b.clone()]));
        Box::new(
            ranges
                .into_iter()
                .map(move |range| Ok(bytes[range].to_vec())),
        )
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut file = write(self.take_memory())?;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(file);
            if self.levels[level].len() < FAN_IN {
                break;
            }
            let full = std::mem::take(&mut self.levels[level]);
            let sources: io::Result<Vec<_>> = full.into_iter().map(read).collect();
            file = write(merge(sources?)?)?;
        }
        Ok(())
    }
}

/// Merges sorted sources.
fn merge(mut sources: Vec<Records>) -> io::Result<Records> {
    if sources.len() == 1 {
        return Ok(sources.remove(0));
    }
    let mut heads = BinaryHeap::new();
    for (index, source) in sources.iter_mut().enumerate() {
        if let Some(record) = source.next().transpose()? {
            heads.push(Reverse((record, index)));
        }
    }
    Ok(Box::new(std::iter::from_fn(move || {
        let Reverse((record, index)) = heads.pop()?;
        match sources[index].next().transpose() {
            Ok(Some(next)) => heads.push(Reverse((next, index))),
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(record))
    })))
}

fn write(records: Records) -> io::Result<File> {
    let mut file = BufWriter::new(tempfile::tempfile()?);
    for record in records {
        let record = record?;
        let length = u32::try_from(record.len()).map_err(io::Error::other)?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(&record)?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)
}

fn read(mut file: File) -> io::Result<Records> {
    file.rewind()?;
    let mut file = BufReader::with_capacity(32 << 10, file);
    let mut next = move || {
        let mut length = [0; 4];
        match file.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let mut record = vec![0; u32::from_le_bytes(length) as usize];
        file.read_exact(&mut record)?;
        Ok(Some(record))
    };
    Ok(Box::new(std::iter::from_fn(move || next().transpose())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order_through_files_of_several_levels() -> io::Result<()> {
        let mut sorter = Sorter::with_memory(64);
        let mut expected = Vec::new();
        for number in 0..2_000_u32 {
            let record = (number.wrapping_mul(2_654_435_761)).to_be_bytes();
            let (head, tail) = record.split_at(number as usize % 5);
            sorter.add(&[head, tail])?;
            expected.push(record.to_vec());
        }
        assert!(sorter.levels.len() > 2, "{}", sorter.levels.len());
        assert!(sorter.levels.iter().all(|level| level.len() < FAN_IN));
        expected.sort();
        let sorted: io::Result<Vec<_>> = sorter.into_sorted()?.collect();
        assert_eq!(sorted?, expected);
        Ok(())
    }

    #[test]
    fn equal_and_empty_records_stay() -> io::Result<()> {
        let mut sorter = Sorter::default();
        for record in [&b"b"[..], b"", b"ab", b"b"] {
            sorter.add(&[record])?;
        }
        let sorted: io::Result<Vec<_>> = sorter.into_sorted()?.collect();
        assert_eq!(sorted?, [&b""[..], b"ab", b"b", b"b"]);
        Ok(())
    }
}
