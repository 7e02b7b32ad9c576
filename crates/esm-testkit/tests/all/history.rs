//! The history checker notices where the stored events contradict the outcomes that writers got.

use std::sync::Arc;

use esm_core::event::{Event, Revision};
use esm_core::id::ObjectId;
use esm_core::router::ExpectedRevision;
use esm_core::transform::Mapper;
use esm_core::{ErrorKind, Result};
use esm_testkit::faults::{At, Fault, FaultPlan};
use esm_testkit::memory::MemoryWorld;
use esm_testkit::observe::History;
use esm_testkit::record::RecordedClient;
use esm_testkit::{Rule, Rules, environment};

fn event(number: u64) -> Event {
    of_type(number, "T")
}

fn of_type(number: u64, event_type: &str) -> Event {
    esm_testkit::event(format!("e{number}"), event_type)
}

#[test]
fn a_history_knows_what_writers_were_told() -> Result<()> {
    let [a, b, c, d] = [event(0), event(1), event(2), event(3)];
    let history = History::new();
    history.begin(vec![a.clone(), b.clone()]).acknowledged();
    history.begin(vec![c.clone()]).ambiguous();
    history.begin(vec![d.clone()]).failed();
    let check = |found: &[&Event]| {
        let found: Vec<_> = found.iter().map(|event| (*event).clone()).collect();
        history.check(&found).err().unwrap_or_default()
    };
    assert_eq!(check(&[&a, &b]), "");
    assert_eq!(check(&[&a, &b, &c]), "");
    assert!(check(&[&a]).contains("lost"));
    assert!(check(&[&b, &a]).contains("lost or changed"));
    assert!(check(&[&a, &b, &a]).contains("twice"));
    assert!(check(&[&a, &b, &d]).contains("failed"));
    assert!(check(&[&c, &a, &b]).contains("out of order"));
    let stranger = event(9);
    assert!(check(&[&a, &b, &stranger]).contains("no writer appended"));
    Ok(())
}

#[test]
fn concurrent_appends_may_stand_in_either_order() -> Result<()> {
    let (a, b) = (event(0), event(1));
    let history = History::new();
    let (first, second) = (
        history.begin(vec![a.clone()]),
        history.begin(vec![b.clone()]),
    );
    second.acknowledged();
    first.acknowledged();
    assert!(history.check(&[a.clone(), b.clone()]).is_ok());
    assert!(history.check(&[b, a]).is_ok());
    Ok(())
}

#[test]
fn an_ambiguous_append_may_stand_after_what_was_begun_later() {
    let (late, next, last) = (event(0), event(1), event(2));
    let history = History::new();
    history.begin(vec![late.clone()]).ambiguous();
    history.begin(vec![next.clone()]).acknowledged();
    history.begin(vec![last.clone()]).acknowledged();
    for found in [
        [&late, &next, &last],
        [&next, &late, &last],
        [&next, &last, &late],
    ] {
        assert_eq!(history.check(&found.map(Event::clone)), Ok(()));
    }
    let turned = history.check(&[last, next, late]);
    assert!(turned.is_err_and(|wrong| wrong.contains("out of order")));
}

/// What is said of two events of which the second was acknowledged at this revision.
fn told(second: u64) -> std::result::Result<(), String> {
    let history = History::new();
    let found = [event(0), event(1)];
    history
        .begin(vec![found[0].clone()])
        .acknowledged_at(Revision(0));
    history
        .begin(vec![found[1].clone()])
        .acknowledged_at(Revision(second));
    history.check(&found)
}

#[test]
fn a_wrong_revision_is_noticed() {
    assert_eq!(told(1), Ok(()));
    for wrong in [0, 2] {
        assert!(told(wrong).is_err_and(|wrong| wrong.contains("e1 was acknowledged at revision")));
    }
}

/// Whether the last of three events may have got this revision: the first is split by a
/// migration, the second dropped.
fn may_be_told(revision: u64) -> bool {
    let rules = Rules::new([("Paid", Rule::Split(2)), ("Noise", Rule::Drop)]);
    let mapper = Mapper::new(Arc::new(rules));
    let object: ObjectId = "order/1".parse().expect("a valid id");
    let history = History::new();
    let events = [of_type(0, "Paid"), of_type(1, "Noise"), of_type(2, "Kept")];
    let mut found = Vec::new();
    for (event, at) in events.iter().zip([0, 1, revision]) {
        history
            .begin(vec![event.clone()])
            .acknowledged_at(Revision(at));
        let mapped = mapper.map(&object, Revision(at), event);
        found.extend(mapped.expect("no rule fails").outputs);
    }
    assert_eq!(
        found.len(),
        3,
        "two of the first, none of the second, the last"
    );
    history.check_transformed(&found, &object, &mapper).is_ok()
}

