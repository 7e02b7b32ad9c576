//! What is measured.

mod appends;
mod migrations;

use std::fmt;

use anyhow::Result;

use super::lab::{Lab, Measured, Shares};
use crate::world::World;

/// A row: one thing that an application or an operator waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    CreateStore,
    OpenStore,
    /// By a client that knows nothing, to a stream of so many cells.
    ColdAppend(u64),
    /// By a client that knows nothing, to an object that was migrated to a stream of so many cells.
    ColdAppendToMigrated(u64),
    ColdLoad(u64),
    ColdRead(u64),
    /// By a client that appended before the object was migrated to a stream of so many cells.
    AppendMeetsClose(u64),
    /// The median, where several clients append to the same objects.
    ContendedAppend,
    /// The longest, during a migration.
    LiveAppend {
        shared: bool,
    },
    Alone,
    Many(Many),
    Long(Long),
    /// What was stopped before the cutover.
    Resume,
    RollBack,
    Restore,
    Status,
    /// Of a migration of so many objects.
    StatusOfMany(u64),
    /// The document and the end of each of so many objects.
    List(u64),
}

/// Many small objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Many {
    objects: u64,
    lanes: u64,
    backup: bool,
}

/// A stream of many cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Long {
    events: u64,
    /// Whether events change, so that the stream is first read for the schemas that this retires.
    transformed: bool,
    backup: bool,
}

const fn many(objects: u64, lanes: u64, backup: bool) -> Scenario {
    Scenario::Many(Many {
        objects,
        lanes,
        backup,
    })
}

const fn long(events: u64, transformed: bool, backup: bool) -> Scenario {
    Scenario::Long(Long {
        events,
        transformed,
        backup,
    })
}

/// Events of 41 full cells.
const CELLS_41: u64 = 41 * crate::world::APPEND;

/// All rows, in the order of the table.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::CreateStore,
    Scenario::OpenStore,
    Scenario::ColdAppend(2),
    Scenario::ColdAppend(41),
    Scenario::ColdAppend(1_000),
    Scenario::ColdAppendToMigrated(1),
    Scenario::ColdAppendToMigrated(41),
    Scenario::ColdLoad(2),
    Scenario::ColdLoad(41),
    Scenario::ColdLoad(1_000),
    Scenario::ColdRead(2),
    Scenario::ColdRead(41),
    Scenario::AppendMeetsClose(1),
    Scenario::AppendMeetsClose(41),
    Scenario::ContendedAppend,
    Scenario::LiveAppend { shared: false },
    Scenario::LiveAppend { shared: true },
    Scenario::Alone,
    many(256, 16, false),
    many(256, 16, true),
    many(1_024, 64, false),
    many(1_024, 64, true),
    long(CELLS_41, false, false),
    long(CELLS_41, true, false),
    long(200_000, false, false),
    long(200_000, false, true),
    Scenario::Resume,
    Scenario::RollBack,
    Scenario::Restore,
    Scenario::Status,
    Scenario::StatusOfMany(10_000),
    Scenario::List(10_000),
];

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateStore => f.write_str("creating a store"),
            Self::OpenStore => f.write_str("opening a store"),
            Self::ColdAppend(cells) => write!(f, "cold append: {cells} cells"),
            Self::ColdAppendToMigrated(cells) => {
                write!(f, "cold append: migrated, {cells} cells")
            }
            Self::ColdLoad(cells) => write!(f, "cold load: {cells} cells"),
            Self::ColdRead(cells) => write!(f, "cold read of all events: {cells} cells"),
            Self::AppendMeetsClose(cells) => {
                write!(f, "append that meets a Close: {cells} cells")
            }
            Self::ContendedAppend => f.write_str("append: median, 4 clients, 16 objects"),
            Self::LiveAppend { shared: false } => {
                f.write_str("append: longest in a migration, a client each")
            }
            Self::LiveAppend { shared: true } => {
                f.write_str("append: longest in a migration, all to all")
            }
            Self::Alone => f.write_str("migrating one small stream"),
            Self::Many(many) => {
                let Many { objects, lanes, .. } = many;
                let backup = if many.backup { ", with a backup" } else { "" };
                write!(f, "each of {objects} small streams, {lanes} lanes{backup}")
            }
            Self::Long(long) => {
                let transformed = if long.transformed {
                    ", transformed"
                } else {
                    ""
                };
                let backup = if long.backup { ", with a backup" } else { "" };
                let events = long.events;
                write!(f, "a stream of {events} events{transformed}{backup}")
            }
            Self::Resume => f.write_str("resuming a migration stopped before its cutover"),
            Self::RollBack => f.write_str("rolling back each of 256 small streams, 16 lanes"),
            Self::Restore => f.write_str("restoring each of 64 small streams"),
            Self::Status => f.write_str("status of a migration"),
            Self::StatusOfMany(objects) => {
                write!(f, "status of a migration of {objects} objects")
            }
            Self::List(objects) => write!(f, "listing each of {objects} objects, 16 lanes"),
        }
    }
}

