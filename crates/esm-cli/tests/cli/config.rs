//! Configuration files: named stores, defaults, and what a directory of somebody else cannot do.

use std::path::PathBuf;

use serde_json::Value;

use crate::esm::{Esm, Ran};
use crate::orders;

/// A user with a configuration, who works in a directory that may have one too.
struct User {
    esm: Esm,
}

impl User {
    fn new() -> Self {
        let esm = Esm::new();
        for directory in ["config/esm", "work"] {
            std::fs::create_dir_all(esm.path(directory)).expect("a directory");
        }
        Self { esm }
    }

    fn own(self, text: &str) -> Self {
        self.esm.file("config/esm/config.toml", text);
        self
    }

    fn directory(self, text: &str) -> Self {
        self.esm.file("work/esm.toml", text);
        self
    }

    fn with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = self.esm.command(arguments);
        command
            .current_dir(self.esm.path("work"))
            .env("XDG_CONFIG_HOME", self.esm.path("config"))
            .env_remove("ESM_STORE");
        for (name, value) in variables {
            command.env(name, value);
        }
        Ran::new(command.output().expect("esm runs"))
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.with(&[], arguments)
    }

    fn shown(
        &self,
        variables: &[(&str, &str)],
        arguments: &[&str],
        option: &str,
    ) -> (String, String) {
        let all = [&["config", "show", "-o", "json"], arguments].concat();
        let shown = self.with(variables, &all).succeeded().json();
        let options = shown["options"].as_array().expect("options").clone();
        let found = options.iter().find(|value| value["name"] == option);
        let found: &Value = found.expect("the option");
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        (text("value"), text("from"))
    }
}

#[test]
fn a_name_stands_for_the_address_of_its_store() {
    let user = User::new();
    let (shop, copy) = (user.esm.url("shop"), user.esm.url("copy"));
    let user = user.own(&format!("store = \"shop\"\n[stores]\nshop = \"{shop}\"\n"));
    let user = user.directory(&format!("[stores]\ncopy = \"{copy}\"\n"));
    let events = user.esm.file("events", orders::sorted(2, 2));
    // the store that the user's own file chooses
    user.run(&["import", &events]).succeeded();
    assert!(user.esm.path("shop/esm.json").exists());
    // a name of the directory's file, for every option that takes a store
    user.run(&["import", &events, "--store", "copy"])
        .succeeded();
    assert!(user.esm.path("copy/esm.json").exists());
    user.with(&[("ESM_STORE", "copy")], &["list", "--names-only"])
        .succeeded()
        .printed("order/00000");
    user.run(&["backup", "create", "--all", "--backup", "copy"])
        .succeeded();
    user.run(&["backup", "list", "--backup", &copy, "-o", "json"])
        .succeeded()
        .printed("\"backups\":[{");
    // as a path it would not exist
    user.run(&["list", "--other-store", "copy"]).succeeded();
}

#[test]
fn an_address_and_a_path_stay_what_they_are() {
    let user = User::new();
    let shop = user.esm.url("shop");
    let user = user.own(&format!("[stores]\nshop = \"{shop}\"\n"));
    let events = user.esm.file("events", orders::sorted(1, 1));
    let import = |store: &str| {
        user.run(&["import", &events, "--store", store])
            .succeeded()
            .code
    };
    import("./shop");
    assert!(user.esm.path("work/shop/esm.json").exists());
    assert!(!user.esm.path("shop").exists());
    // no file names it: a path
    import("other");
    assert!(user.esm.path("work/other/esm.json").exists());
    import("shop");
    assert!(user.esm.path("shop/esm.json").exists());
}

#[test]
fn an_option_wins_over_a_variable_and_a_variable_over_a_file() {
    let user = User::new().own("progress = \"lines\"\nlog = \"info\"\n");
    let user = user.directory("\nprogress = \"bar\"\n");
    let show = |variables: &[(&str, &str)], arguments: &[&str]| {
        user.shown(variables, arguments, "progress")
    };
    let variable = [("ESM_PROGRESS", "auto")];
    let expected = |value: &str, from: &str| (value.to_owned(), from.to_owned());
    assert_eq!(
        show(&variable, &["--progress", "off"]),
        expected("off", "option")
    );
    assert_eq!(show(&variable, &[]), expected("auto", "ESM_PROGRESS"));
    assert_eq!(show(&[], &[]), expected("bar", "esm.toml, line 2"));
    let (value, from) = user.shown(&[], &[], "log");
    assert_eq!(value, "info");
    let path: PathBuf = user.esm.path("config/esm/config.toml");
    assert_eq!(from, format!("{}, line 2", path.display()));
    assert_eq!(user.shown(&[], &[], "max-event-size").1, "default");
}

