//! `esm console`

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use esm_console::{ConsoleOptions, Source};
use esm_core::migration::MigrationPlan;
use esm_core::{Error, ErrorKind, Result};
use serde::Serialize;
use tempfile::TempPath;
use tokio::net::TcpListener;

use super::proxy_args::ProxyArgs;
use crate::args::Global;
use crate::exit::{self, Exit};
use crate::interrupt::Interrupt;
use crate::migration::{author, read_program};
use crate::output::{Output, Text};
use crate::session::{Access, Session, address};

/// Show migrations in a browser, and steer them.
///
/// Shows live what migrations do, what they wait for, and what they do to events. Prints a link that
/// works once. The console reads the store and changes nothing, unless
/// --allow-control permits the browser to give commands. It runs until Ctrl-C, and migrations do not
/// need it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm console --open
  esm console --allow-control                  # pause, cut over, cancel … from the browser
  esm plan --all --transform v2.jq --save plan.json && esm console --plan plan.json
  esm console --store shop --store s3://events/prod    # several at once
  ssh -L 7717:127.0.0.1:7717 server            # a console on another machine
  esm console --listen 10.1.2.9:7717 --host console.example --trusted-proxy 10.1.2.3")]
pub(crate) struct Console {
    /// URL of a store to show, or its name in a configuration file. Repeatable.
    // in place of the global option, which takes one
    #[arg(id = "store", long = "store", value_name = "URL")]
    stores: Vec<String>,
    /// Loopback address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7717")]
    listen: SocketAddr,
    /// Name and port under which the console is reached too, for example through a tunnel. Repeatable.
    #[arg(long = "host", value_name = "NAME:PORT")]
    hosts: Vec<String>,
    /// Permit signed-in browsers to pause, resume, cut over, cancel and roll back migrations.
    #[arg(long)]
    allow_control: bool,
    /// Author of these commands, recorded with them; defaults to user@host.
    #[arg(long, value_name = "NAME", requires = "allow_control")]
    author: Option<String>,
    /// Open the link in the browser.
    #[arg(long)]
    open: bool,
    /// Show a plan that `esm plan --save` has saved. Repeatable.
    #[arg(long = "plan", value_name = "FILE")]
    plans: Vec<PathBuf>,
    /// URL of a place of backups to show too.
    #[arg(long, value_name = "URL")]
    backup: Option<String>,
    /// Do not show what events contain.
    #[arg(long)]
    hide_payloads: bool,
    /// Show events as this jq program returns them, for example without names.
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
    /// Token with which a monitoring system reads /metrics, as a bearer.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "ESM_METRICS_TOKEN",
        hide_env_values = true
    )]
    metrics_token: Option<String>,
    #[command(flatten)]
    proxy: ProxyArgs,
}

#[derive(Debug, Serialize)]
struct Started {
    address: String,
    /// Absent where a proxy signs people in.
    link: Option<String>,
    stores: Vec<String>,
    control: bool,
}

/// A browser has signed in: its link is used up.
#[derive(Debug, Serialize)]
struct SignedIn {
    signed_in: bool,
    /// For another browser.
    link: String,
}

impl SignedIn {
    fn now(link: String) -> Self {
        let signed_in = true;
        Self { signed_in, link }
    }

    fn print(&self, output: &Output) {
        output.note(format!("signed in; for another browser: {}", self.link));
        if output.is_json() {
            // where nobody reads any more, nobody needs the link
            let _ = output.json_line(self);
        }
    }
}

