//! Strategies of proptest: names, events, streams, workloads, transformations and faults.
//!
//! ```
//! use esm_testkit::strategies;
//! use proptest::prelude::*;
//!
//! proptest!(|(cells in strategies::cells(0..5, 1..4))| {
//!     prop_assert!(cells.iter().all(|events| !events.is_empty()));
//! });
//! ```

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use esm_core::event::{Event, Metadata, MetadataValue, SchemaVersion};
use esm_core::id::{EventId, EventType, ObjectId, ObjectKey, ObjectName, StreamId};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::faults::{At, Fault, FaultPlan};
use crate::sweep::Disturbance;
use crate::{Rule, Rules};

/// The types of generated events, which generated transformations handle.
pub const EVENT_TYPES: [&str; 4] = ["Placed", "Paid", "Shipped", "Größe/geändert 🛒"];

/// Text that is a valid name: not empty, no control characters, at most 160 bytes.
///
/// ```
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// proptest!(|(name in strategies::name())| {
///     prop_assert!(!name.is_empty() && name.len() <= 160);
/// });
/// ```
pub fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,8}(-[0-9]{1,3})?",
        1 => "[^\\p{Cc}]{1,40}",
        1 => prop::sample::select(vec![".", "..", "a/b", "A", "con", "%2F", "é", "e\u{301}", " "])
            .prop_map(str::to_owned),
    ]
}

/// Ids of streams.
///
/// ```
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// proptest!(|(stream in strategies::stream_id())| {
///     prop_assert_eq!(stream.to_string(), stream.as_str());
/// });
/// ```
pub fn stream_id() -> impl Strategy<Value = StreamId> {
    name().prop_map(|name| StreamId::new(name).expect("a valid name"))
}

/// Ids of objects.
///
/// ```
/// use esm_core::id::ObjectId;
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// proptest!(|(object in strategies::object_id())| {
///     prop_assert_eq!(object.to_string().parse::<ObjectId>().ok(), Some(object));
/// });
/// ```
pub fn object_id() -> impl Strategy<Value = ObjectId> {
    (name(), name()).prop_map(|(name, key)| {
        let name = ObjectName::new(name.replace('/', "-")).expect("a valid name");
        ObjectId::new(name, ObjectKey::new(key).expect("a valid key"))
    })
}

fn payload() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => "\\{\"[a-z]{1,5}\": ?[0-9]{1,5}\\}".prop_map(Bytes::from),
        1 => vec(any::<u8>(), 0..200).prop_map(Bytes::from),
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let value = prop_oneof![
        any::<bool>().prop_map(MetadataValue::Boolean),
        any::<i64>().prop_map(MetadataValue::Integer),
        ".{0,20}".prop_map(MetadataValue::Text),
    ];
    btree_map("x[a-zA-Z0-9_.-]{0,8}", value, 0..3)
        .prop_map(|map| map.try_into().expect("valid keys"))
}

/// An event with this id.
///
/// ```
/// use esm_core::id::EventId;
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// let id = EventId::new("7")?;
/// proptest!(|(event in strategies::event(id.clone()))| {
///     prop_assert_eq!(&event.id, &id);
///     prop_assert!(strategies::EVENT_TYPES.contains(&event.event_type.as_str()));
/// });
/// # Ok::<(), esm_core::Error>(())
/// ```
pub fn event(id: EventId) -> impl Strategy<Value = Event> {
    let content_type =
        prop::option::of(prop::sample::select(vec!["application/json", "text/plain"]));
    let time = prop::option::of("2024-0[1-9]-[0-2][1-9]T[0-1][0-9]:00:00(Z|\\+02:00|\\.120Z)");
    (
        prop::sample::select(EVENT_TYPES.to_vec()),
        1_u32..4,
        content_type,
        time,
        metadata(),
        payload(),
    )
        .prop_map(
            move |(event_type, version, content_type, time, metadata, payload)| Event {
                id: id.clone(),
                event_type: EventType::new(event_type).expect("a valid type"),
                schema_version: SchemaVersion(version),
                content_type: content_type.map(str::to_owned),
                time,
                metadata,
                payload,
            },
        )
}

/// The cells of a stream: their number is in the first range, the number of events of each in the
/// second. All ids are different.
///
/// ```
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// proptest!(|(cells in strategies::cells(1..5, 1..4))| {
///     prop_assert!(!cells.is_empty() && cells.iter().all(|events| !events.is_empty()));
/// });
/// ```
pub fn cells(cells: Range<usize>, events: Range<usize>) -> impl Strategy<Value = Vec<Vec<Event>>> {
    vec(events, cells).prop_flat_map(|counts| {
        let mut number = 0_u64;
        let mut cell = |count: usize| -> Vec<_> {
            (0..count)
                .map(|_| {
                    number += 1;
                    event(EventId::new(format!("e{number}")).expect("a valid id"))
                })
                .collect()
        };
        counts.into_iter().map(&mut cell).collect::<Vec<_>>()
    })
}

/// proptest's configuration for a property whose cases are expensive: one case for every `one_in`
/// of the default or of `PROPTEST_CASES`.
///
/// A fixed number in a test would ignore `PROPTEST_CASES`.
///
/// ```
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// assert_eq!(strategies::one_in(1).cases, ProptestConfig::default().cases);
/// assert_eq!(strategies::one_in(u32::MAX).cases, 1);
/// proptest!(strategies::one_in(8), |(cells in strategies::cells(0..5, 1..4))| {
///     prop_assert!(cells.len() < 5);
/// });
/// ```
///
/// # Panics
/// When `one_in` is zero.
pub fn one_in(many: u32) -> ProptestConfig {
    let all = ProptestConfig::default();
    ProptestConfig {
        cases: all.cases.div_ceil(many),
        ..all
    }
}

