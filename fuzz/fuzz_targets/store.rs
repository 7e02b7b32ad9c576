#![no_main]

use std::sync::LazyLock;

#[path = "../targets.rs"]
#[expect(dead_code, reason = "each target uses one function")]
mod targets;

static TEMPLATE: LazyLock<targets::Template> =
    LazyLock::new(targets::Template::of_an_early_version);

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::store(&TEMPLATE, data));
