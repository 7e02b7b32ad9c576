use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::keeper::Keeper;
use super::run::Run;
use super::server::{Server, exchange, pause};
use super::shared::in_ci;
use super::{docker, program};

/// Something whose end servers wait for.
struct Anchor(Child);

impl Anchor {
    fn new() -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", "read -r nothing"]).stdin(Stdio::piped());
        Self(shell.spawn().expect("a shell can be started"))
    }

    fn keeper(&self) -> Keeper {
        Keeper {
            anchor: self.0.id(),
        }
    }

    fn run(&self) -> Run {
        Run::of(&format!("anchor-{}", self.0.id()), self.0.id())
    }

    fn is_killed(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it has ended");
    }
}

impl Drop for Anchor {
    fn drop(&mut self) {
        // where it was killed already, both report that
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until nothing listens there. nextest ends a test that waits in vain.
async fn is_gone(address: &str) {
    while exchange(address, b"").await.is_ok() {
        pause().await;
    }
}

/// Starts the machine's own program, whether or not Docker responds.
async fn by_program<S: Server>() {
    let directory = tempfile::tempdir().expect("there is room");
    let mut anchor = Anchor::new();
    let started = program::started::<S>(directory.path(), &anchor.keeper()).await;
    let address = match started {
        Ok(address) => address,
        // else it is there, and a failure is one
        Err(why) if cannot_be_had(&why) => {
            return crate::not_tested(&format!("{} as a program", S::WHAT), &why);
        }
        Err(why) => panic!("{}: {why}", S::WHAT),
    };
    assert_eq!(S::prepare(&address).await, Ok(()), "prepared twice");
    anchor.is_killed();
    is_gone(&address).await;
}

/// Returns whether the machine lacks the installer or, as without a network, what the installer
/// needs.
fn cannot_be_had(why: &str) -> bool {
    why.contains("cannot be run") || why.contains("cannot install") && !in_ci()
}

async fn by_docker<S: Server>() {
    if let Err(why) = docker::answers() {
        return crate::not_tested(&format!("{} in a container", S::WHAT), &why);
    }
    let mut anchor = Anchor::new();
    let address = match docker::contained::<S>(&anchor.keeper()).await {
        Ok(address) => address,
        Err(why) => return crate::not_tested(&format!("{} in a container", S::WHAT), &why),
    };
    assert_eq!(S::prepare(&address).await, Ok(()), "prepared twice");
    anchor.is_killed();
    is_gone(&address).await;
}

macro_rules! had_both_ways {
    ($($server:ident)*) => {$(
        mod $server {
            use crate::containers::$server::Kind;

            #[tokio::test(flavor = "multi_thread")]
            async fn is_had_as_a_program_and_ends_with_its_run() {
                super::by_program::<Kind>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn is_had_in_a_container_and_ends_with_its_run() {
                super::by_docker::<Kind>().await;
            }
        }
    )*};
}

had_both_ways!(azurite nats redis);

#[tokio::test(flavor = "multi_thread")]
async fn s3_is_had_as_a_program_and_ends_with_its_run() {
    by_program::<super::s3::Kind>().await;
}

/// A server that a shell plays: it fails.
struct Failing;

impl Server for Failing {
    const NAME: &str = "failing";
    const WHAT: &str = "failing";

    async fn container(_name: &str) -> Result<String, String> {
        Err("no image".to_owned())
    }

    fn program(_port: u16, directory: &Path) -> Result<Command, String> {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo x >>\"$0\"; echo it is broken >&2; exit 3"]);
        shell.arg(directory.with_extension("tries"));
        Ok(shell)
    }

    async fn prepare(_address: &str) -> Result<(), String> {
        Err("never".to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_with_its_reasons_and_not_tried_again_in_the_same_run() {
    let anchor = Anchor::new();
    let first = anchor.run().server::<Failing>().await.unwrap_err();
    // where there is no Docker, that is the reason
    let no_container = docker::answers().map_or_else(|why| why, |()| "no image".to_owned());
    for reason in ["it is broken", &no_container] {
        assert!(first.contains(reason), "{first}");
    }
    let tries = anchor
        .run()
        .directory(Failing::NAME)
        .with_extension("tries");
    assert_eq!(fs::read_to_string(&tries).unwrap(), "x\nx\nx\n");
    let second = anchor.run().server::<Failing>().await;
    assert_eq!(second, Err(first));
    assert_eq!(fs::read_to_string(&tries).unwrap(), "x\nx\nx\n");
}

/// As two tests under nextest, which are two processes of one run.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_shares_a_server_and_has_another_when_that_has_ended() {
    use super::nats::Kind;
    if let Err(why) = program::answers("nats-server", &["--version"]) {
        return crate::not_tested("sharing of servers", &why);
    }
    let mut anchor = Anchor::new();
    let one = tokio::spawn(anchor.run().server::<Kind>());
    let two = tokio::spawn(anchor.run().server::<Kind>());
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    assert!(one.is_ok() && one == two, "{one:?}, {two:?}");

    let directory = anchor.run().directory(Kind::NAME);
    fs::write(directory.join("address"), "127.0.0.1:1").unwrap();
    let other = anchor.run().server::<Kind>().await.unwrap();
    assert_ne!(Ok(&other), one.as_ref());
    anchor.is_killed();
    is_gone(&one.unwrap()).await;
    is_gone(&other).await;
    while directory.exists() {
        pause().await;
    }
}