/// The history of an object: its events before the migration, and those that applications append
/// during and after it.
///
/// ```
/// use esm_testkit::strategies;
/// use esm_testkit::sweep::{Scenario, chaos};
/// use proptest::prelude::*;
///
/// let few = ProptestConfig::with_cases(4);
/// proptest!(few, |(workload in strategies::workload(0..3, 0..3))| {
///     let object: esm_core::id::ObjectId = "order/1".parse().unwrap();
///     let scenario = Scenario::new(object.clone(), workload.cells);
///     let scenario = scenario.appended_meanwhile(object, workload.appended);
///     prop_assert_eq!(chaos(&scenario, &[]), Ok(()));
/// });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The cells of the stream before the migration.
    pub cells: Vec<Vec<Event>>,
    /// The events that applications append, one by one and in this order.
    pub appended: Vec<Event>,
}

/// Workloads with this many cells before the migration, of one to three events each, and this many
/// events afterwards. All ids are different.
///
/// ```
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// proptest!(|(workload in strategies::workload(0..3, 1..4))| {
///     prop_assert!(workload.cells.len() < 3 && !workload.appended.is_empty());
/// });
/// ```
pub fn workload(cells: Range<usize>, appended: Range<usize>) -> impl Strategy<Value = Workload> {
    (cells, appended).prop_flat_map(|(before, after)| {
        let all = before + after;
        self::cells(all..all + 1, 1..4).prop_map(move |mut cells| {
            let after = cells.split_off(before);
            let appended = after.into_iter().filter_map(|cell| cell.into_iter().next());
            Workload {
                cells,
                appended: appended.collect(),
            }
        })
    })
}

/// Transformations of generated events. None of them fails.
///
/// ```
/// use std::sync::Arc;
///
/// use esm_core::event::Revision;
/// use esm_core::transform::Mapper;
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// proptest!(|(rules in strategies::rules(), cells in strategies::cells(1..3, 1..4))| {
///     let mapper = Mapper::new(Arc::new(rules));
///     for event in cells.iter().flatten() {
///         prop_assert!(mapper.map(&"order/1".parse().unwrap(), Revision(0), event).is_ok());
///     }
/// });
/// ```
pub fn rules() -> impl Strategy<Value = Rules> {
    let rule = prop_oneof![
        Just(Rule::Keep),
        Just(Rule::Drop),
        Just(Rule::Change),
        (2_u8..4).prop_map(Rule::Split),
    ];
    vec(rule, EVENT_TYPES.len()).prop_map(|rules| Rules::new(EVENT_TYPES.into_iter().zip(rules)))
}

/// A fault that a process survives.
///
/// ```
/// use esm_testkit::faults::Fault;
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// proptest!(|(fault in strategies::survivable_fault())| {
///     prop_assert!(!matches!(fault, Fault::CrashBefore | Fault::CrashAfter));
/// });
/// ```
pub fn survivable_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::FailBefore),
        Just(Fault::FailAfter),
        Just(Fault::Duplicate),
        (1_u64..120).prop_map(|seconds| Fault::Delay(Duration::from_secs(seconds))),
    ]
}

/// A fault that needs no other process: not a stall, which another process must end, and not an
/// interjection, which is a step of another process.
///
/// ```
/// use esm_testkit::faults::Fault;
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// proptest!(|(fault in strategies::fault())| {
///     prop_assert!(!matches!(fault, Fault::Stall(_) | Fault::Interject(_)));
/// });
/// ```
pub fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => survivable_fault(),
        1 => Just(Fault::CrashBefore),
        1 => Just(Fault::CrashAfter),
    ]
}

/// Some faults among the first operations, as a list of (operation, fault); see [`plan`].
///
/// ```
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// proptest!(|(faults in strategies::faults(0..20, 0..3))| {
///     prop_assert!(faults.iter().all(|(operation, _)| *operation < 20));
/// });
/// ```
pub fn faults(
    operations: Range<u64>,
    count: Range<usize>,
) -> impl Strategy<Value = Vec<(u64, Fault)>> {
    vec((operations, fault()), count)
}

/// A plan of these faults.
///
/// ```
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// proptest!(|(faults in strategies::faults(0..20, 0..3))| {
///     // what is printed of a failure is the list, and the plan is made of it
///     let process = strategies::plan(&faults).actor("app");
///     prop_assert!(!process.has_crashed());
/// });
/// ```
pub fn plan(faults: &[(u64, Fault)]) -> FaultPlan {
    let with =
        |plan: FaultPlan, (at, fault): &(u64, Fault)| plan.with(At::Operation(*at), fault.clone());
    faults.iter().fold(FaultPlan::new(), with)
}

/// Disturbances of two migrators among their first operations: faults, pauses and writers.
///
/// ```
/// use esm_testkit::strategies;
/// use proptest::prelude::*;
///
/// proptest!(|(disturbances in strategies::disturbances(0..70, 0..14))| {
///     prop_assert!(disturbances.iter().all(|disturbance| disturbance.operation < 70));
/// });
/// ```
pub fn disturbances(
    operations: Range<u64>,
    count: Range<usize>,
) -> impl Strategy<Value = Vec<Disturbance>> {
    let short = (1_u64..40).prop_map(|tenths| Fault::Delay(Duration::from_millis(100 * tenths)));
    let what = prop_oneof![
        4 => short.prop_map(Some),
        2 => Just(None),
        3 => fault().prop_map(Some),
    ];
    let disturbance = (any::<bool>(), operations, what);
    vec(
        disturbance.prop_map(|(second, operation, fault)| Disturbance {
            second,
            operation,
            fault,
        }),
        count,
    )
}
