//! `cargo xtask applications`: programs of other libraries that write while `esm` migrates their
//! events in place. They know nothing of esm.

mod blocking;
mod crew;
mod disturbed;
mod history;
mod kind;
mod place;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use esm_core::clock::Environment;
use esm_testkit::containers::{self, PostgresVersion};
use hdrhistogram::Histogram;

use crate::dice::Dice;
use crate::process::Warden;
use blocking::{Sampler, Samples};
use crew::{Crew, Done, State};
use disturbed::Disturbed;
use history::Row;
pub(crate) use kind::Kind;
use place::Place;

/// What is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The applications
    #[arg(value_enum, required = true)]
    kinds: Vec<Kind>,
    /// Accounts that each begins with
    #[arg(long, default_value_t = 16)]
    accounts: u32,
    /// Commands on each of them before anything else
    #[arg(long, default_value_t = 60)]
    commands: u32,
    /// Commands that must be acknowledged in each phase, at least
    #[arg(long, default_value_t = 200)]
    phase: usize,
    /// The major version of PostgreSQL
    #[arg(long, default_value_t = 18, value_parser = clap::value_parser!(u32).range(15..=18))]
    postgres: u32,
    /// Rounds of each in addition, in which processes of `esm` are killed and frozen at random
    #[arg(long, default_value_t = 0)]
    disturbed: u64,
    /// What the first of these rounds' choices follow from; each takes the next one. Drawn if absent
    #[arg(long)]
    seed: Option<u64>,
}

/// What happens while an application runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A migration.
    Migrated,
    /// A migration whose processes are killed and frozen; the choices follow from the number.
    Disturbed(u64),
    /// Nothing.
    Control,
}

/// How often `esm finish` is tried: it waits for transactions that were on.
const TRIES: u32 = 100;

/// Events per second where processes are disturbed.
const SLOWLY: &str = "800";

/// Runs each application with a migration, and without one.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let version = match options.postgres {
        15 => PostgresVersion::V15,
        18 => PostgresVersion::V18,
        other => bail!("no server of this version is known: {other}"),
    };
    // says so itself where there is none
    let Some(server) = containers::postgres(version).await else {
        return Ok(());
    };
    let warden = Warden::start()?;
    let drawn = Environment::system().randomness.draw() as u32;
    let seed = options.seed.unwrap_or(u64::from(drawn));
    let seeds = seed..seed.wrapping_add(options.disturbed);
    for kind in &options.kinds {
        let disturbed = seeds.clone().map(Way::Disturbed);
        for way in [Way::Migrated, Way::Control].into_iter().chain(disturbed) {
            let place = Place {
                kind: *kind,
                address: server.database().await,
                password: server.password(),
                warden: warden.clone(),
            };
            let ended = one(options, &place, way).await;
            ended.with_context(|| format!("{} {way:?}", kind.name()))?;
        }
    }
    Ok(())
}

async fn one(options: &Options, place: &Place, way: Way) -> Result<()> {
    let migrates = way != Way::Control;
    let accounts = options.accounts.to_string();
    let prepare = ["prepare", &accounts, &options.commands.to_string()];
    let prepared = Crew::once(place, &prepare, "").await?;
    let consumer = place
        .kind
        .is_consumed()
        .then(|| Crew::start(place, &[&["consume"]]))
        .transpose()?;
    let crew = Crew::start(place, &[&["run", "v", &accounts], &["run", "w", &accounts]])?;
    crew.work(options.phase).await?;
    let (crew, migrated) = if migrates {
        migrate(options, place, crew, way).await?
    } else {
        let here = crew.done();
        let nothing = Migrated {
            begin: here,
            end: here,
            ..Migrated::default()
        };
        (crew, nothing)
    };
    crew.work(options.phase).await?;
    let said = crew.stop().await?;

    let phases = [
        ("before", &said.done[..migrated.begin]),
        ("meanwhile", &said.done[migrated.begin..migrated.end]),
        ("afterwards", &said.done[migrated.end..]),
    ];
    let latencies: Result<Vec<_>> = phases
        .into_iter()
        .filter(|(_, done)| !done.is_empty())
        .map(|(phase, done)| latency(phase, done))
        .collect();
    let latencies = latencies?.join("; ");

    let done: Vec<Done> = prepared.done.into_iter().chain(said.done).collect();
    let rows: Result<Vec<_>> = place.rows().await?.iter().map(Row::of).collect();
    let rows = rows?;
    let states = history::check(&rows, &done)?;
    let loaded = loaded(place, &states).await?;
    ensure!(loaded == states, "accounts are loaded with other states");
    let old = rows.iter().find(|row| migrates && !row.is_new());
    ensure!(old.is_none(), "in the old schema: {old:?}");
    if let Some(consumer) = consumer {
        consumer.consume(rows.len()).await?;
        history::check_consumed(&states, &consumer.stop().await?.seen)?;
    }
    let (commands, conflicts) = (done.len(), said.conflicts);
    println!(
        "{} on PostgreSQL {}, {migrated}: {commands} commands, none failed, {conflicts} in \
         conflict; {} events of {} accounts, each once; all loaded with the same state",
        place.kind.name(),
        options.postgres,
        rows.len(),
        states.len(),
    );
    println!("  {latencies}");
    if !migrated.story.is_empty() {
        println!("  {}", migrated.story.join(", "));
    }
    if migrates {
        let Samples { taken, blocked, .. } = migrated.samples;
        println!(
            "  writers waited for esm in {blocked} of {taken} samples, for no more than a statement"
        );
    }
    Ok(())
}

