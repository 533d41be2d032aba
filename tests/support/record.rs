//! A layer around the innermost client that records every request of an operator.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder, DynBody};
use portal_operator::runtime::operator::GenericService;
use serde_json::Value;
use tower::{BoxError, Layer, Service, layer::layer_fn, util::BoxService};

/// A request that an operator sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `apply` or `delete`.
    pub verb: &'static str,
    /// Plural of the resource, such as `deployments`; empty for discovery.
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// Such as `status`; empty for none.
    pub subresource: String,
    pub query: String,
    /// Field manager of an apply.
    pub manager: String,
    /// Body of a write; null for none.
    pub body: Value,
    /// What the server answered; `None`: nothing yet, or a failure below HTTP.
    pub status: Option<u16>,
    pub at: Instant,
}

impl Record {
    fn new(request: &Request<()>, body: Value) -> Self {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let path: Vec<&str> = request.uri().path().split('/').skip(1).collect();
        let rest = match path.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let part = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
        let manager = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("fieldManager="))
            .unwrap_or_default()
            .to_owned();
        Self {
            verb: verb(request, &query, part(1).is_empty()),
            kind: part(0),
            namespace: namespace.to_owned(),
            name: part(1),
            subresource: part(2),
            manager,
            query,
            body,
            status: None,
            at: Instant::now(),
        }
    }

    /// Whether it can change anything.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }

    /// Whether it is about a lease or an event, which are no part of a portal.
    pub fn is_aside(&self) -> bool {
        self.kind == "leases" || self.kind == "events"
    }

    /// Whether it writes an object that a portal consists of.
    pub fn is_child_write(&self) -> bool {
        self.is_write() && !self.is_aside() && self.kind != "portalplatforms"
    }
}

fn verb(request: &Request<()>, query: &str, collection: bool) -> &'static str {
    match *request.method() {
        Method::GET if query.contains("watch=") => "watch",
        Method::GET if collection => "list",
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::DELETE => "delete",
        Method::PATCH => {
            let apply = request
                .headers()
                .get("content-type")
                .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.contains("apply-patch")));
            if apply { "apply" } else { "patch" }
        }
        _ => "other",
    }
}

/// Every request so far, shared by the layers of one operator's lives.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<Vec<Record>>>);

impl Requests {
    /// All of them.
    pub fn all(&self) -> Vec<Record> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Time since the last write that is neither about a lease nor an event; `None` if there was none.
    pub fn quiet_for(&self) -> Option<Duration> {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records
            .iter()
            .rev()
            .find(|record| record.is_write() && !record.is_aside())
            .map(|record| record.at.elapsed())
    }

    /// Puts the recorder around a client.
    pub fn around(&self, builder: ClientBuilder<GenericService>) -> ClientBuilder<GenericService> {
        builder
            .with_layer(&layer_fn(|inner| Recorder {
                inner: Arc::new(tokio::sync::Mutex::new(inner)),
                requests: self.clone(),
            }))
            .with_layer(&layer_fn(BoxService::new))
    }

    fn begin(&self, record: Record) -> usize {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.push(record);
        records.len() - 1
    }

    fn end(&self, index: usize, status: u16) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records[index].status = Some(status);
    }
}

struct Recorder {
    inner: Arc<tokio::sync::Mutex<GenericService>>,
    requests: Requests,
}

impl Service<Request<Body>> for Recorder {
    type Response = Response<Box<DynBody>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = self.inner.clone();
        let requests = self.requests.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect_bytes().await?;
            let value = serde_json::from_slice(&bytes).unwrap_or_default();
            let bare = Request::from_parts(parts.clone(), ());
            let index = requests.begin(Record::new(&bare, value));
            let request = Request::from_parts(parts, Body::from(bytes.to_vec()));
            let answer = {
                let mut inner = inner.lock().await;
                futures::future::poll_fn(|context| inner.poll_ready(context)).await?;
                inner.call(request)
            };
            let response = answer.await?;
            requests.end(index, response.status().as_u16());
            Ok(response)
        })
    }
}