#[test]
fn a_revision_may_be_of_the_stream_before_a_migration_or_after_it() {
    let answers: Vec<_> = (0..5).map(may_be_told).collect();
    // 2 in the source and in the target; 1 and 3 in streams of which only one event was transformed
    assert_eq!(answers, [false, true, true, true, false]);
}

#[test]
fn what_was_begun_later_and_dropped_stood_before_nothing() {
    let mapper = Mapper::new(Arc::new(Rules::new([("Noise", Rule::Drop)])));
    let object: ObjectId = "order/1".parse().expect("a valid id");
    let history = History::new();
    history.begin(vec![event(0)]).acknowledged_at(Revision(1));
    history.begin(vec![of_type(1, "Noise")]).acknowledged();
    let wrong = history.check_transformed(&[event(0)], &object, &mapper);
    assert!(wrong.is_err_and(|wrong| wrong.contains("with 0 to 0 events before it")));
}

/// An object of one event, and a recorded client whose first answer and first reads are lost.
async fn lossy_client() -> Result<(MemoryWorld, RecordedClient)> {
    let world = MemoryWorld::new(environment(1));
    let object: ObjectId = "order/1".parse()?;
    world.create_object(&object, [vec![event(0)]]).await?;
    let lost = FaultPlan::new().with(At::Named("event_store.append", 0), Fault::FailAfter);
    let plan = (0..10).fold(lost, |plan, read| {
        plan.with(At::Named("event_store.read", read), Fault::FailBefore)
    });
    let client = RecordedClient::new(plan.actor("app").client(&world), object, History::new());
    client.history().begin(vec![event(0)]).acknowledged();
    Ok((world, client))
}

#[tokio::test(start_paused = true)]
async fn a_recorded_client_notes_what_it_is_told() -> Result<()> {
    let (world, client) = lossy_client().await?;
    let history = client.history();
    let (without, with) = ([event(0)], [event(0), event(1)]);

    let any = ExpectedRevision::Any;
    let unknown = client.append(any, vec![event(1)]).await.unwrap_err();
    assert_eq!(
        (history.check(&without), history.check(&with)),
        (Ok(()), Ok(()))
    );

    let token = unknown.into_token().expect("the outcome is unknown");
    let appended = client.settle(token).await?;
    assert_eq!(appended.first.revision, Revision(1));
    assert!(
        history
            .check(&without)
            .is_err_and(|wrong| wrong.contains("lost"))
    );
    assert_eq!(
        history.check(&world.read(&"order/1".parse()?).await?),
        Ok(())
    );

    let exists = client
        .append(ExpectedRevision::NoStream, vec![event(2)])
        .await;
    assert_eq!(exists.unwrap_err().kind(), &ErrorKind::AlreadyExists);
    assert_eq!(history.failures(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_recorded_client_notes_revisions() -> Result<()> {
    let world = MemoryWorld::new(environment(1));
    let client = FaultPlan::new().actor("app").client(&world);
    let client = RecordedClient::new(client, "order/1".parse()?, History::new());
    let create = ExpectedRevision::NoStream;
    client.append(create, vec![event(0)]).await?;
    let history = client.history();
    history.begin(vec![event(2)]).ambiguous();
    client.append(ExpectedRevision::Any, vec![event(1)]).await?;
    assert_eq!(history.check(&[event(0), event(1)]), Ok(()));
    assert_eq!(history.check(&[event(0), event(1), event(2)]), Ok(()));
    // so there was an event before it that its revision does not count
    let wrong = history.check(&[event(0), event(2), event(1)]);
    assert!(wrong.is_err_and(|wrong| wrong.contains("e1 was acknowledged at revision 1")));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_recorded_client_goes_on_over_a_cutover() -> Result<()> {
    let world = MemoryWorld::new(environment(1));
    let object: ObjectId = "order/1".parse()?;
    let (plan, history) = (FaultPlan::new(), History::new());
    let client = plan.actor("app").client(&world);
    let client = RecordedClient::new(client, object.clone(), history.clone());
    client
        .append(ExpectedRevision::NoStream, vec![of_type(0, "Paid")])
        .await?;
    client.append(ExpectedRevision::Any, vec![event(1)]).await?;

    let rules = Rules::new([("Paid", Rule::Split(2))]);
    let service = plan.actor("migrator").migration_service(&world);
    let migration = service.migrate(object.clone()).transform(rules.clone());
    migration.execute().await?;
    let appended = client.append(ExpectedRevision::Any, vec![event(2)]).await?;
    assert_eq!(appended.first.revision, Revision(3), "the first is two now");

    let found = world.read(&object).await?;
    assert_eq!(found.len(), 4);
    let mapper = Mapper::new(Arc::new(rules));
    assert_eq!(history.check_transformed(&found, &object, &mapper), Ok(()));
    let without = &found[..3];
    let lost = history.check_transformed(without, &object, &mapper);
    assert!(lost.is_err_and(|wrong| wrong.contains("lost")));
    Ok(())
}