/// How long commands took.
fn latency(phase: &str, done: &[Done]) -> Result<String> {
    let mut histogram = Histogram::<u64>::new(3)?;
    for done in done {
        histogram.record(done.microseconds)?;
    }
    let milliseconds = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(format!(
        "{phase}: {} commands, p50 {:.1} ms, p99 {:.1} ms",
        histogram.len(),
        milliseconds(0.5),
        milliseconds(0.99)
    ))
}

/// What the migration did.
#[derive(Debug, Default)]
struct Migrated {
    rewritten: u64,
    /// How many commands were acknowledged when it began, and when it had ended.
    begin: usize,
    end: usize,
    samples: Samples,
    /// What happened to processes of `esm`.
    story: Vec<String>,
}

impl std::fmt::Display for Migrated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.rewritten {
            0 => write!(f, "without a migration"),
            rewritten => write!(
                f,
                "{rewritten} events rewritten beside {} commands",
                self.end - self.begin
            ),
        }
    }
}

/// Migrates: rewrites, lets the applications write the new schema, and finishes.
async fn migrate(
    options: &Options,
    place: &Place,
    mut crew: Crew,
    way: Way,
) -> Result<(Crew, Migrated)> {
    let begin = crew.done();
    let sampler = Sampler::start(place.connect().await?);
    let program = place.kind.transformation();
    let program = program.to_string_lossy();
    let migration = ["--all", "--transform", &program];
    place.esm(&[&["plan"], &migration[..]].concat()).await?;
    let story = if let Way::Disturbed(seed) = way {
        disturbed(place, &crew, &migration, seed).await?
    } else {
        place.esm(&[&["migrate"], &migration[..]].concat()).await?;
        Vec::new()
    };
    crew.work(options.phase).await?;
    crew.write_new().await?;
    for _ in 0..TRIES {
        let known = place.esm(&["finish"]).await?;
        if known["status"] == "finished" {
            let migrated = Migrated {
                rewritten: known["rewritten"].as_u64().unwrap_or_default(),
                begin,
                end: crew.done(),
                samples: sampler.stop().await?,
                story,
            };
            ensure!(migrated.rewritten > 0, "nothing was rewritten: {known}");
            return Ok((crew, migrated));
        }
    }
    bail!("the migration does not finish, on {}", place.address)
}

/// Migrates with processes that are killed and frozen, slowly enough that it happens in the middle.
async fn disturbed(
    place: &Place,
    crew: &Crew,
    migration: &[&str],
    seed: u64,
) -> Result<Vec<String>> {
    let slowly = [migration, &["--events-per-second", SLOWLY]].concat();
    let mut disturbed = Disturbed {
        place,
        crew,
        migration: &slowly,
        dice: Dice::new(seed),
        story: vec![format!("seed {seed}")],
    };
    disturbed.migrate().await?;
    Ok(disturbed.story)
}

/// The states that the application itself loads.
async fn loaded(
    place: &Place,
    states: &BTreeMap<String, State>,
) -> Result<BTreeMap<String, State>> {
    let accounts: String = states
        .keys()
        .map(|account| format!("{account}\n"))
        .collect();
    Ok(Crew::once(place, &["states"], &accounts).await?.states)
}
