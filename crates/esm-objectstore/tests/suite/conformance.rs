//! The conformance suites on memory and on a local directory.

use crate::places::{Directory, Memory, Timed};

mod memory {
    use super::{Memory, Timed};

    mod event_store {
        esm_testkit::event_store_conformance!(super::Timed::new(super::Memory::new()));
    }
    mod records {
        esm_testkit::records_conformance!(super::Timed::new(super::Memory::new()));
    }
    mod lock {
        esm_testkit::lock_conformance!(super::Timed::new(super::Memory::new()));
    }
    mod backup {
        esm_testkit::backup_conformance!(super::Timed::new(super::Memory::new()));
    }
    mod damage {
        esm_testkit::damage_conformance!(super::Timed::new(super::Memory::new()));
    }
}

mod directory {
    use super::{Directory, Timed};

    mod event_store {
        esm_testkit::event_store_conformance!(super::Timed::new(super::Directory::new()));
    }
    mod records {
        esm_testkit::records_conformance!(super::Timed::new(super::Directory::new()));
    }
    mod lock {
        esm_testkit::lock_conformance!(super::Timed::new(super::Directory::new()));
    }
    mod backup {
        esm_testkit::backup_conformance!(super::Timed::new(super::Directory::new()));
    }
    mod damage {
        esm_testkit::damage_conformance!(super::Timed::new(super::Directory::new()));
    }
}
