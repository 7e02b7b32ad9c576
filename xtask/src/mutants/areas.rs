//! The areas that are mutated, and which tests judge each first.

/// A part of the code.
pub(super) struct Area {
    /// What it is called on the command line.
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
            "crates/esm-core/src/migration/phase.rs",
            "crates/esm-core/src/migration/decide.rs",
            "crates/esm-core/src/migration/journal/state.rs",
            "crates/esm-core/src/migration/control/state.rs",
            "crates/esm-core/src/migration/cutover.rs",
        ],
        tests: &["--lib"],
        filter: None,
    },
    Area {
        name: "chains",
        about: "following Closes, object documents",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/chain.rs",
            "crates/esm-core/src/document.rs",
        ],
        tests: &["--test=router"],
        filter: ROUTER,
    },
    Area {
        name: "phases",
        about: "publishing phases",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/routing.rs",
            "crates/esm-core/src/migration/phases.rs",
        ],
        tests: &["--test=routing", "--test=live"],
        filter: None,
    },
    Area {
        name: "router",
        about: "what applications append and read through",
        package: "esm-core",
        files: &["crates/esm-core/src/router/*.rs"],
        tests: &["--test=router"],
        filter: ROUTER,
    },
    Area {
        name: "saga",
        about: "the driver of migrations: attempts, their steps, undo",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/migration/attempt.rs",
            "crates/esm-core/src/migration/batch.rs",
            "crates/esm-core/src/migration/context.rs",
            "crates/esm-core/src/migration/drive.rs",
            "crates/esm-core/src/migration/held_lock.rs",
            "crates/esm-core/src/migration/in_flight.rs",
            "crates/esm-core/src/migration/journal/log.rs",
            "crates/esm-core/src/migration/lifecycle.rs",
            "crates/esm-core/src/migration/lock_scope.rs",
            "crates/esm-core/src/migration/object.rs",
            "crates/esm-core/src/migration/publish.rs",
            "crates/esm-core/src/migration/resume.rs",
            "crates/esm-core/src/migration/run/*.rs",
            "crates/esm-core/src/migration/scan.rs",
            "crates/esm-core/src/migration/segment.rs",
            "crates/esm-core/src/migration/step/*.rs",
            "crates/esm-core/src/migration/triage.rs",
            "crates/esm-core/src/migration/undo.rs",
        ],
        tests: &[
            "--lib",
            "--test=saga",
            "--test=live",
            "--test=retired",
            "--test=crash_sweep",
        ],
        filter: SAGA,
    },
    Area {
        name: "planning",
        about: "what a migration is told to do, its plan, its report",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/migration/accepted.rs",
            "crates/esm-core/src/migration/builder/*.rs",
            "crates/esm-core/src/migration/checks.rs",
            "crates/esm-core/src/migration/describe.rs",
            "crates/esm-core/src/migration/options.rs",
            "crates/esm-core/src/migration/plan.rs",
            "crates/esm-core/src/migration/planner/*.rs",
            "crates/esm-core/src/migration/report.rs",
        ],
        tests: &["--test=saga", "--test=retired", "--test=unfenced"],
        filter: None,
    },
    Area {
        name: "steering",
        about: "commands to a running migration, its limits, hooks and progress",
        package: "esm-core",
        files: &[
            "crates/esm-core/src/migration/control/command.rs",
            "crates/esm-core/src/migration/control/handle.rs",
            "crates/esm-core/src/migration/control/log.rs",
            "crates/esm-core/src/migration/control/settings.rs",
            "crates/esm-core/src/migration/hooks.rs",
            "crates/esm-core/src/migration/meter.rs",
            "crates/esm-core/src/migration/progress.rs",
            "crates/esm-core/src/migration/readiness.rs",
            "crates/esm-core/src/migration/service.rs",
            "crates/esm-core/src/migration/status.rs",
            "crates/esm-core/src/migration/steering.rs",
            "crates/esm-core/src/migration/throttle.rs",
            "crates/esm-core/src/migration/watch.rs",
        ],
        tests: &["--lib", "--test=live", "--test=saga"],
        filter: None,
    },
    Area {
        name: "reverse",
        about: "the way back after the cutover",
        package: "esm-core",
        files: &["crates/esm-core/src/migration/reverse/*.rs"],
        tests: &["--lib", "--test=reverse", "--test=crash_sweep"],
        filter: Some("not binary(crash_sweep) or test(/^writers::reversal$/)"),
    },
    Area {
        name: "suites",
        about: "the conformance suites, judged by deliberately broken stores",
        package: "esm-testkit",
        files: &["crates/esm-testkit/src/conformance/**/*.rs"],
        tests: &["--test=broken_stores", "--test=conformance"],
        filter: None,
    },
];

const ROUTER: Option<&str> = Some("not test(/^(between|saga|stale_phases|live|interleaving)::/)");

/// Of the sweeps those of small scenarios.
const SAGA: Option<&str> = Some(
    "not binary(crash_sweep) or test(/^(writers|zombies)::(identity|undo|empty)$/) \
     or test(/^thinned_crashes::(empty|dropping|undoing_itself)$/) \
     or test(/^writers::(with_books|with_a_window|many_cells)$/)",
);
