//! Finding the last of numbered objects without listing them.
//!
//! Objects are numbered from 0 without gaps, so their end lies between one that is there and one
//! that is not. Some are asked for at once; of these answers only the contiguous beginning counts,
//! because a later one may have been created after an earlier one was found absent. The number
//! that was found absent last was so *after* the search began, so the answer is never older than
//! what was written before.

use std::future::Future;

use esm_core::Result;
use futures::future::try_join_all;

/// Most that are asked for at once.
const WIDTH: u64 = 4;
/// Where there are fewer, there are most likely no more than one or two others.
const FEW: u64 = 8;

/// An object and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found<T> {
    pub(crate) number: u64,
    pub(crate) object: T,
}

/// Finds the last object, going up from `base`, which is asked for too.
///
/// `probe` returns the object of a number. Returns `None` if `base` is absent: then the caller's
/// knowledge was wrong, or there is no object at all if it is 0.
pub(crate) async fn last<T, F, Fut>(base: u64, probe: F) -> Result<Option<Found<T>>>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    last_among(&[base, base + 1], probe).await
}

/// As [`last`], and asks for these numbers at first: the base, and larger ones near which the last
/// object is likely to be.
pub(crate) async fn last_among<T, F, Fut>(numbers: &[u64], probe: F) -> Result<Option<Found<T>>>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let round = highest(numbers, &probe).await?;
    match round.last.filter(|_| round.has_first) {
        Some(found) => beyond_round(found, round.absent, &probe).await.map(Some),
        None => Ok(None),
    }
}

/// As [`last`], where most likely there is nothing: costs one request then, and time otherwise.
pub(crate) async fn last_if_any<T, F, Fut>(base: u64, probe: F) -> Result<Option<Found<T>>>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    match probe(base).await? {
        Some(object) => {
            let number = base;
            beyond(Found { number, object }, probe).await.map(Some)
        }
        None => Ok(None),
    }
}

/// Finds the last object, going up from one that is known already and asked for no more.
pub(crate) async fn beyond<T, F, Fut>(known: Found<T>, probe: F) -> Result<Found<T>>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let next = known.number + 1;
    beyond_among(known, &[next], probe).await
}

/// As [`beyond`], and asks for these larger numbers at first.
pub(crate) async fn beyond_among<T, F, Fut>(
    known: Found<T>,
    numbers: &[u64],
    probe: F,
) -> Result<Found<T>>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let round = highest(numbers, &probe).await?;
    let found = round.last.unwrap_or(known);
    beyond_round(found, round.absent, &probe).await
}

/// Goes up after a round: by dividing if a number was absent, else in steps that double.
async fn beyond_round<T, F, Fut>(
    found: Found<T>,
    absent: Option<u64>,
    probe: &F,
) -> Result<Found<T>>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    match absent {
        Some(absent) => divide(found, absent, probe).await,
        None => climb(found, probe).await,
    }
}

async fn climb<T, F, Fut>(mut found: Found<T>, probe: &F) -> Result<Found<T>>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    // the next ones at first, fewer where there are few
    let near = if found.number < FEW { WIDTH / 2 } else { WIDTH };
    let mut steps: Vec<u64> = (1..=near).collect();
    loop {
        let numbers: Vec<u64> = steps.iter().map(|step| found.number + step).collect();
        let round = highest(&numbers, probe).await?;
        found = round.last.unwrap_or(found);
        if let Some(absent) = round.absent {
            return divide(found, absent, probe).await;
        }
        let longest = steps.iter().max().copied().unwrap_or(1);
        steps = (1..=WIDTH).map(|n| longest << n).collect();
    }
}

async fn divide<T, F, Fut>(mut found: Found<T>, mut absent: u64, probe: &F) -> Result<Found<T>>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    while absent - found.number > 1 {
        let round = highest(&between(found.number, absent), probe).await?;
        found = round.last.unwrap_or(found);
        absent = round.absent.unwrap_or(absent);
    }
    Ok(found)
}

/// Numbers that divide what lies between two into about equal parts.
fn between(low: u64, high: u64) -> Vec<u64> {
    let inside = high - low - 1;
    let parts = inside.min(WIDTH);
    (1..=parts)
        .map(|n| low + (n * (inside + 1)) / (parts + 1))
        .collect()
}

