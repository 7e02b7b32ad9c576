//! The next action of one attempt: a pure function of what the streams show.
//!
//! The driver observes the streams, calls [`next`], does that one action, and observes again. So a
//! crash at any point needs no special case, and neither does a second migrator.

use crate::event::Revision;
use crate::id::StreamRef;
use crate::store::Close;

/// What the streams and the document show of one attempt. The target's tail was read before the
/// source's ([R1](crate::protocol#r1)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The target of this attempt.
    pub target: StreamRef,
    /// The Close of the source, if there is one.
    pub close: Option<Close>,
    /// Whether the source contains a Fence that names the target.
    pub fenced: bool,
    /// Number of events in the source.
    pub source_events: Revision,
    /// The observed state of the target.
    pub target_state: TargetState,
    /// Number of source events that were compared with the target so far.
    pub compared: Revision,
    /// What this run has verified: present once everything was compared and the checks passed.
    pub verified: Option<Verified>,
    /// Whether the document still names the source as active.
    pub document_names_source: bool,
    /// Most source events that the last round before a Close copies and compares. A larger lag is
    /// reduced first, while writers continue. So the time in which a writer can make the Close fail
    /// does not grow with the stream.
    pub final_round: u64,
}

/// The observed state of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// It has no cell.
    Absent,
    /// A copier wrote its last cell.
    Copied {
        /// Number of source events that it is complete for.
        cursor: Revision,
        /// Number of its own events.
        events: Revision,
        /// Whether its first cell has what this attempt would write there: source, migration,
        /// attempt and fingerprint.
        ours: bool,
    },
    /// Its last cell has no cursor: applications write to it, so another process has closed the
    /// source.
    Live,
}

/// A finding of the verification: these two prefixes agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Number of source events that were compared.
    pub source_events: Revision,
    /// Number of target events that were compared.
    pub target_events: Revision,
}

/// The next action of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Copy from this source event on.
    Copy {
        /// The first that the target is not complete for.
        from: Revision,
    },
    /// Compare both streams from their beginnings, or from what was compared, to this source event.
    Verify {
        /// Number of source events that are to be compared then.
        to: Revision,
    },
    /// Close the source at the tail that was observed: the pivot.
    Close {
        /// N.
        source_events: Revision,
        /// M.
        target_events: Revision,
    },
    /// The pivot is passed: make the document follow.
    FollowClose,
    /// The pivot is passed and the document follows: close the books.
    CloseBooks,
    /// The source was closed to another stream: help that migration, discard the own target
    /// ([R5](crate::protocol#r5)).
    Superseded,
    /// This attempt was fenced by its own migration: count it and begin the next.
    NextAttempt,
    /// The target was begun with another transformation or another origin: fence it, begin the
    /// next attempt ([R3](crate::protocol#r3)).
    FenceAttempt,
    /// The target was observed at a later state than the source: observe both again
    /// ([R1](crate::protocol#r1)).
    LookAgain,
}

/// Returns the next action of an attempt.
pub fn next(observed: &Observed) -> Action {
    if let Some(close) = &observed.close {
        return after_close(observed, close);
    }
    if observed.fenced {
        return Action::NextAttempt;
    }
    match observed.target_state {
        TargetState::Live => Action::LookAgain,
        TargetState::Absent => Action::Copy {
            from: Revision::START,
        },
        TargetState::Copied { ours: false, .. } => Action::FenceAttempt,
        TargetState::Copied { cursor, events, .. } => before_close(observed, cursor, events),
    }
}

fn after_close(observed: &Observed, close: &Close) -> Action {
    if !is_to(close, &observed.target) {
        Action::Superseded
    } else if observed.document_names_source {
        Action::FollowClose
    } else {
        Action::CloseBooks
    }
}

/// Whether a Close names this target. The id of a target is unique over migrations, sources and
/// attempts, and the id of its store may have been renewed since the Close was written: so stream
/// ids are compared alone.
fn is_to(close: &Close, target: &StreamRef) -> bool {
    let named = close.target.as_ref();
    named.is_some_and(|named| named.stream == target.stream)
}

