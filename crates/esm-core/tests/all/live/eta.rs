//! Totals and the estimated time left, in runs of different shapes. Time is simulated.

use std::time::Duration;

use esm_core::migration::{ControlOptions, MigrationBuilder, Progress, SettingsChange};
use esm_testkit::faults::{At, Fault, FaultPlan};

use super::running::{Running, numbered, slowly};
use crate::world::{World, rules};

/// Events of an object.
fn events(count: usize) -> Vec<esm_core::event::Event> {
    (0..count).map(numbered).collect()
}

impl World {
    /// With orders of these numbers of events, in a storage whose appends take a while.
    async fn with_orders(sizes: impl IntoIterator<Item = usize>) -> Self {
        let mut world = Self::new();
        for (number, size) in sizes.into_iter().enumerate() {
            let object = format!("order/{}", number + 1);
            world.object_of(&object, events(size), 100).await;
        }
        let slow = Fault::Delay(Duration::from_millis(20));
        let plan = FaultPlan::new().with(At::Each("event_store.append"), slow);
        world.service = plan.actor("migrator").migration_service(&world.storage);
        world.plan = plan;
        world
    }

    /// Runs the migration of all orders to the end; returns each progress that it published.
    async fn progress_of(
        &self,
        describe: impl FnOnce(MigrationBuilder) -> MigrationBuilder,
    ) -> Run {
        self.run(describe(self.service.migrate_all().count_first()))
            .await
    }

    async fn run(&self, builder: MigrationBuilder) -> Run {
        let every = Duration::from_millis(100);
        let control = ControlOptions::default().poll(every).publish(every);
        let running = Running::of(builder.control(control));
        let (operator, migration) = (self.operator(), self.begun().await);
        let mut published = Vec::<Progress>::new();
        while !running.is_over() {
            let progress = operator.observe(migration).await.unwrap().progress;
            let newer = |p: &Progress| published.last().is_none_or(|last| p.at > last.at);
            published.extend(progress.filter(newer));
            self.let_time_pass(50).await;
        }
        let result = running.result().await;
        assert!(result.is_success(), "{result:?}");
        Run {
            published,
            elapsed: result.elapsed,
        }
    }
}

struct Run {
    published: Vec<Progress>,
    elapsed: Duration,
}

impl Run {
    /// From a fifth of the way on, the time left is right within 30 %. In the last second, one second
    /// is.
    fn assert_estimated(&self) {
        let total = self.elapsed.as_secs_f64();
        let mut estimated = 0;
        for progress in &self.published {
            let elapsed = progress.elapsed.as_secs_f64();
            if elapsed < total / 5.0 {
                continue;
            }
            let (eta, left) = (progress.eta.map(|eta| eta.as_secs_f64()), total - elapsed);
            let eta = eta.unwrap_or_else(|| panic!("no estimate after {elapsed} of {total} s"));
            let error = (eta - left).abs();
            assert!(
                error <= (0.3 * left).max(1.0),
                "after {elapsed:.1} of {total:.1} s, {left:.1} s are left, not {eta:.1} s: {progress:?}"
            );
            estimated += 1;
        }
        assert!(estimated > 20, "{estimated} of {}", self.published.len());
    }

    fn last(&self) -> &Progress {
        self.published.last().unwrap()
    }
}

fn at_most(events: u64) -> impl FnOnce(MigrationBuilder) -> MigrationBuilder {
    move |m| m.transform(rules()).limits(slowly(events))
}

#[tokio::test(start_paused = true)]
async fn the_time_left_of_a_long_stream_is_known_from_a_fifth_on() {
    let world = World::with_orders([20_000]).await;
    let run = world.progress_of(at_most(1_000)).await;
    run.assert_estimated();
    assert_eq!(run.last().events_total, Some(20_000));
    assert_eq!(run.last().events_analysed, 20_000);
}

#[tokio::test(start_paused = true)]
async fn the_time_left_of_many_small_streams_is_known_from_a_fifth_on() {
    let world = World::with_orders((0..800).map(|n| 1 + n % 30)).await;
    let run = world
        .progress_of(|m| m.transform(rules()).concurrency(4))
        .await;
    run.assert_estimated();
    assert_eq!(run.last().objects_total, Some(800));
}

#[tokio::test(start_paused = true)]
async fn the_time_left_of_small_streams_that_grow_along_the_list_is_known_from_a_fifth_on() {
    let world = World::with_orders((0..400).map(|n| 1 + n / 8)).await;
    let run = world.progress_of(at_most(400)).await;
    run.assert_estimated();
}

#[tokio::test(start_paused = true)]
async fn the_time_left_of_long_streams_among_small_ones_is_known_from_a_fifth_on() {
    let long = |n: usize| if n % 100 == 50 { 4_000 } else { 1 + n % 20 };
    let world = World::with_orders((0..300).map(long)).await;
    let run = world.progress_of(at_most(1_000)).await;
    run.assert_estimated();
}

#[tokio::test(start_paused = true)]
async fn totals_are_known_before_the_first_event_is_copied_and_the_part_done_only_grows() {
    let world = World::with_orders((0..40).map(|n| 1 + n * 10)).await;
    let run = world.progress_of(at_most(1_000)).await;
    let total = (0..40).map(|n| 1 + n * 10).sum();
    let mut percent = None;
    for progress in &run.published {
        if progress.events_copied > 0 {
            assert_eq!(progress.events_total, Some(total), "{progress:?}");
            assert!(!progress.events_total_at_least);
        }
        assert!(progress.percent >= percent, "{progress:?}");
        assert!(progress.percent < Some(100), "{progress:?}");
        percent = progress.percent;
    }
    assert!(percent > Some(50), "{percent:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_count_the_total_is_a_lower_bound_until_the_last_batch() {
    let world = World::with_orders([200; 30]).await;
    let objects = (1..=30).map(|n| format!("order/{n}").parse().unwrap());
    let builder = world.service.migrate_many(objects.collect::<Vec<_>>());
    let run = world.run(builder.batch(10).limits(slowly(500))).await;
    let mut bounds = Vec::new();
    for progress in &run.published {
        let Some(total) = progress.events_total else {
            continue;
        };
        assert_eq!(
            progress.events_total_at_least,
            total < 6_000,
            "{progress:?}"
        );
        bounds.push(total);
    }
    bounds.dedup();
    assert_eq!(bounds, [2_000, 4_000, 6_000]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_limit_changes_the_time_left() {
    let world = World::with_orders([60_000]).await;
    let every = Duration::from_millis(100);
    let control = ControlOptions::default().poll(every).publish(every);
    let builder = world.service.migrate_all().count_first().control(control);
    let running = Running::of(builder.transform(rules()).limits(slowly(10_000)));
    let eta = |seconds: u64| {
        move |p: &Progress| p.eta.is_some_and(|eta| eta >= Duration::from_secs(seconds))
    };
    let quick = world.observe(|w| w.progress.as_ref().is_some_and(eta(1)));
    assert!(quick.await.progress.unwrap().eta < Some(Duration::from_secs(40)));
    let slower = SettingsChange {
        events_per_second: slowly(100).events_per_second,
        ..SettingsChange::default()
    };
    world.control().await.set(slower).await.unwrap();
    world
        .observe(|w| w.progress.as_ref().is_some_and(eta(300)))
        .await;
    running.kill().await;
}
