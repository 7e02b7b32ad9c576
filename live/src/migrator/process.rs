//! Migrators: the real `esm`, or the library with a lock that is always granted; and what they
//! say on the way.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::watch;

use super::steering::Steering;
use crate::process::Process;
use crate::transformation;
use crate::world::World;

/// Applications may be faster often: not everybody leaves the Close its turn.
const ATTEMPTS: [&str; 2] = ["--cutover-attempts", "100000"];

/// How long a migrator holds its lock without renewing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lease {
    /// As everybody's. It waits for a lock that runs out soon.
    Usual,
    /// As short as it may be, where migrators are killed and frozen: two seconds, or what Azure
    /// grants; a machine that is busy enough takes it away from them too.
    Short,
}

impl Lease {
    /// The options of `esm`, where locks are leases of Azure's or not.
    fn options(self, of_azure: bool) -> Vec<&'static str> {
        let mut options = vec!["--lock-timeout", "2m"];
        if self == Self::Short {
            let (lease, heartbeat) = if of_azure {
                ("15s", "3s")
            } else {
                ("2s", "500ms")
            };
            options.extend(["--lock-lease", lease, "--lock-heartbeat", heartbeat]);
        }
        options
    }
}

/// A migrator at work.
#[derive(Debug)]
pub(crate) struct Migrator {
    process: Process,
    heard: watch::Receiver<Heard>,
}

/// What a migrator has logged so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// It has its lock, and its plan is written: it copies.
    pub(crate) working: bool,
    /// How many sources it has closed.
    pub(crate) closed: u64,
    /// Its output has ended, so it has.
    pub(crate) ended: bool,
}

/// How a migrator ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this exit code.
    Exit(i32),
    /// By a signal.
    Killed,
}

impl End {
    /// What `esm` ends with when another holder has taken over, or when it could not renew its lock
    /// in time: a machine that is busy enough is enough for that.
    pub(crate) const REPLACED: Self = Self::Exit(5);

    /// What `esm` ends with when the migration was cancelled on command.
    pub(crate) const CANCELLED: Self = Self::Exit(130);
}

impl Migrator {
    /// Starts the migration of all objects.
    pub(crate) fn migrate(world: &World, name: &str, lease: Lease) -> Result<Self> {
        let program = transformation::path();
        let program = program.to_str().context("the path is no text")?;
        let migrate = [
            "migrate",
            "--all",
            "--phases",
            "always",
            "--transform",
            program,
        ];
        Self::esm(world, name, &[&migrate[..], &ATTEMPTS].concat(), lease)
    }

    /// Starts going on with what was not finished.
    pub(crate) fn resume(world: &World, name: &str, lease: Lease) -> Result<Self> {
        Self::esm(world, name, &["resume", "--all"], lease)
    }

    /// Starts undoing a migration.
    pub(crate) fn roll_back(world: &World, name: &str, migration: &str) -> Result<Self> {
        Self::esm(world, name, &["rollback", migration], Lease::Short)
    }

    /// Starts rolling a migration back that has ended.
    pub(crate) fn reverse(
        world: &World,
        name: &str,
        migration: &str,
        lease: Lease,
    ) -> Result<Self> {
        let program = transformation::path_down();
        let program = program.to_str().context("the path is no text")?;
        let rollback = ["rollback", migration, "--down", program];
        Self::esm(world, name, &[&rollback[..], &ATTEMPTS].concat(), lease)
    }

    /// Starts the migration of all objects, slow, and waiting for the command to cut over.
    pub(crate) fn steered(world: &World, name: &str) -> Result<Self> {
        let program = transformation::path();
        let program = program.to_str().context("the path is no text")?;
        let described = [
            "migrate",
            "--all",
            "--phases=always",
            "--transform",
            program,
        ];
        let waiting = ["--cutover=manual", "--events-per-second=2000"];
        Self::esm(
            world,
            name,
            &[&described[..], &waiting, &ATTEMPTS].concat(),
            Lease::Usual,
        )
    }

    /// Starts giving a command to the migration that is on, whose process may be slow to answer.
    pub(crate) fn tell(world: &World, name: &str, command: Steering) -> Result<Self> {
        let (command, wait) = (command.arguments(), ["--wait", "10m"]);
        Self::start(world, name, program(world)?.args(command).args(wait))
    }

