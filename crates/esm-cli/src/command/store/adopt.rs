//! `esm store init --adopt`: writes the marker of a store that has lost it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::id::StoreId;
use esm_core::object::KnownStores;
use esm_core::recovery::{FoundIds, IdSearch};
use esm_core::{Error, ErrorKind, Result};
use esm_objectstore::Unmarked;
use serde::Serialize;

use crate::args::Global;
use crate::interrupt::Interrupt;
use crate::open_store::{OpenStore, options};
use crate::opened;
use crate::output::{Facts, count};
use crate::session::{Access, Session, address};

/// How a store that has lost its marker gets it back.
#[derive(Debug, clap::Args)]
pub(crate) struct Adoption {
    /// Bring back the lost marker esm.json of a store: find its id in its documents, journals,
    /// Closes and backups, and in the documents of the stores given by --other-store.
    #[arg(long)]
    adopt: bool,
    /// The id of the store, if several are found or none. The other ids that are found become
    /// aliases.
    #[arg(long, value_name = "ID", requires = "adopt")]
    id: Option<StoreId>,
    /// URL of a store that holds backups of this one, to search them too.
    #[arg(long = "backup", value_name = "URL", requires = "adopt")]
    backups: Option<String>,
}

/// What an adoption found and could not recover.
#[derive(Debug, Serialize)]
pub(super) struct Adopted {
    /// What names the id, and how often.
    named_by: Option<String>,
    times: u64,
    /// Ids of other stores, in which streams of this one continue or began.
    other_stores: BTreeSet<StoreId>,
    not_recovered: Vec<String>,
}

impl Adoption {
    /// Adopts the store if that is requested and its marker is lost.
    ///
    /// # Errors
    /// `NotFound` if there is no store, or nothing names its id; `Invalid` if several ids are found;
    /// those of the stores.
    pub(super) async fn run(
        &self,
        global: &Global,
        interrupt: &Interrupt,
    ) -> Result<Option<Adopted>> {
        if !self.adopt {
            return Ok(None);
        }
        let environment = Environment::system();
        let options = options(global, &environment);
        let unmarked = match opened::open_unmarked(address(global)?, options).await {
            Err(e) if *e.kind() == ErrorKind::AlreadyExists => return Ok(None),
            opened => opened?,
        };
        let search = self.search(global, &environment, &unmarked);
        let found = tokio::select! {
            found = search => found?,
            () = interrupt.token().cancelled() => {
                interrupt.check()?;
                return Ok(None);
            }
        };
        let id = self.choose(&found)?;
        let aliases = found.own.keys().copied().filter(|own| *own != id).collect();
        unmarked.restore(id, aliases).await?;
        Ok(Some(Adopted::new(id, found)))
    }

    /// Goes from what is certain and cheap to what is not: backups and cells are read only if
    /// nothing else names the id.
    async fn search(
        &self,
        global: &Global,
        environment: &Environment,
        unmarked: &Unmarked,
    ) -> Result<FoundIds> {
        let store = unmarked.store();
        let mut search = IdSearch::new(store.event_store());
        search.own_records(&store.records()).await?;
        for other in global.other_stores.iter().filter(|url| !url.is_empty()) {
            let other = OpenStore::open(global, other, Access::Read, environment).await;
            let other = other.map_err(|e| e.context("cannot open the other store"))?;
            search.records_of(other.id(), &other.records()).await?;
        }
        if let Some(backups) = &self.backups {
            let backups = OpenStore::open(global, backups, Access::Read, environment).await;
            let backups = backups.map_err(|e| e.context("cannot open the store of backups"))?;
            search.backups(&backups.backups()).await?;
        }
        if !search.has_found() {
            search.backups(&store.backups()).await?;
        }
        if !search.has_found() {
            search.references(unmarked.references()).await?;
        }
        Ok(search.finish())
    }

    fn choose(&self, found: &FoundIds) -> Result<StoreId> {
        if let Some(id) = self.id {
            return Ok(id);
        }
        let mut ids = found.own.iter();
        match (ids.next(), ids.next()) {
            (Some((id, _)), None) => Ok(*id),
            (None, _) => Err(
                Error::not_found("nothing names the id of the store").with_hint(
                    "search more with --other-store and --backup, or name the id with --id, as a \
                 list of known stores or a message of another store shows it",
                ),
            ),
            _ => {
                let mut all = String::new();
                for (id, evidence) in &found.own {
                    let (times, example) = (count(evidence.times), &evidence.example);
                    let _ = write!(all, "; {id}: {times} times, first in the {example}");
                }
                Err(
                    Error::invalid(format!("several ids of the store were found{all}")).with_hint(
                        "name the store's last id with --id; the others become its aliases",
                    ),
                )
            }
        }
    }
}

impl Adopted {
    fn new(id: StoreId, found: FoundIds) -> Self {
        let mut not_recovered = vec![
            "the time of the store's creation".to_owned(),
            "ids that the store had earlier and that nothing names".to_owned(),
        ];
        if found.unreadable > 0 {
            not_recovered.push(format!(
                "what {} damaged records or backups name: {}",
                count(found.unreadable),
                found.unreadable_examples.join("; ")
            ));
        }
        let evidence = found.own.get(&id);
        Self {
            named_by: evidence.map(|evidence| evidence.example.clone()),
            times: evidence.map_or(0, |evidence| evidence.times),
            other_stores: found.others,
            not_recovered,
        }
    }

    /// Adds the other stores that were found to the list of known stores.
    ///
    /// # Errors
    /// Those of the records.
    pub(super) async fn complete(&self, session: &Session) -> Result<()> {
        let known = KnownStores::new(Arc::clone(session.records()));
        for store in &self.other_stores {
            known.add(*store).await?;
        }
        Ok(())
    }

    pub(super) fn describe(&self, facts: &mut Facts) {
        facts.add_some("id found in", self.named_by.as_ref());
        for store in &self.other_stores {
            facts.add("other store", store);
        }
        for what in &self.not_recovered {
            facts.add("not recovered", what);
        }
    }
}
