//! Sequences of calls on a fake and on its model.

use esm_testkit::strategies;
use futures::FutureExt as _;
use proptest_state_machine::prop_state_machine;

use super::backups::Backups;
use super::event_store::Streams;
use super::lock::Lock;
use super::records::Versions;

pub(super) fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("a fake never waits")
}

prop_state_machine! {
    #![proptest_config(strategies::one_in(2))]

    #[test]
    fn the_event_store_is_its_model(sequential 1..60 => Streams);

    #[test]
    fn records_are_their_model(sequential 1..60 => Versions);

    #[test]
    fn locks_are_their_model(sequential 1..60 => Lock);

    #[test]
    fn backups_are_their_model(sequential 1..60 => Backups);
}
