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
    /// The test binaries that are about it.
    tests: &'static [&'static str],
    /// Tests in them that are slow and seldom the only ones to notice, as a filter of nextest.
    slow: Option<&'static str>,
}

impl Area {
    /// Arguments of cargo-mutants that build and run only the tests that are about it.
    pub(super) fn judges(&self) -> Vec<String> {
        let mut arguments: Vec<String> = (self.tests.iter())
            .map(|test| format!("--cargo-arg={test}"))
            .collect();
        if let Some(slow) = self.slow {
            arguments.push("--cargo-test-arg=-E".to_owned());
            arguments.push(format!("--cargo-test-arg=not test({slow})"));
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
        slow: None,
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
        slow: ROUTER_SLOW,
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
        slow: None,
    },
    Area {
        name: "router",
        about: "what applications append and read through",
        package: "esm-core",
        files: &["crates/esm-core/src/router/*.rs"],
        tests: &["--test=router"],
        slow: ROUTER_SLOW,
    },
    Area {
        name: "saga",
        about: "the driver of migrations and its steps",
        package: "esm-core",
        files: &["crates/esm-core/src/migration/**/*.rs"],
        tests: &[
            "--lib",
            "--test=migration",
            "--test=live",
            "--test=unfenced",
        ],
        slow: None,
    },
    Area {
        name: "suites",
        about: "the conformance suites, judged by deliberately broken stores",
        package: "esm-testkit",
        files: &["crates/esm-testkit/src/conformance/**/*.rs"],
        tests: &["--test=broken_stores", "--test=conformance"],
        slow: None,
    },
];

const ROUTER_SLOW: Option<&str> = Some("/^(between|saga|stale_phases|live|interleaving)::/");