fn before_close(observed: &Observed, cursor: Revision, events: Revision) -> Action {
    let Some(lag) = observed.source_events.0.checked_sub(cursor.0) else {
        // the target's tail was read first, so the source has at least that many events by now
        return Action::LookAgain;
    };
    let uncompared = cursor.0.saturating_sub(observed.compared.0);
    if lag > observed.final_round || (lag > 0 && uncompared <= observed.final_round) {
        return Action::Copy { from: cursor };
    }
    if lag > 0 {
        // most of it is compared beforehand, up to where the target is complete
        return Action::Verify { to: cursor };
    }
    let wanted = Verified {
        source_events: observed.source_events,
        target_events: events,
    };
    if observed.verified == Some(wanted) {
        Action::Close {
            source_events: cursor,
            target_events: events,
        }
    } else {
        Action::Verify { to: cursor }
    }
}

/// The next action of an undo ([R17](crate::protocol#r17)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoAction {
    /// The pivot is passed: the undo is refused, and the migration can only be completed.
    Refuse,
    /// The source was closed to another stream, which already keeps ours from ever being closed
    /// to: discard the own target.
    DiscardSuperseded,
    /// Append a Fence naming the target to the source, at the tail that was observed.
    Fence,
    /// The source is fenced: discard the target.
    Discard,
}

/// Returns the next action of the undo of an attempt.
pub fn undo(close: Option<&Close>, fenced: bool, target: &StreamRef) -> UndoAction {
    match close {
        Some(close) if is_to(close, target) => UndoAction::Refuse,
        Some(_) => UndoAction::DiscardSuperseded,
        None if fenced => UndoAction::Discard,
        None => UndoAction::Fence,
    }
}

