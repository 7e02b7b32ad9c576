//! The areas that are mutated, and which tests judge each first.

/// A part of the code.
pub(super) struct Area {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) about: &'static str,
    /// The package whose tests judge it.
    pub(super) package: &'static str,
    /// Its files, as patterns.
    pub(super) files: &'static [&'static str],
    /// The test binaries that are about it, as cargo's arguments name them.
    pub(super) tests: &'static [&'static str],
    /// Those of their tests that are quick or often the only ones to notice, as an expression of
    /// nextest.
    filter: Option<&'static str>,
}

impl Area {
    /// Arguments of cargo-mutants that build and run only the tests that are about it.
    pub(super) fn judges(&self) -> Vec<String> {
        let mut arguments: Vec<String> = (self.tests.iter())
            .map(|test| format!("--cargo-arg={test}"))
            .collect();
        if let Some(filter) = self.filter {
            arguments.push("--cargo-test-arg=-E".to_owned());
            arguments.push(format!("--cargo-test-arg={filter}"));
        }
        arguments
    }
}

/// All areas.
pub(super) const AREAS: &[Area] = &[
    Area {
        name: "decisions",
        about: "the pure functions: phases, what to do next, journal, commands, the gate to the cutover",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/protocol/phase.rs",
            "crates/esm-core/src/protocol/decisions.rs",
            "crates/esm-core/src/protocol/journal/state.rs",
            "crates/esm-core/src/protocol/control/state.rs",
            "crates/esm-core/src/protocol/gate.rs",
        ],
        tests: &["--lib"],
        filter: None,
    },
    Area {
        name: "chains",
        about: "following Closes, object documents",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/object/chain.rs",
            "crates/esm-core/src/store/document.rs",
        ],
        tests: &["--test=all"],
        filter: ROUTER,
    },
    Area {
        name: "phases",
        about: "publishing phases",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/router/phases/table.rs",
            "crates/esm-core/src/migration/step/phases.rs",
        ],
        tests: &["--test=all"],
        filter: Some("test(/^(routing|live)::/)"),
    },
    Area {
        name: "router",
        about: "what applications append and read through",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/router/*.rs",
            "crates/esm-core/src/router/append/*.rs",
            "crates/esm-core/src/router/read/*.rs",
            "crates/esm-core/src/router/phases/*.rs",
        ],
        tests: &["--test=all"],
        filter: ROUTER,
    },
    Area {
        name: "saga",
        about: "the driver of migrations: attempts, their steps, undo",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/cutover/*.rs",
            "crates/esm-core/src/cutover/source/*.rs",
            "crates/esm-core/src/cutover/verify/*.rs",
            "crates/esm-core/src/migration/journal/log.rs",
            "crates/esm-core/src/migration/lock/*.rs",
            "crates/esm-core/src/migration/limits/concurrent.rs",
            "crates/esm-core/src/migration/limits/in_flight.rs",
            "crates/esm-core/src/migration/control/progress_record.rs",
            "crates/esm-core/src/migration/run/*.rs",
            "crates/esm-core/src/migration/run/object/*.rs",
            "crates/esm-core/src/migration/step/*.rs",
        ],
        tests: &["--lib", "--test=all"],
        filter: SAGA,
    },
    Area {
        name: "planning",
        about: "the options of a migration, its plan, its report",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/protocol/plan/planned.rs",
            "crates/esm-core/src/migration/describe/*.rs",
            "crates/esm-core/src/migration/plan/*.rs",
            "crates/esm-core/src/migration/report/*.rs",
        ],
        tests: &["--test=all"],
        filter: Some("test(/^saga::/)"),
    },
    Area {
        name: "steering",
        about: "commands to a running migration, its limits, hooks and progress",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/protocol/control/command.rs",
            "crates/esm-core/src/protocol/control/settings.rs",
            "crates/esm-core/src/protocol/status.rs",
            "crates/esm-core/src/migration/control/*.rs",
            "crates/esm-core/src/migration/limits/hooks.rs",
            "crates/esm-core/src/migration/limits/throttle.rs",
            "crates/esm-core/src/migration/service.rs",
        ],
        tests: &["--lib", "--test=all"],
        filter: Some("kind(lib) or test(/^(live|saga)::/)"),
    },
    Area {
        name: "reverse",
        about: "the way back after the cutover",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/cutover/source/*.rs",
            "crates/esm-core/src/migration/describe/rollback.rs",
            "crates/esm-core/src/migration/plan/way_back.rs",
            "crates/esm-core/src/migration/step/pin.rs",
            "crates/esm-core/src/migration/step/standing.rs",
            "crates/esm-core/src/protocol/plan/reversal.rs",
        ],
        tests: &["--lib", "--test=all"],
        filter: Some("kind(lib) or test(/^reverse::/) or test(/^crash_sweep::writers::reversal$/)"),
    },
    Area {
        name: "foreign",
        about: "event stores of others, through an adapter",
        package: "esm-foreign",
        files: &["crates/esm-foreign/src/*.rs"],
        tests: &["--lib", "--test=foreign"],
        filter: Some("not test(/^sweeps::/)"),
    },
    Area {
        name: "suites",
        about: "the conformance suites, judged by deliberately broken stores",
        package: "esm-testkit",
        files: &["crates/esm-testkit/src/conformance/**/*.rs"],
        tests: &["--test=all"],
        filter: Some("test(/^(broken_stores|conformance)::/)"),
    },
];

const ROUTER: Option<&str> = Some(
    "test(/^router::/) and not test(/^router::(between|saga|stale_phases|live|interleaving)::/)",
);

/// Of the sweeps those of small scenarios.
const SAGA: Option<&str> = Some(
    "kind(lib) or test(/^(saga|live|journal)::/) \
     or test(/^crash_sweep::(operations|regressions)::/) \
     or test(/^crash_sweep::(writers|zombies)::(identity|undo|empty)$/) \
     or test(/^crash_sweep::thinned_crashes::(empty|dropping|undoing_itself)$/) \
     or test(/^crash_sweep::writers::(with_books|with_a_window|many_cells)$/)",
);
