//! A PostgreSQL of one test alone, which can be killed, encrypt, and have a standby.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::postgres::{Kind, Postgres, PostgresVersion, copy, give_to_server};
use super::server::{Server, pause, ready};
use super::shared::in_ci;

/// Starts of a server at most: processes of one that was killed may still hold what the
/// next one needs.
const STARTS: u32 = 100;

/// A PostgreSQL of one test alone. It is killed when it is dropped.
///
/// ```no_run
/// # async fn test() {
/// use esm_testkit::containers::{OwnPostgres, PostgresVersion};
///
/// let Some(mut own) = OwnPostgres::start(PostgresVersion::V15).await else { return };
/// let database = own.server().database().await;
/// let Some(standby) = own.standby().await else { return };
/// println!("{database} can be read at {:?}", standby.server());
/// own.kill();
/// own.start_again().await;
/// # }
/// ```
#[derive(Debug)]
pub struct OwnPostgres {
    version: PostgresVersion,
    directory: PathBuf,
    port: u16,
    options: Vec<String>,
    running: Option<Child>,
}

impl OwnPostgres {
    /// Starts one, or returns nothing where the programs of the version are missing; then
    /// [`not_tested`](crate::not_tested()) reports it.
    ///
    /// # Panics
    /// If it does not start; in continuous integration, also where the programs are missing.
    pub async fn start(version: PostgresVersion) -> Option<Self> {
        let mut own = Self::new(version)?;
        own.start_again().await;
        Some(own)
    }

    /// Starts one that encrypts connections whose client asks for it, with this certificate and key in
    /// PEM. Otherwise as [`start`](Self::start).
    ///
    /// # Panics
    /// As [`start`](Self::start); if the files cannot be read.
    pub async fn start_encrypted(
        version: PostgresVersion,
        certificate: &Path,
        key: &Path,
    ) -> Option<Self> {
        let mut own = Self::new(version)?;
        own.options = vec!["-c".to_owned(), "ssl=on".to_owned()];
        for (option, file) in [("ssl_cert_file", certificate), ("ssl_key_file", key)] {
            let copied = own.directory.join(option);
            fs::copy(file, &copied).expect("a file that can be read");
            give_to_server(&copied).expect("the server can read its file");
            let option = format!("{option}={}", copied.display());
            own.options.extend(["-c".to_owned(), option]);
        }
        own.start_again().await;
        Some(own)
    }

    /// Starts a standby that streams from it, and has everything that was committed until now. Returns
    /// nothing where the version comes without `pg_basebackup`; then
    /// [`not_tested`](crate::not_tested()) reports it.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn standby(&self) -> Option<Self> {
        let mut standby = Self::new(self.version)?;
        if let Err(why) = copy(self.version, self.port, &standby.directory) {
            crate::not_tested("a standby of PostgreSQL", &why);
            return None;
        }
        standby.start_again().await;
        Some(standby)
    }

    /// One that is not started, in a directory of its own.
    fn new(version: PostgresVersion) -> Option<Self> {
        let id = esm_core::clock::Environment::system().uuid_v4().simple();
        let directory = std::env::temp_dir().join(format!("esm-postgres-{id}"));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let own = Self {
            version,
            directory,
            port: port.expect("a free port").port(),
            options: Vec::new(),
            running: None,
        };
        match own.command() {
            Ok(_) => {}
            Err(why) if in_ci() => panic!("a PostgreSQL that can be killed cannot be had: {why}"),
            Err(why) => {
                crate::not_tested("a PostgreSQL that is killed", &why);
                return None;
            }
        }
        fs::create_dir_all(&own.directory).expect("a directory");
        Some(own)
    }

    /// Returns the server, at an address that stays when it is started again.
    pub fn server(&self) -> Postgres {
        Postgres::at(format!("127.0.0.1:{}", self.port))
    }

    /// Kills its main process, without a warning; the others end by themselves.
    ///
    /// # Panics
    /// If there is none, or it cannot be killed.
    pub fn kill(&mut self) {
        let mut running = self.running.take().expect("a server that runs");
        running.kill().expect("it can be killed");
        running.wait().expect("it has ended");
    }

    /// Starts it again, and waits until it has recovered.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_again(&mut self) {
        let mut failure = String::new();
        for _ in 0..STARTS {
            let mut command = self.command().expect("its programs are there");
            let log = File::create(self.directory.join("log")).expect("a file for its log");
            let errors = log.try_clone().expect("a file for its log");
            command.stdin(Stdio::null()).stdout(log).stderr(errors);
            let mut running = command.spawn().expect("its programs run");
            let address = format!("127.0.0.1:{}", self.port);
            let has_ended = || match running.try_wait() {
                Ok(None) => Ok(()),
                _ => Err("the server has ended".to_owned()),
            };
            let is_ready = match self.version {
                PostgresVersion::V15 => ready::<Kind<15>>(&address, has_ended).await,
                PostgresVersion::V18 => ready::<Kind<18>>(&address, has_ended).await,
            };
            let Err(why) = is_ready else {
                self.running = Some(running);
                return;
            };
            failure = why;
            drop(running.kill());
            drop(running.wait());
            pause().await;
        }
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        panic!("{failure}: {log}");
    }

    fn command(&self) -> Result<Command, String> {
        let mut command = match self.version {
            PostgresVersion::V15 => Kind::<15>::program(self.port, &self.directory),
            PostgresVersion::V18 => Kind::<18>::program(self.port, &self.directory),
        }?;
        command.args(&self.options);
        Ok(command)
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.kill());
            drop(running.wait());
        }
        drop(fs::remove_dir_all(&self.directory));
    }
}
