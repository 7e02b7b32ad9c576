//! The conformance suites.

/// The suites, each case in a place of its own.
macro_rules! place {
    () => {
        match crate::place::Place::fresh().await {
            Some(place) => place,
            None => return Ok(()),
        }
    };
}

mod event_store {
    esm_testkit::event_store_conformance!(place!());
}
mod records {
    esm_testkit::records_conformance!(place!());
}
mod backup {
    esm_testkit::backup_conformance!(place!());
}

/// The service's time cannot be set: leases end in real time, so all cases of locks wait together.
mod lock {
    use esm_testkit::conformance::{lock, run_case};
    use futures::future::join_all;

    use crate::place::Place;

    #[test]
    fn all_cases_with_real_leases() {
        let failures: Vec<String> = run_case(async {
            let cases = lock::CASES.iter().map(|case| async move {
                let place = Place::fresh().await?;
                let failure = (case.run)(&place).await.err();
                failure.map(|failure| format!("{}: {failure}", case.name))
            });
            join_all(cases).await.into_iter().flatten().collect()
        });
        assert!(failures.is_empty(), "{failures:#?}");
    }
}
