//! Other sites, other names, and text of others.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::browser::FOREIGN;
use crate::drive::{ask, open, prepare, until, until_text};
use crate::world::{World, sign_in};

const EVIL: &str =
    "<img src=x onerror=\"document.title='stolen'\"><script>document.title='stolen'</script>";

/// Notes what the browser refuses to load or run.
const REPORTS: &str = "
    window.reports = [];
    document.addEventListener('securitypolicyviolation', (event) => {
      window.reports.push(`${event.violatedDirective} ${event.sourceFile} ${event.sample}`);
    });";

pub(super) async fn text_is_text(world: &mut World) -> Result<()> {
    let event = json!({
        "specversion": "1.0", "id": EVIL, "source": "order", "subject": EVIL, "type": EVIL,
        "sequence": "0", "data": {EVIL: EVIL},
    });
    let events = world.file("evil.ndjson");
    std::fs::write(&events, format!("{event}\n"))?;
    world.esm.run(&["import", &events.to_string_lossy()])?;
    let object = format!("order/{EVIL}");
    let program = world.file("evil.jq");
    std::fs::write(
        &program,
        format!(".schemaversion = 2 | .data.note = {} # {EVIL}", json!(EVIL)),
    )?;
    world.esm.run(&[
        "migrate",
        "--yes",
        &object,
        "--transform",
        &program.to_string_lossy(),
    ])?;
    prepare(&world.page, REPORTS).await?;
    let encoded = "const [kind, ...key] = arguments[0].split('/'); return `${kind}/${encodeURIComponent(key.join('/')).replaceAll('%2F', '/')}`";
    world.open("/").await?;
    let encoded = ask(&world.page, encoded, vec![json!(object)]).await?;
    let encoded = encoded.as_str().context("an address")?.to_owned();
    let newest = world.esm.new_migration(&world.known)?;
    let newest = newest.context("a migration")?;
    for path in [
        "/".to_owned(),
        world.of_store("/objects?q=order/%3C"),
        world.of_store(&format!("/objects/{encoded}")),
        world.of_store(&format!("/migrations/{newest}")),
        world.of_store(&format!("/migrations/{newest}/plan")),
        format!("/search?q={}", "order/%3Cimg"),
    ] {
        world.open(&path).await?;
        until_text(&world.page, "<img src=x")
            .await
            .with_context(|| path.clone())?;
        // also what is shown anew by the script
        until(
            &world.page,
            "a live page",
            "return !!document.querySelector('#live.on, #live.old')",
        )
        .await?;
        let found = ask(
            &world.page,
            "return [document.querySelectorAll('img, main script').length, document.title, window.reports]",
            Vec::new(),
        );
        let found = found.await?;
        ensure!(found[0] == 0, "{path}: text became an element");
        ensure!(
            found[1]
                .as_str()
                .is_some_and(|title| !title.starts_with("stolen")),
            "{path}: {found}"
        );
        ensure!(
            found[2].as_array().is_some_and(Vec::is_empty),
            "{path}: refused: {found}"
        );
    }
    Ok(())
}

/// A page of another origin in the browser of an operator: of this very machine, as other programs'
/// pages are, so that the browser sends the cookie.
pub(super) async fn another_origin(world: &mut World) -> Result<()> {
    let commands = |status: &Value| status["commands"].clone();
    let before = commands(&watched(world)?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let console = &world.console.address;
    let pause = format!("{console}{}/pause", world.of_migration());
    let page = format!(
        "<!doctype html><title>evil</title><iframe name=sink></iframe>\
         <form method=post action=\"{pause}\" target=sink enctype=text/plain>\
         <input name='{{\"reason\":\"x' value='\"}}'></form>"
    );
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream, &page);
        }
    });
    open(&world.page, &format!("http://127.0.0.1:{port}/")).await?;
    let script = "
        const [console, pause] = arguments;
        const outcome = (promise) => promise.then(
          (response) => response.text().then((text) => `read ${response.type} ${text.length}`),
          (error) => `failed ${error.name}`);
        const json = { method: 'POST', credentials: 'include', body: '{\"reason\":\"x\"}' };
        const listened = new Promise((resolve) => {
          const source = new EventSource(`${console}/events?path=/`, { withCredentials: true });
          source.addEventListener('page', () => resolve('read a page'));
          source.onerror = () => { source.close(); resolve('failed'); };
        });
        document.forms[0].submit();
        return Promise.all([
          outcome(fetch(`${console}/`, { credentials: 'include' })),
          outcome(fetch(`${console}/`, { credentials: 'include', mode: 'no-cors' })),
          outcome(fetch(`${console}/api/v1/stores`, { credentials: 'include' })),
          outcome(fetch(pause, { ...json, headers: { 'content-type': 'application/json' } })),
          outcome(fetch(pause, { ...json, mode: 'no-cors' })),
          listened,
        ]);";
    let outcomes = ask(&world.page, script, vec![json!(console), json!(pause)]).await?;
    let outcomes = outcomes.as_array().context("outcomes")?;
    for outcome in outcomes {
        let outcome = outcome.as_str().unwrap_or_default();
        let got_nothing = outcome.starts_with("failed") || outcome == "read opaque 0";
        ensure!(got_nothing, "{outcomes:?}");
    }
    ensure!(outcomes.len() == 6, "{outcomes:?}");
    ensure!(commands(&watched(world)?) == before, "a command was given");
    world.open("/").await
}

/// What is known of the migration, with its commands.
fn watched(world: &World) -> Result<Value> {
    let text = world
        .esm
        .run(&["watch", &world.migration, "--once", "--output", "json"])?;
    Ok(serde_json::from_str(&text)?)
}

fn answer(mut stream: std::net::TcpStream, page: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    )
}

/// A name of another site that leads to this machine.
pub(super) async fn another_name(world: &mut World) -> Result<()> {
    let port = world
        .console
        .address
        .rsplit(':')
        .next()
        .context("a port")?
        .to_owned();
    for path in ["/", "/events?path=/", "/assets/console.js", "/metrics"] {
        open(&world.page, &format!("http://{FOREIGN}:{port}{path}")).await?;
        until_text(&world.page, "421").await?;
    }
    Ok(())
}

pub(super) async fn read_only(world: &mut World) -> Result<()> {
    let mut console = world.esm.console(&["--listen", "127.0.0.1:0"])?;
    sign_in(&world.page, &mut console).await?;
    let path = world.of_migration();
    open(&world.page, &format!("{}{path}", console.address)).await?;
    until_text(&world.page, "Read-only").await?;
    let found = ask(
        &world.page,
        "
        const acts = ['cutover', 'withdraw', 'pause', 'resume', 'set', 'cancel', 'rollback'];
        const post = (act) => fetch(`${arguments[0]}/${act}`, {
          method: 'POST', headers: { 'content-type': 'application/json' }, body: '{\"reason\":\"x\"}',
        }).then((response) => response.status);
        return Promise.all(acts.map(post)).then((all) => [document.querySelectorAll('[data-dialog]').length, ...all]);",
        vec![json!(path)],
    );
    let found = found.await?;
    ensure!(
        found == json!([0, 404, 404, 404, 404, 404, 404, 404]),
        "{found}"
    );
    Ok(())
}