#[test]
fn options_that_no_file_has_are_shown_too() {
    let user = User::new();
    let expected = |value: &str, from: &str| (value.to_owned(), from.to_owned());
    let other = [("ESM_OTHER_STORES", "file:///a file:///b")];
    let shown = user.shown(&other, &[], "other-store");
    assert_eq!(shown, expected("file:///a file:///b", "ESM_OTHER_STORES"));
    let shown = user.shown(&[], &["--no-header"], "no-header");
    assert_eq!(shown, expected("true", "option"));
    let shown = user.shown(&[], &[], "no-header");
    assert_eq!(shown, expected("false", "default"));
    let shown = user.shown(&[("ESM_MASKING_KEY", "key.txt")], &[], "masking-key");
    assert_eq!(shown, expected("key.txt", "ESM_MASKING_KEY"));
    assert_eq!(user.shown(&[], &[], "masking-key"), expected("", "default"));
}

#[test]
fn a_default_of_a_file_is_used() {
    let user = User::new().directory("output = \"json\"\nmax-event-size = \"1KiB\"\n");
    let events = user.esm.file("events", orders::large(1));
    let store = user.esm.url("store");
    let ran = user.run(&["import", &events, "--store", &store]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(ran.json_error()["kind"], "too_large");
}

#[test]
fn the_file_of_a_directory_cannot_send_commands_elsewhere() {
    let elsewhere = "store = \"s3://elsewhere/p\"\n";
    let user = User::new().directory(elsewhere);
    user.run(&["list"]).failed(
        2,
        &[
            "esm.toml: line 1",
            "cannot choose the store",
            "--store NAME",
        ],
    );
    let user = User::new()
        .own("[stores]\nshop = \"file:///srv/shop\"\n")
        .directory("[stores]\nshop = \"s3://elsewhere/p\"\n");
    user.run(&["list", "--store", "shop"])
        .failed(2, &["esm.toml: line 2", "your own config.toml", "shop"]);
    // reading a pipe or a device would block
    let user = User::new();
    std::fs::create_dir(user.esm.path("work/esm.toml")).expect("a directory");
    user.run(&["list"]).failed(2, &["not a file: esm.toml"]);
}

#[test]
fn what_a_file_must_not_have_is_named_with_its_line() {
    for (text, said) in [
        (
            "output = \"text\"\npasword = \"hunter2\"\n",
            "line 2: unknown field `pasword`",
        ),
        (
            "[stores]\na = \"s3://key:hunter2@b/p\"\n",
            "line 2: the address of a",
        ),
        (
            "[stores]\na = \"ftp://b/hunter2\"\n",
            "line 2: the address of a",
        ),
        (
            "progress = \"hunter2\"\n",
            "line 1: progress: expected one of auto, bar",
        ),
        ("max-event-size = \"0\"\n", "line 1: max-event-size"),
        (
            "store = \"none\"\n",
            "line 1: store: no store has this name",
        ),
        ("[stores\n", "line 1"),
    ] {
        let user = User::new().own(text);
        let ran = user.run(&["config", "show"]);
        ran.failed(2, &["config.toml", said]);
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    }
    // credentials of an option are not shown either
    let user = User::new();
    let ran = user.run(&["config", "show", "--store", "s3://key:hunter2@b/p"]);
    ran.failed(2, &[]);
    assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
}

#[test]
fn help_and_completions_need_no_sound_file() {
    let user = User::new().directory("nonsense\n");
    user.run(&["--help"]).succeeded();
    user.run(&["completions", "bash"]).succeeded();
    user.run(&["config", "show"])
        .failed(2, &["esm.toml: line 1"]);
}
