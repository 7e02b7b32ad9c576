//! An application in a process of its own.

mod application;
mod orders;
mod part;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::mpsc::error::TryRecvError;

pub(crate) use application::Application;
pub(crate) use orders::Report;
pub(crate) use part::Part;

use crate::dice::Dice;
use crate::workload::{self, Edition};
use crate::world::Storage;

/// How an application is started.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The store's address
    #[arg(long)]
    pub(crate) store: String,
    /// A new file for its history
    #[arg(long)]
    pub(crate) history: PathBuf,
    /// Its number: no two applications of a store have the same
    #[arg(long)]
    pub(crate) number: u32,
    /// How many applications share the objects
    #[arg(long)]
    pub(crate) fleet: u32,
    /// How many objects there are
    #[arg(long)]
    pub(crate) objects: u32,
    /// What its choices follow from
    #[arg(long)]
    pub(crate) seed: u64,
    /// How long it thinks between two appends, in microseconds
    #[arg(long)]
    pub(crate) pause: u64,
    /// The edition of its code
    #[arg(long, value_enum)]
    pub(crate) edition: Edition,
    #[command(flatten)]
    pub(crate) part: Part,
}

/// One append in so many goes to an object of another application's.
const FOREIGN: u64 = 10;
/// One append in so many has no expected position.
const ANYWHERE: u64 = 8;

/// Before one append in so many the object is loaded.
const LOADING: u64 = 50;

/// Appends until its input ends.
pub(crate) async fn run(options: Options) -> Result<()> {
    let mut orders = orders::listen();
    let mut edition = options.edition;
    let objects = workload::objects(options.objects)?;
    let mut application = Application::open(
        &Storage::named(&options.store),
        &options.history,
        options.number,
        options.part,
    )
    .await?;
    let own = |at: &u32| at % options.fleet == options.number % options.fleet;
    let own: Vec<u32> = (0..options.objects).filter(own).collect();
    let dice = Dice::new(options.seed);
    loop {
        match orders.try_recv() {
            Ok(told) if !options.part.stays_old => edition = told,
            Ok(_) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) => {}
        }
        let at = if own.is_empty() || dice.one_in(FOREIGN) {
            dice.below(objects.len() as u64) as u32
        } else {
            dice.pick(&own)
        };
        let object = &objects[at as usize];
        if dice.one_in(LOADING) {
            application.forget(object);
        }
        let count = if dice.one_in(8) { 3 } else { 1 };
        let anywhere = dice.one_in(ANYWHERE);
        application.append(object, edition, count, anywhere).await?;
        orders::report(&Report {
            acknowledged: application.acknowledged(),
            edition,
        })?;
        application
            .think(Duration::from_micros(options.pause))
            .await;
    }
}