impl Console {
    pub(crate) async fn run(
        &self,
        global: Global,
        output: Output,
        interrupt: Interrupt,
    ) -> Result<Exit> {
        self.proxy.ensure_reachable_by_few(self.listen.ip())?;
        let options = self.options(&global).await?;
        let sessions = self.sessions(&global, &output, &interrupt).await?;
        let mut sources = Vec::new();
        for session in &sessions {
            sources.push(self.source(session).await?);
        }
        let listener = listen(self.listen).await?;
        let bound = listener
            .local_addr()
            .map_err(|e| exit::io("listening", e))?;
        let own: Arc<OnceLock<esm_console::Console>> = Arc::default();
        let (known, to) = (Arc::clone(&own), output.clone());
        let page = OpenedPage::default();
        let opened = page.clone();
        let options = options.listening(bound).on_sign_in(move || {
            opened.remove();
            if let Some(console) = known.get() {
                SignedIn::now(link(bound, console)).print(&to);
            }
        });
        let console = esm_console::Console::new(sources, options)?;
        // nothing else sets it
        let _ = own.set(console.clone());
        let started = Started {
            address: format!("http://{bound}/"),
            link: (!self.proxy.is_used()).then(|| link(bound, &console)),
            stores: sessions.iter().map(|s| s.location().to_owned()).collect(),
            control: self.allow_control,
        };
        output.result(&started, |started, _| text(started, &self.proxy))?;
        if let Some(link) = started.link.as_ref().filter(|_| self.open) {
            page.open(link, &output);
        }
        let stop = interrupt.token().clone();
        esm_console::serve(listener, console.into_service(), stop).await;
        Ok(Exit::Success)
    }

    async fn sessions(
        &self,
        global: &Global,
        output: &Output,
        interrupt: &Interrupt,
    ) -> Result<Vec<Session>> {
        let access = if self.allow_control {
            Access::Write
        } else {
            Access::Read
        };
        let stores = if self.stores.is_empty() {
            vec![address(global)?.to_owned()]
        } else {
            self.stores.clone()
        };
        let mut sessions = Vec::new();
        for store in stores {
            let global = Global {
                store: Some(global.settings.address(&store).to_owned()),
                ..global.clone()
            };
            let session = Session::open(global, output.clone(), interrupt.clone(), access).await?;
            sessions.push(session);
        }
        Ok(sessions)
    }

    async fn source(&self, session: &Session) -> Result<Source> {
        let (records, locks) = (Arc::clone(session.records()), Arc::clone(session.locks()));
        let source = Source::new(session.location(), session.stores().clone(), records, locks)
            .with_environment(session.environment().clone())
            .with_backups(session.location(), session.backups());
        match &self.backup {
            None => Ok(source),
            Some(address) => {
                let backups = session.backups_at(Some(address), Access::Read).await?;
                Ok(source.with_backups(without_secrets(address), backups))
            }
        }
    }

    async fn options(&self, global: &Global) -> Result<ConsoleOptions> {
        let mut options = ConsoleOptions::new();
        for host in &self.hosts {
            options = options.host(host);
        }
        if self.allow_control {
            options = options.allow_control(self.author.clone().unwrap_or_else(author));
        }
        if self.hide_payloads {
            options = options.hide_payloads();
        }
        if let Some(path) = &self.mask {
            options = options.mask(
                read_program(path)
                    .await?
                    .compile(global.masking_key().await?.as_ref())?,
            );
        }
        if let Some(token) = &self.metrics_token {
            options = options.metrics_token(token);
        }
        for path in &self.plans {
            let name = path.file_name().unwrap_or(path.as_os_str());
            options = options.plan(name.to_string_lossy(), read_plan(path).await?);
        }
        self.proxy
            .apply(options, self.allow_control, self.mask.is_some())
    }
}

fn link(bound: SocketAddr, console: &esm_console::Console) -> String {
    format!("http://{bound}/#code={}", console.code())
}

fn text(started: &Started, proxy: &ProxyArgs) -> Text {
    let control = if started.control {
        "commands are allowed"
    } else {
        "read-only"
    };
    Text::line(format_args!(
        "console of {}, {control}",
        started.stores.join(", ")
    ))
    .and(match &started.link {
        Some(link) => format!("open once:  {link}"),
        None => format!(
            "listens on: {}\nsigned in:  {}",
            started.address,
            proxy.shown()
        ),
    })
    .and("stop:       Ctrl-C")
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let (kind, hint) = if error.kind() == std::io::ErrorKind::AddrInUse {
            let hint = "another program, perhaps another console, has the port; \
                        --listen 127.0.0.1:0 takes a free one";
            (ErrorKind::AlreadyExists, hint)
        } else {
            (ErrorKind::Invalid, "choose another address with --listen")
        };
        Error::new(kind, format!("cannot listen on {address}: {error}"))
            .with_source(error)
            .with_hint(hint)
    })
}