/// How the undo of one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undone {
    /// The source is open and the target can never be closed to; it was discarded.
    RolledBack,
    /// Another migration had closed the source already; the own target was discarded.
    Superseded,
    /// The source is open, but the store cannot fence it: the target is kept permanently, because a
    /// paused holder may still close to it.
    Abandoned,
    /// The pivot is passed: nothing is undone, and the migration can only be completed.
    TooLate,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{MigrationId, StoreId, StreamId};

    fn stream(name: &str) -> StreamRef {
        let store = StoreId::from_uuid(uuid::Uuid::from_u128(1));
        StreamRef::new(store, StreamId::new(name).unwrap())
    }

    fn close_to(target: Option<StreamRef>) -> Close {
        Close {
            target,
            events: Revision(3),
            target_events: Revision(3),
            migration: MigrationId::from_uuid(uuid::Uuid::from_u128(7)),
            continues: true,
            target_last: None,
        }
    }

    #[test]
    fn a_close_to_the_own_target_is_known_after_the_store_got_another_id() {
        let renewed = StoreId::from_uuid(uuid::Uuid::from_u128(2));
        let target = StreamRef::new(renewed, stream("t").stream);
        let close = close_to(Some(stream("t")));
        assert_eq!(undo(Some(&close), false, &target), UndoAction::Refuse);
        for mut observed in all() {
            observed.target = target.clone();
            observed.close = Some(close.clone());
            assert_ne!(next(&observed), Action::Superseded, "{observed:?}");
        }
    }

    /// Every combination of what can be observed.
    fn all() -> Vec<Observed> {
        let closes = [
            None,
            Some(close_to(Some(stream("t")))),
            Some(close_to(Some(stream("other")))),
            Some(close_to(None)),
        ];
        let copied = |cursor, ours| TargetState::Copied {
            cursor: Revision(cursor),
            events: Revision(cursor),
            ours,
        };
        let targets = [
            TargetState::Absent,
            TargetState::Live,
            copied(1, true),
            copied(2, true),
            copied(3, true),
            copied(4, true),
            copied(3, false),
        ];
        let verified = |n| Verified {
            source_events: Revision(n),
            target_events: Revision(n),
        };
        let mut all = Vec::new();
        for close in &closes {
            for fenced in [false, true] {
                for target_state in targets {
                    for verified in [None, Some(verified(2)), Some(verified(3))] {
                        for document_names_source in [false, true] {
                            all.push(Observed {
                                target: stream("t"),
                                close: close.clone(),
                                fenced,
                                source_events: Revision(3),
                                target_state,
                                compared: verified.map_or(Revision::START, |v| v.source_events),
                                verified,
                                document_names_source,
                                final_round: 1,
                            });
                        }
                    }
                }
            }
        }
        all
    }

    #[test]
    fn the_source_is_closed_only_when_open_unfenced_covered_and_verified_to_its_end() {
        let mut closes = 0;
        for observed in all() {
            let Action::Close {
                source_events,
                target_events,
            } = next(&observed)
            else {
                continue;
            };
            closes += 1;
            assert_eq!(observed.close, None);
            assert!(!observed.fenced);
            assert_eq!(source_events, observed.source_events);
            let wanted = Verified {
                source_events,
                target_events,
            };
            assert_eq!(observed.verified, Some(wanted));
            let TargetState::Copied {
                cursor,
                events,
                ours: true,
            } = observed.target_state
            else {
                panic!("closed to {:?}", observed.target_state)
            };
            assert_eq!((cursor, events), (source_events, target_events));
        }
        assert_eq!(
            closes, 2,
            "one world permits the Close, whatever the document says"
        );
    }

    #[test]
    fn after_the_pivot_only_forward() {
        for observed in all().into_iter().filter(|o| o.close.is_some()) {
            let ours = observed.close.as_ref().unwrap().target == Some(stream("t"));
            let expected = match (ours, observed.document_names_source) {
                (true, true) => Action::FollowClose,
                (true, false) => Action::CloseBooks,
                (false, _) => Action::Superseded,
            };
            assert_eq!(next(&observed), expected, "{observed:?}");
        }
    }

    #[test]
    fn every_open_world_has_the_expected_action() {
        let mut table = String::new();
        for o in all()
            .iter()
            .filter(|o| o.close.is_none() && o.document_names_source)
        {
            table += &format!(
                "fenced={} target={} verified={:?} -> {:?}\n",
                o.fenced,
                match o.target_state {
                    TargetState::Copied { cursor, ours, .. } => format!("{cursor}/3 ours={ours}"),
                    other => format!("{other:?}"),
                },
                o.verified.map(|v| v.source_events.0),
                next(o)
            );
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn the_last_round_before_a_close_copies_and_compares_no_more_than_it_may() {
        let mut observed = Observed {
            target: stream("t"),
            close: None,
            fenced: false,
            source_events: Revision(10),
            target_state: TargetState::Absent,
            compared: Revision::START,
            verified: None,
            document_names_source: true,
            final_round: 3,
        };
        for (cursor, compared) in (0..=10).flat_map(|c| (0..=c).map(move |compared| (c, compared)))
        {
            let (cursor, uncompared) = (Revision(cursor), cursor - compared);
            observed.compared = Revision(compared);
            observed.target_state = TargetState::Copied {
                cursor,
                events: cursor,
                ours: true,
            };
            let expected = match 10 - cursor.0 {
                // still far behind: comparing can wait
                4.. => Action::Copy { from: cursor },
                // one round from the end: what is compared in it may not be more either
                1..=3 if uncompared > 3 => Action::Verify { to: cursor },
                1..=3 => Action::Copy { from: cursor },
                0 => Action::Verify { to: cursor },
            };
            observed.verified = None;
            assert_eq!(next(&observed), expected, "{observed:?}");
            // whatever was verified, nothing is closed that is not covered
            observed.verified = Some(Verified {
                source_events: Revision(10),
                target_events: cursor,
            });
            let closes = Action::Close {
                source_events: cursor,
                target_events: cursor,
            };
            let expected = if cursor.0 == 10 { closes } else { expected };
            assert_eq!(next(&observed), expected, "{observed:?}");
        }
    }

    #[test]
    fn r17_an_undo_fences_first_and_is_refused_after_the_pivot() {
        let t = stream("t");
        for fenced in [false, true] {
            assert_eq!(
                undo(Some(&close_to(Some(t.clone()))), fenced, &t),
                UndoAction::Refuse
            );
            for elsewhere in [Some(stream("other")), None] {
                let close = close_to(elsewhere);
                assert_eq!(
                    undo(Some(&close), fenced, &t),
                    UndoAction::DiscardSuperseded
                );
            }
        }
        assert_eq!(undo(None, false, &t), UndoAction::Fence);
        assert_eq!(undo(None, true, &t), UndoAction::Discard);
    }
}