struct Round<T> {
    /// The highest that is there. One below it may be absent: it was created since it was asked for,
    /// or it was lost, which is not to hide what follows it.
    last: Option<Found<T>>,
    /// The first absent one above it.
    absent: Option<u64>,
    /// Whether the first number is there.
    has_first: bool,
}

async fn highest<T, F, Fut>(numbers: &[u64], probe: &F) -> Result<Round<T>>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let answers = try_join_all(numbers.iter().map(|number| probe(*number))).await?;
    let mut round = Round {
        last: None,
        absent: None,
        has_first: answers.first().is_some_and(Option::is_some),
    };
    for (number, answer) in numbers.iter().copied().zip(answers) {
        match answer {
            Some(object) => {
                round.last = Some(Found { number, object });
                round.absent = None;
            }
            None => {
                round.absent.get_or_insert(number);
            }
        }
    }
    Ok(round)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    async fn search(count: u64, base: u64) -> (Option<u64>, u64) {
        let asked = Cell::new(0);
        let found = last(base, |n| {
            asked.set(asked.get() + 1);
            async move { Ok((n < count).then_some(())) }
        });
        let found = found.await.unwrap();
        (found.map(|found| found.number), asked.get())
    }

    #[tokio::test]
    async fn few_objects_cost_few_requests() {
        assert_eq!(search(0, 0).await, (None, 2));
        assert_eq!(search(1, 0).await, (Some(0), 2));
        assert_eq!(search(3, 0).await, (Some(2), 4));
        assert_eq!(search(70, 69).await, (Some(69), 2));
        assert!(search(2_000, 0).await.1 < 40);
    }

    #[tokio::test]
    async fn what_is_known_is_not_asked_for_again() {
        let asked = Cell::new(0);
        let probe = |n: u64| {
            asked.set(asked.get() + 1);
            async move { Ok((n < 70).then_some(n)) }
        };
        let found = |number| Found { number, object: 69 };
        assert_eq!(beyond(found(69), probe).await.unwrap(), found(69));
        assert_eq!(asked.take(), 1);
        assert_eq!(beyond(found(60), probe).await.unwrap(), found(69));
        assert_eq!(last_if_any(70, probe).await.unwrap(), None);
        asked.take();
        assert_eq!(
            last_if_any(0, |n| probe(n + 69)).await.unwrap(),
            Some(found(0))
        );
        assert_eq!(asked.take(), 2);
    }

    /// A number appears during the search: a response from before it counts no more.
    #[tokio::test]
    async fn a_gap_seen_in_passing_does_not_hide_what_stood_there_before() {
        let asked = Cell::new(0);
        let found = last(0, |n| {
            asked.set(asked.get() + 1);
            // 0..10 exist from the start; the first response for 3 comes from before
            let there = n < 10 && !(n == 3 && asked.get() <= 4);
            async move { Ok(there.then_some(())) }
        });
        // 3 was absent when it was asked for, so an answer of 2 is right: nothing above counts
        assert_eq!(found.await.unwrap().map(|found| found.number), Some(2));
    }

    #[tokio::test]
    async fn one_that_was_lost_does_not_hide_what_follows_it() {
        // of 19, some number among those that are asked for together with a higher one
        for lost in [13, 15, 16] {
            let found = last(
                0,
                |n| async move { Ok((n < 19 && n != lost).then_some(())) },
            );
            let found = found.await.unwrap().map(|found| found.number);
            assert_eq!(found, Some(18), "{lost}");
        }
        // without its base there is none, whatever follows
        let found = last_among(&[0, 1, 2], |n| async move {
            Ok((1..3).contains(&n).then_some(()))
        });
        assert_eq!(found.await.unwrap(), None);
    }

    proptest! {
        #[test]
        fn the_last_one_is_found_from_any_base(count in 1u64..5_000, base in 0u64..5_000) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (found, _) = runtime.block_on(search(count, base));
            prop_assert_eq!(found, (base < count).then(|| count - 1));
        }
    }
}
