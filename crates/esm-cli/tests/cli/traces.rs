//! `--otlp`: a collector receives the traces of migrations and appends.
#![cfg(feature = "otlp")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::esm::Esm;
use crate::orders;

/// A collector that keeps what it receives.
struct Collector {
    address: String,
    received: Receiver<ExportTraceServiceRequest>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (keep, received) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keep = keep.clone();
                std::thread::spawn(move || receive(stream, &keep));
            }
        });
        Self {
            address: format!("http://{address}"),
            received,
        }
    }

    /// All spans that came, with the attributes of their process.
    fn spans(&self) -> Vec<Span> {
        let requests = self.received.try_iter();
        let resources = requests.flat_map(|request| request.resource_spans);
        let mut spans = Vec::new();
        for resource in resources {
            let process = attributes(&resource.resource.expect("a resource").attributes);
            assert_eq!(process["service.name"], "esm");
            let scopes = resource.scope_spans.into_iter();
            spans.extend(scopes.flat_map(|scope| scope.spans));
        }
        spans
    }
}

/// Receives requests until the client closes the connection.
fn receive(stream: TcpStream, keep: &Sender<ExportTraceServiceRequest>) -> Option<()> {
    let mut answers = stream.try_clone().ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        let length = head
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "));
        let mut body = vec![0; length?.parse().ok()?];
        stream.read_exact(&mut body).ok()?;
        keep.send(ExportTraceServiceRequest::decode(&*body).expect("spans"))
            .ok()?;
        let answer =
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        answers.write_all(answer).ok()?;
    }
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    };
    let pairs = all.iter();
    pairs
        .filter_map(|pair| Some((pair.key.clone(), text(pair)?)))
        .collect()
}

#[test]
fn a_collector_receives_the_traces_of_a_migration_and_of_appends() {
    let esm = Esm::new();
    let collector = Collector::start();
    let otlp = ["--otlp", &collector.address];
    let import = [&["import"], &otlp[..]].concat();
    esm.run_with(orders::sorted(3, 2), &import).succeeded();
    let appends = collector.spans();
    let appended: Vec<_> = appends
        .iter()
        .filter(|span| span.name == "append")
        .collect();
    assert!(!appended.is_empty(), "{appends:?}");
    let first = attributes(&appended[0].attributes);
    assert!(first["object"].starts_with("order/"), "{first:?}");

    let program = esm.file("v2.jq", ".schemaversion = 2");
    let migrate = [
        "migrate",
        "--all",
        "--yes",
        "--transform",
        &program,
        "--output",
        "json",
    ];
    let ran = esm.run(&[&migrate[..], &otlp].concat());
    let result = ran.succeeded().json();
    let spans = collector.spans();
    let named = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    let migration = named("migration").next().expect("a migration");
    let of_migration = attributes(&migration.attributes);
    assert_eq!(
        of_migration["migration"],
        result["migration"].as_str().expect("an id")
    );
    let objects: Vec<_> = named("object").collect();
    assert_eq!(objects.len(), 3, "{spans:?}");
    for object in objects {
        assert_eq!(object.trace_id, migration.trace_id);
        assert!(object.end_time_unix_nano >= object.start_time_unix_nano);
    }
}

#[test]
fn a_collector_that_is_away_fails_nothing_and_what_is_none_is_refused() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 1));
    let program = esm.file("v2.jq", ".schemaversion = 2");
    let migrate = ["migrate", "--all", "--yes", "--transform", &program];
    let away = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", listener.local_addr().expect("an address"))
    };
    esm.run(&[&migrate[..], &["--otlp", &away]].concat())
        .succeeded();
    for wrong in ["localhost:4318", "nonsense"] {
        esm.run(&["list", "--otlp", wrong])
            .failed(2, &["not the URL of a collector", "http://localhost:4318"]);
    }
}