async fn read_plan(path: &Path) -> Result<MigrationPlan> {
    let shown = path.display();
    let bytes = tokio::fs::read(path).await;
    let bytes = bytes.map_err(|e| exit::io(format_args!("reading {shown}"), e))?;
    let plan: MigrationPlan = serde_json::from_slice(&bytes).map_err(|e| {
        Error::invalid(format!("not a saved plan: {shown}: {e}"))
            .with_hint("save one with `esm plan --save FILE`")
    })?;
    if plan.format > MigrationPlan::FORMAT {
        let message = format!("the plan has format {}: {shown}", plan.format);
        return Err(Error::new(ErrorKind::Invalid, message).with_hint("use a newer version of esm"));
    }
    Ok(plan)
}

/// An address without what may be a secret: what is before an `@`, and parameters.
fn without_secrets(address: &str) -> String {
    let address = address.split('?').next().unwrap_or_default();
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => address.to_owned(),
    }
}

/// A page that leads the browser of the desktop to the link. Arguments of programs can be read by other
/// users of the machine; the file can be read by this user alone, and is removed once it was used.
#[derive(Debug, Clone, Default)]
struct OpenedPage(Arc<Mutex<Option<TempPath>>>);

impl OpenedPage {
    /// Opens the link. It was printed, so a failure is only a note.
    fn open(&self, link: &str, output: &Output) {
        let opened = leading_to(link).and_then(|page| {
            start_browser(&page)?;
            Ok(page)
        });
        match opened {
            Ok(page) => *self.place() = Some(page),
            Err(error) => output.note(format!("no browser was opened: {error}")),
        }
    }

    fn remove(&self) {
        // one that cannot be removed holds a code that is used up
        drop(self.place().take());
    }

    fn place(&self) -> MutexGuard<'_, Option<TempPath>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a page for this user alone that leads to a link.
fn leading_to(link: &str) -> std::io::Result<TempPath> {
    let mut page = tempfile::Builder::new()
        .prefix("esm-console-")
        .suffix(".html")
        .tempfile()?;
    writeln!(
        page,
        "<!doctype html><meta charset=\"utf-8\"><title>esm console</title>\
         <meta http-equiv=\"refresh\" content=\"0;url={link}\">\
         <a href=\"{link}\">To the console</a>"
    )?;
    page.flush()?;
    Ok(page.into_temp_path())
}

fn start_browser(page: &Path) -> std::io::Result<()> {
    let (program, before): (_, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("rundll32", &["url.dll,FileProtocolHandler"])
    } else {
        ("xdg-open", &[])
    };
    std::process::Command::new(program)
        .args(before)
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
        .map_err(|error| std::io::Error::new(error.kind(), format!("{program}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_that_leads_to_the_link_is_for_this_user_alone_and_goes_once_it_was_used() {
        let link = "http://127.0.0.1:7717/#code=secret";
        let page = leading_to(link).expect("a page");
        let text = std::fs::read_to_string(&page).expect("text");
        assert!(
            text.contains(&format!("content=\"0;url={link}\"")),
            "{text}"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&page).expect("metadata").permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
        }
        let path = page.to_path_buf();
        let opened = OpenedPage::default();
        *opened.place() = Some(page);
        opened.clone().remove();
        assert!(!path.exists());
    }

    #[test]
    fn an_address_is_shown_without_secrets() {
        for (address, shown) in [
            ("file:///backups", "file:///backups"),
            ("az://c/p?sig=x", "az://c/p"),
            ("postgres://u:p@h/d?schema=s", "postgres://h/d"),
        ] {
            assert_eq!(without_secrets(address), shown);
        }
    }
}
