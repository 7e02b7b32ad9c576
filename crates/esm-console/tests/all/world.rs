//! A store in memory with a migrated order, and a browser without a screen.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, SET_COOKIE};
use axum::http::{Method, Request, StatusCode};
use esm_console::{Console, ConsoleOptions, Source};
use esm_core::Result;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, MigrationId, ObjectId};
use esm_core::migration::MigrationService;
use esm_jq::JqTransformer;
use esm_testkit::memory::MemoryWorld;
use tower::ServiceExt as _;

/// The name under which the console is reached.
pub(crate) const NAME: &str = "127.0.0.1:7717";
/// The same as an address.
pub(crate) const LISTENING: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7717);

/// The program of all migrations here.
pub(crate) const PROGRAM: &str = r#"
if .type == "Note" then empty
elif .type == "Placed" then
  .schemaversion = 2
  | .data = (.data | {customer_name: .customer, total, address: {city}, paid: false})
elif .type == "Shipped" then
  (.type = "Packed" | .data |= {weight}), (.type = "Sent" | .data |= {carrier})
else . end"#;

/// A console, signed in to.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    service: Router,
    cookie: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

impl Browser {
    /// A browser that has signed in.
    pub(crate) async fn signed_in(console: Console) -> Self {
        let code = console.code();
        let mut browser = Self {
            service: console.into_service(),
            cookie: None,
        };
        let reply = browser.sign_in(&code).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
        let cookie = reply.headers[SET_COOKIE].to_str().unwrap();
        browser.cookie = cookie.split(';').next().map(str::to_owned);
        browser
    }

    /// The same console in a browser that has not signed in.
    pub(crate) fn stranger(&self) -> Self {
        Self {
            cookie: None,
            ..self.clone()
        }
    }

    pub(crate) fn with_cookie(&self, cookie: &str) -> Self {
        Self {
            cookie: Some(cookie.to_owned()),
            ..self.clone()
        }
    }

    pub(crate) async fn sign_in(&self, code: &str) -> Reply {
        let request = self
            .request(Method::POST, "/session")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(format!("code={code}&next=/")));
        self.send(request.unwrap()).await
    }

    /// A request with the name of the console and the cookie.
    pub(crate) fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(HOST, NAME);
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.service.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: axum::body::to_bytes(body, usize::MAX).await.unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        let request = self.request(Method::GET, path).body(Body::empty());
        self.send(request.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, json: &serde_json::Value) -> Reply {
        let request = self.request(Method::POST, path);
        let request = request.header(CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(json.to_string())).unwrap())
            .await
    }

    /// The text of a page that is there.
    pub(crate) async fn page(&self, path: &str) -> String {
        let reply = self.get(path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text());
        reply.text()
    }

    pub(crate) fn service(&self) -> Router {
        self.service.clone()
    }
}

/// A store in memory.
pub(crate) struct Shop {
    pub(crate) world: MemoryWorld,
    pub(crate) order: ObjectId,
}

/// An event with a payload.
pub(crate) fn event(id: &str, event_type: &str, payload: &str) -> Event {
    Event::new(
        EventId::new(id).unwrap(),
        EventType::new(event_type).unwrap(),
        payload.to_owned(),
    )
}

impl Shop {
    /// A store with an order.
    pub(crate) async fn new() -> Result<Self> {
        let world = MemoryWorld::new(esm_testkit::environment(7));
        let order: ObjectId = "order/1 ?#%".parse()?;
        let events = [
            event(
                "1",
                "Placed",
                r#"{"customer":"Zoë","total":5,"city":"Bonn","vip":true}"#,
            ),
            event("2", "Note", r#"{"text":"private"}"#),
            event("3", "Shipped", r#"{"weight":900,"carrier":"Post"}"#),
            event("4", "Paid", "{}"),
        ];
        world.create_object(&order, [events.to_vec()]).await?;
        Ok(Self { world, order })
    }

    /// Migrates the order.
    pub(crate) async fn migrate(&self) -> Result<MigrationId> {
        let result = self
            .world
            .migration_service()
            .migrate(self.order.clone())
            .transform(JqTransformer::compile("v2.jq", PROGRAM)?)
            .annotate("esm.transform.name", "v2.jq")
            .annotate("esm.transform.jq", PROGRAM)
            .execute()
            .await?;
        assert!(result.is_success(), "{result:?}");
        Ok(result.migration)
    }

    pub(crate) fn service(&self) -> MigrationService {
        self.world.migration_service()
    }

    pub(crate) fn source(&self) -> Source {
        let world = &self.world;
        Source::new(
            "memory:",
            world.event_store(),
            world.records(),
            world.locks(),
        )
        .with_environment(world.environment.clone())
        .with_backups("memory:", world.backups())
    }

    pub(crate) fn slug(&self) -> String {
        slug(&self.world)
    }

    pub(crate) async fn browser(&self, options: ConsoleOptions) -> Browser {
        let console = Console::new(vec![self.source()], options.listening(LISTENING)).unwrap();
        Browser::signed_in(console).await
    }
}

/// The place of a store in addresses.
pub(crate) fn slug(world: &MemoryWorld) -> String {
    use esm_core::store::EventStore as _;
    let id = world.event_store.id().to_string();
    id[id.len() - 8..].to_owned()
}

/// The transformation of the tests.
pub(crate) fn transformer() -> JqTransformer {
    JqTransformer::compile("v2.jq", PROGRAM).unwrap()
}