impl Scenario {
    /// Whether it is quick enough for every run of the tests.
    #[cfg(test)]
    pub(super) fn is_quick(&self) -> bool {
        match self {
            Self::LiveAppend { .. } | Self::StatusOfMany(_) | Self::List(_) => false,
            Self::Many(many) => many.objects <= 256,
            Self::Long(long) => long.events <= CELLS_41,
            _ => true,
        }
    }

    /// The events of all objects that it migrates.
    pub(super) fn events(&self) -> Option<u64> {
        match self {
            Self::Long(long) => Some(long.events),
            _ => None,
        }
    }

    /// The lanes that share its objects.
    pub(super) fn lanes(&self) -> Option<u64> {
        match self {
            Self::Many(many) => Some(many.lanes),
            Self::RollBack | Self::List(_) => Some(migrations::LANES),
            Self::Restore => Some(1),
            _ => None,
        }
    }

    /// Measures it on a new storage.
    pub(super) async fn measure(self, lab: Lab) -> Result<Measured> {
        match self {
            Self::CreateStore => opened(&lab, true).await,
            Self::OpenStore => {
                lab.actor().await?;
                opened(&lab, false).await
            }
            Self::ColdAppend(cells) => appends::cold(&lab, cells).await,
            Self::ColdAppendToMigrated(cells) => appends::cold_to_migrated(&lab, cells).await,
            Self::ColdLoad(cells) => appends::cold_load(&lab, cells).await,
            Self::ColdRead(cells) => appends::cold_read(&lab, cells).await,
            Self::AppendMeetsClose(cells) => appends::meets_close(&lab, cells).await,
            Self::ContendedAppend => appends::contended(&lab).await,
            Self::LiveAppend { shared } => appends::live(&lab, shared).await,
            Self::Alone => migrations::alone(&lab).await,
            Self::Many(many) => migrations::many(&lab, many).await,
            Self::Long(long) => migrations::long(&lab, long).await,
            Self::Resume => migrations::resume(&lab).await,
            Self::RollBack => migrations::roll_back(&lab).await,
            Self::Restore => migrations::restore(&lab).await,
            Self::Status => migrations::status(&lab).await,
            Self::StatusOfMany(objects) => migrations::status_of_many(&lab, objects).await,
            Self::List(objects) => migrations::list(&lab, objects).await,
        }
    }
}

async fn opened(lab: &Lab, create: bool) -> Result<Measured> {
    let watch = lab.watch();
    let (store, environment) = lab.store(create).await?;
    let measured = watch.end(Shares::ONE);
    let _ = World::over(&store, environment);
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use anyhow::Result;
    use esm_core::store::Lane;

    use super::super::measure;
    use super::{CELLS_41, Scenario, long, many};

    /// A run of one object sends no more either before and after it, in no lane. One of several objects
    /// sends one of its own beside them: the next page of a listing, a lock, a record.
    #[test]
    fn no_lane_has_more_than_four_requests_in_flight() -> Result<()> {
        let rows = [
            (Scenario::Alone, 1, 0),
            (many(16, 1, false), 1, 1),
            (many(256, 16, false), 16, 1),
            // one that copies and one that compares meanwhile
            (long(CELLS_41, false, false), 2, 0),
            (long(CELLS_41, true, false), 2, 0),
            (Scenario::Resume, 2, 0),
        ];
        for (row, lanes, own) in rows {
            let found = measure(row, false)?.in_flight;
            let allowed = lanes * Lane::REQUESTS as u64 + own;
            assert!(found <= allowed, "{row}: {found} in flight, not {allowed}");
            assert!(
                found > lanes,
                "{row}: {found} in flight is one after the other"
            );
        }
        Ok(())
    }
}
