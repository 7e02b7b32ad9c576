//! Addresses that plans and journals keep.

use crate::esm::Esm;
use crate::orders;

/// Runs in a folder of its own.
fn run_in(esm: &Esm, folder: &str, arguments: &[&str]) -> crate::esm::Ran {
    let folder = esm.path(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut command = esm.command(arguments);
    crate::esm::Ran::new(command.current_dir(folder).output().expect("esm runs"))
}

fn journals(esm: &Esm) -> String {
    esm.files()
        .into_iter()
        .filter(|(path, _)| path.starts_with(esm.path("store/journals")))
        .map(|(_, content)| String::from_utf8_lossy(&content).into_owned())
        .collect()
}

#[test]
fn a_relative_address_is_kept_as_an_absolute_one() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 2));
    let migrate = [
        "migrate",
        "--all",
        "--backup",
        "bk",
        "--close-books",
        "--archive",
        "../ar",
    ];
    run_in(&esm, "one", &migrate).succeeded();
    let (journal, root) = (journals(&esm), esm.path(""));
    for address in ["one/bk", "one/../ar"] {
        let address = format!("\"{}\"", root.join(address).display());
        assert!(
            journal.contains(&address),
            "{address} is missing in {journal}"
        );
    }
    assert!(esm.path("one/bk/esm.json").exists() && esm.path("ar/esm.json").exists());

    let saved = esm.path("plan.json").display().to_string();
    let plan = [
        "plan", "--all", "--again", "--backup", "bk", "--save", &saved,
    ];
    run_in(&esm, "one", &plan).succeeded();
    run_in(&esm, "two", &["migrate", "--plan", &saved]).succeeded();
    assert!(!esm.path("two/bk").exists());
}

#[test]
fn an_address_with_a_secret_is_refused_and_never_kept() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 2));
    let before = esm.files();
    let saved = esm.path("plan.json");
    let save = saved.to_str().expect("a readable path");
    for address in [
        "s3://AKIA:SECRET@bucket/p",
        "s3://SECRET@bucket/p",
        "s3://bucket/p?X-Amz-Signature=SECRET",
        "gs://user:SECRET@bucket",
        "az://container/p?sv=1&sig=SECRET",
        "az://key:SECRET@container",
        "https://account.blob.core.windows.net/c?sig=SECRET",
    ] {
        for option in [
            &["--backup", address][..],
            &["--close-books", "--archive", address],
            &["--to", address],
        ] {
            let plan = ["plan", "--all", "--save", save];
            let migrate = ["migrate", "--all"];
            for command in [&plan[..], &migrate] {
                let ran = esm.run(&[command, option].concat());
                assert_eq!(ran.code, Some(2), "{address} {ran:?}");
                assert!(!ran.stderr.contains("SECRET"), "{ran:?}");
                assert!(!saved.exists(), "{address}");
            }
        }
    }
    assert_eq!(esm.files(), before);
}
