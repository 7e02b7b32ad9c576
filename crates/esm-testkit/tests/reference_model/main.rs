//! The fakes behave like tiny models of themselves, under any sequence of calls.
//!
//! A model is handed to the test as it is after the call, so each keeps what the call is to answer.

mod backups;
mod event_store;
mod lock;
mod records;

use esm_testkit::strategies;
use futures::FutureExt as _;
use proptest_state_machine::prop_state_machine;

use self::backups::Backups;
use self::event_store::Streams;
use self::lock::Lock;
use self::records::Versions;

fn at_once<T>(call: impl Future<Output = T>) -> T {
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
