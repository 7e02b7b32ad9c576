//! `esm console`: a link, pages behind it, and an end on request.
#![cfg(all(unix, feature = "console"))]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command};

use crate::esm::{Esm, Ran};
use crate::orders;

/// A console that has begun.
struct Console {
    child: Child,
    address: String,
    code: String,
}

impl Console {
    fn start(esm: &Esm, arguments: &[&str]) -> Self {
        let common = ["console", "--listen", "127.0.0.1:0"];
        let mut child = esm.start(&[&common, arguments].concat());
        let output = child.stdout.as_mut().expect("a pipe");
        let mut lines = BufReader::new(output).lines();
        let link = loop {
            let line = lines.next().expect("a link").expect("text");
            if let Some(link) = link_in(&line) {
                break link;
            }
        };
        let (address, code) = link.split_once("/#code=").expect("a code");
        let (address, code) = (address.to_owned(), code.to_owned());
        Self {
            child,
            address,
            code,
        }
    }

    /// Head and body of the answer to a request.
    fn ask(&self, line: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("an answer");
        reply
    }

    /// Signs in; returns the header with the cookie.
    fn sign_in(&self) -> String {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let reply = self.ask("POST /session", form, &format!("code={}", self.code));
        assert!(reply.starts_with("HTTP/1.1 303"), "{reply}");
        let cookie = reply
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = cookie.and_then(|c| c.split(';').next()).expect("a cookie");
        format!("Cookie: {cookie}\r\n")
    }

    /// Stops as by Ctrl-C.
    fn stop(self) -> Ran {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status();
        assert!(sent.expect("kill").success());
        Ran::new(self.child.wait_with_output().expect("it ends"))
    }
}

/// The link in a line of text or JSON, without its scheme.
fn link_in(line: &str) -> Option<String> {
    let mut words = line.split(|c: char| c.is_whitespace() || c == '"');
    let link = words.find(|word| word.contains("/#code="))?;
    link.strip_prefix("http://").map(str::to_owned)
}

#[test]
fn a_link_leads_to_the_pages_of_a_store_that_stays_as_it_is() {
    let esm = Esm::new();
    esm.import(&orders::sorted(3, 2));
    let before = esm.files();
    let console = Console::start(&esm, &[]);
    let stranger = console.ask("GET /", "", "");
    assert!(stranger.starts_with("HTTP/1.1 401"), "{stranger}");
    let cookie = console.sign_in();
    let page = console.ask("GET /", &cookie, "");
    assert!(
        page.contains("There is no migration in this store yet"),
        "{page}"
    );
    let post = console.ask("POST /s/x/migrations/y/pause", &cookie, "{}");
    assert!(post.starts_with("HTTP/1.1 404"), "{post}");
    let ran = console.stop();
    ran.succeeded();
    assert!(
        ran.stderr
            .contains("for another browser: http://127.0.0.1:"),
        "{}",
        ran.stderr
    );
    assert_eq!(esm.files(), before);
}

#[test]
fn several_stores_are_shown_and_programs_get_the_link_for_another_browser() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 1));
    let other = esm.url("other");
    esm.run_with(orders::sorted(1, 1), &["import", "--store", &other])
        .succeeded();
    let stores = ["--store", &esm.url("store"), "--store", &other];
    let mut console = Console::start(&esm, &[&stores[..], &["--output", "json"]].concat());
    let cookie = console.sign_in();
    let shown = console.ask("GET /api/v1/stores", &cookie, "");
    for location in [esm.path("store"), esm.path("other")] {
        assert!(shown.contains(&*location.to_string_lossy()), "{shown}");
    }
    let output = console.child.stdout.as_mut().expect("a pipe");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("text");
    assert!(line.starts_with("{\"signed_in\":true"), "{line}");
    let second = link_in(&line).expect("a link");
    let (_, code) = second.split_once("/#code=").expect("a code");
    assert_ne!(code, console.code);
    console.code = code.to_owned();
    console.sign_in();
    console.stop().succeeded();
}

#[test]
fn what_cannot_be_shown_is_refused_before_anything_is() {
    let esm = Esm::new();
    let console = ["console", "--listen", "127.0.0.1:0"];
    esm.run(&console).failed(3, &["error:"]);
    esm.import(&orders::sorted(1, 1));
    esm.run(&["console", "--listen", "0.0.0.0:0"])
        .failed(2, &["loopback addresses alone", "ssh -L"]);
    let plan = esm.file("plan.json", "{}");
    esm.run(&[&console[..], &["--plan", &plan]].concat())
        .failed(2, &["not a saved plan"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    esm.run(&["console", "--listen", &address])
        .failed(4, &["cannot listen", "another program"]);
    let twice = ["--store", &esm.url("store"), "--store", &esm.url("store")];
    esm.run(&[&console[..], &twice].concat())
        .failed(2, &["the same store twice"]);
    esm.run(&[&console[..], &["--author", "eve"]].concat())
        .failed(2, &["--allow-control"]);
}