    fn esm(world: &World, name: &str, arguments: &[&str], lease: Lease) -> Result<Self> {
        let mut command = program(world)?;
        let of_azure = world.storage().has_leases();
        command.args(arguments).args(lease.options(of_azure));
        Self::start(world, name, &mut command)
    }

    /// Starts a migrator that no lock keeps away: on a migration of its own, or on those that are
    /// on already.
    pub(crate) fn without_lock(world: &World, name: &str, resumes: bool) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("migrator")
            .arg("--store")
            .arg(world.storage().address())
            .args(resumes.then_some("--resume"));
        Self::start(world, name, &mut command)
    }

    fn start(world: &World, name: &str, command: &mut Command) -> Result<Self> {
        let log = world.path(&format!("{name}.log"));
        let mut log = std::fs::File::create_new(&log)
            .with_context(|| format!("cannot create {}", log.display()))?;
        world.storage().let_in(command);
        command.stdout(Stdio::from(log.try_clone()?));
        command.stderr(Stdio::piped());
        let mut process = Process::start(world.warden(), name, command)?;
        let output = process.errors().context("its output is not heard")?;
        let (say, heard) = watch::channel(Heard::default());
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = writeln!(log, "{line}");
                say.send_modify(|heard| heard.hear(&line));
            }
            say.send_modify(|heard| heard.ended = true);
        });
        Ok(Self { process, heard })
    }

    /// Waits until it has said something, or has ended.
    pub(crate) async fn says(&mut self, what: impl Fn(&Heard) -> bool) -> Result<()> {
        let heard = self.heard.wait_for(|heard| heard.ended || what(heard));
        let heard = tokio::time::timeout(crate::process::PATIENCE, heard).await;
        heard.with_context(|| format!("{} says nothing", self.process.name()))??;
        Ok(())
    }

    /// Waits until it has ended.
    pub(crate) async fn silence(&self) {
        let mut heard = self.heard.clone();
        // a reader that has gone has ended too
        let _ = heard.wait_for(|heard| heard.ended).await;
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.heard.borrow().ended
    }

    /// Freezes, wakes or kills it. One that has ended is left alone.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> Result<End> {
        let status = self.process.ended().await?;
        Ok(status.code().map_or(End::Killed, End::Exit))
    }

    /// Waits for it to end well.
    pub(crate) async fn succeed(self, world: &World) -> Result<()> {
        self.end_as(world, &[End::Exit(0)]).await?;
        Ok(())
    }

    /// Waits for it to end well, or with the loss of its lock; returns whether it lost the lock.
    pub(crate) async fn succeed_unless_replaced(self, world: &World) -> Result<bool> {
        let end = self.end_as(world, &[End::Exit(0), End::REPLACED]).await?;
        Ok(end == End::REPLACED)
    }

    /// Waits for it to end in one of these ways.
    pub(crate) async fn end_as(mut self, world: &World, ways: &[End]) -> Result<End> {
        let end = self.ended().await?;
        let name = self.process.name();
        ensure!(
            ways.contains(&end),
            "{name} ended with {end:?}:\n{}",
            self.printed(world)
        );
        Ok(end)
    }

    /// What it printed.
    pub(crate) fn printed(&self, world: &World) -> String {
        world.printed(self.process.name())
    }
}

/// The real `esm`, on the store of this world.
pub(crate) fn program(world: &World) -> Result<Command> {
    let program = beside("esm")?;
    let mut command = Command::new(program);
    // options that the user has set for a store of their own are not meant for this one
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("ESM_") {
            command.env_remove(variable);
        }
    }
    command.env("ESM_STORE", world.storage().address()).args([
        "--progress",
        "off",
        "--log",
        "info",
    ]);
    Ok(command)
}

impl Heard {
    fn hear(&mut self, line: &str) {
        self.working |= line.contains("batch begins");
        self.closed += u64::from(line.contains("source closed"));
    }
}

/// A program that was built beside this one.
fn beside(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    ensure!(
        program.exists(),
        "no {name} beside this program, build it: {}",
        program.display()
    );
    Ok(program)
}
