//! A layer around the innermost client that records every request of an operator and breaks the chosen ones, before they are
//! sent or after the server has committed them; and a filter of watch events.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::client::{Body, ClientBuilder, DynBody};
use portal_operator::runtime::operator::{Connect, GenericService};
use serde_json::{Value, json};
use tower::{BoxError, Layer, Service, ServiceExt, util::BoxService};

/// What a request is about. `kind` is the plural, with the subresource behind a slash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    pub verb: &'static str,
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl Call {
    fn of(request: &Request<Bytes>) -> Self {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let mut parts: Vec<&str> = request
            .uri()
            .path()
            .split('/')
            .filter(|part| !part.is_empty())
            .collect();
        let behind_group = match parts.first() {
            Some(&"api") => 2,
            Some(&"apis") => 3,
            _ => parts.len(),
        };
        let mut parts = parts.split_off(behind_group.min(parts.len()));
        let mut namespace = String::new();
        if parts.len() > 2 && parts[0] == "namespaces" {
            namespace = parts[1].to_owned();
            parts.drain(..2);
        }
        let name = parts.get(1).copied().unwrap_or_default();
        let mut kind = parts.first().copied().unwrap_or("discovery").to_owned();
        if let Some(subresource) = parts.get(2) {
            kind = format!("{kind}/{subresource}");
        }
        let verb = match *request.method() {
            Method::GET if query.contains("watch=true") || query.contains("watch=1") => "watch",
            Method::GET if name.is_empty() => "list",
            Method::GET => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::DELETE => "delete",
            Method::PATCH if query.contains("fieldManager=portal-operator-handover") => "hand-over",
            Method::PATCH if query.contains("fieldManager=") => "apply",
            Method::PATCH => "patch",
            _ => "other",
        };
        // The recorder of events makes their names up.
        let name = if kind == "events" { "" } else { name };
        Self {
            verb,
            namespace,
            name: name.to_owned(),
            kind,
        }
    }

    /// Whether it changes anything.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }

    /// Whether it is part of the work on portals: neither a watch nor about leases nor discovery.
    pub fn is_work(&self) -> bool {
        self.verb != "watch" && self.kind != "leases" && self.kind != "discovery"
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.verb, self.kind, self.name)
    }
}

/// A request as it was seen.
#[derive(Clone, Debug)]
pub struct Record {
    pub call: Call,
    /// How many of the same came before it.
    pub occurrence: usize,
    pub query: String,
    pub body: Value,
    /// What the server answered; `None`: nothing that the operator heard of, and not known.
    pub code: Option<u16>,
    /// What the fault layer did to it.
    pub fault: Option<Fault>,
    pub at: Instant,
}

/// What is done to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operator dies before it is sent.
    CrashBefore,
    /// The operator dies after the server has committed it.
    CrashAfter,
    /// It is answered with this code, and with a time to wait if there is one.
    Status(u16, Option<u32>),
    /// The connection breaks before it is sent.
    Reset,
    /// The connection breaks after the server has committed it.
    LostAnswer,
    /// It is held for so long, and then the connection breaks.
    Hang(Duration),
    /// It is committed, and the answer is no JSON.
    BadJson,
    /// It is committed, and the connection breaks in the middle of the answer.
    HalfBody,
}

/// What is done to one event of a watch.
#[derive(Clone, Debug, PartialEq)]
pub enum EventFault {
    /// It passes.
    Pass,
    /// It is not shown, and the watch ends a little later as if the server had forgotten its place, so that a list follows.
    Hide,
    /// It is shown twice.
    Twice,
    /// The watch ends with 410 Gone instead of it.
    Gone,
    /// The connection breaks in the middle of it.
    Cut,
    /// These are shown behind it.
    Then(Vec<Value>),
}

type RequestRule = Arc<dyn Fn(&Call, usize) -> Option<Fault> + Send + Sync>;
type EventRule = Arc<dyn Fn(&Call, usize, &Value) -> EventFault + Send + Sync>;

/// The layer's memory and rules. Clones share it.
#[derive(Clone, Default)]
pub struct Faults {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    records: Mutex<Vec<Record>>,
    counts: Mutex<HashMap<Call, usize>>,
    events: Mutex<HashMap<Call, usize>>,
    request_rule: Mutex<Option<RequestRule>>,
    event_rule: Mutex<Option<EventRule>>,
    crashed: AtomicBool,
    crash: tokio::sync::Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Faults {
    /// Asks `rule` about every request but watches.
    pub fn on_requests(
        &self,
        rule: impl Fn(&Call, usize) -> Option<Fault> + Send + Sync + 'static,
    ) {
        *lock(&self.inner.request_rule) = Some(Arc::new(rule));
    }

    /// Asks `rule` about every event of every watch; the number counts the events of the same watched kind.
    pub fn on_events(
        &self,
        rule: impl Fn(&Call, usize, &Value) -> EventFault + Send + Sync + 'static,
    ) {
        *lock(&self.inner.event_rule) = Some(Arc::new(rule));
    }

    /// Ends all faults.
    pub fn heal(&self) {
        *lock(&self.inner.request_rule) = None;
        *lock(&self.inner.event_rule) = None;
    }

    /// All requests so far.
    pub fn records(&self) -> Vec<Record> {
        lock(&self.inner.records).clone()
    }

    /// The requests about portals and their children, without watches, leases and discovery.
    pub fn work(&self) -> Vec<Record> {
        let mut records = self.records();
        records.retain(|record| record.call.is_work());
        records
    }

    /// Forgets the requests so far, but not how many they were.
    pub fn forget(&self) {
        lock(&self.inner.records).clear();
    }

    /// Waits until a crash fault has struck.
    pub async fn crashed(&self) {
        loop {
            let notified = self.inner.crash.notified();
            if self.inner.crashed.load(Ordering::SeqCst) {
                return;
            }
            notified.await;
        }
    }

    /// Whether a crash fault has struck.
    pub fn has_crashed(&self) -> bool {
        self.inner.crashed.load(Ordering::SeqCst)
    }

    /// Since when no request about portals was seen; `None`: there was none.
    pub fn last_work(&self) -> Option<Instant> {
        lock(&self.inner.records)
            .iter()
            .rev()
            .find(|record| record.call.is_work())
            .map(|record| record.at)
    }

    /// Puts the layer under an operator's client.
    pub fn wrap(&self, connect: Box<Connect>) -> Box<Connect> {
        let faults = self.clone();
        Box::new(move || -> Result<ClientBuilder<GenericService>, kube::Error> {
            Ok(connect()?.with_layer(&faults))
        })
    }

    fn begin(&self, call: &Call, query: &str, body: &Bytes) -> (usize, usize, Option<Fault>) {
        let occurrence = {
            let mut counts = lock(&self.inner.counts);
            let count = counts.entry(call.clone()).or_insert(0);
            *count += 1;
            *count - 1
        };
        let rule = lock(&self.inner.request_rule).clone();
        let fault = match rule {
            // A dead operator sends nothing more.
            _ if self.has_crashed() => Some(Fault::CrashBefore),
            Some(rule) if call.verb != "watch" => rule(call, occurrence),
            _ => None,
        };
        let mut records = lock(&self.inner.records);
        records.push(Record {
            call: call.clone(),
            occurrence,
            query: query.to_owned(),
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
            code: None,
            fault,
            at: Instant::now(),
        });
        (records.len() - 1, occurrence, fault)
    }

    fn end(&self, index: usize, call: &Call, code: u16) {
        // The records may have been forgotten meanwhile.
        if let Some(record) = lock(&self.inner.records).get_mut(index)
            && record.call == *call
        {
            record.code = Some(code);
        }
    }

    fn strike(&self) {
        self.inner.crashed.store(true, Ordering::SeqCst);
        self.inner.crash.notify_waiters();
    }
}

impl Layer<GenericService> for Faults {
    type Service = GenericService;

    fn layer(&self, inner: GenericService) -> GenericService {
        let faults = self.clone();
        // The innermost service is a connection pool: a buffer makes it shareable between requests.
        let inner = Arc::new(tokio::sync::Mutex::new(inner));
        BoxService::new(tower::service_fn(move |request: Request<Body>| {
            faults.clone().serve(inner.clone(), request)
        }))
    }
}

type Answer = Result<Response<Box<DynBody>>, BoxError>;

impl Faults {
    fn serve(
        self,
        inner: Arc<tokio::sync::Mutex<GenericService>>,
        request: Request<Body>,
    ) -> BoxFuture<'static, Answer> {
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let request = Request::from_parts(head, body);
            let call = Call::of(&request);
            let query = request.uri().query().unwrap_or_default().to_owned();
            let (index, _, fault) = self.begin(&call, &query, request.body());
            match fault {
                Some(Fault::CrashBefore) => {
                    self.strike();
                    return std::future::pending().await;
                }
                Some(Fault::Status(code, wait)) => {
                    self.end(index, &call, code);
                    return Ok(refusal(code, wait));
                }
                Some(Fault::Reset) => return Err("connection reset by the fault layer".into()),
                Some(Fault::Hang(time)) => {
                    tokio::time::sleep(time).await;
                    return Err("connection given up by the fault layer".into());
                }
                _ => {}
            }
            let answer = {
                let mut inner = inner.lock().await;
                inner.ready().await?.call(request.map(Body::from))
            };
            let answer = answer.await?;
            self.end(index, &call, answer.status().as_u16());
            self.after(call, fault, answer).await
        }
        .boxed()
    }

    async fn after(&self, call: Call, fault: Option<Fault>, answer: Response<Box<DynBody>>) -> Answer {
        match fault {
            Some(Fault::CrashAfter) => {
                let _ = answer.into_body().collect().await;
                self.strike();
                std::future::pending().await
            }
            Some(Fault::LostAnswer) => {
                let _ = answer.into_body().collect().await;
                Err("connection reset by the fault layer behind the request".into())
            }
            Some(Fault::BadJson) => {
                let (head, body) = answer.into_parts();
                let _ = body.collect().await;
                Ok(Response::from_parts(head, whole(Bytes::from_static(b"<html>no gateway</html>"))))
            }
            Some(Fault::HalfBody) => {
                let (head, body) = answer.into_parts();
                let bytes = body.collect().await?.to_bytes();
                let half = bytes.slice(..bytes.len() / 2);
                let frames = [Ok(Frame::data(half)), Err("connection reset within the answer".into())];
                Ok(Response::from_parts(head, streamed(futures::stream::iter(frames).boxed())))
            }
            _ if call.verb == "watch" && answer.status().is_success() => {
                let (head, body) = answer.into_parts();
                Ok(Response::from_parts(head, self.filter(call, body)))
            }
            _ => Ok(answer),
        }
    }

    /// The body of a watch, line by line, with the faults of the rule.
    fn filter(&self, call: Call, body: Box<DynBody>) -> Box<DynBody> {
        struct Lines {
            body: Box<DynBody>,
            buffer: Vec<u8>,
            ending: Option<Vec<Result<Frame<Bytes>, BoxError>>>,
        }
        let faults = self.clone();
        let lines = Lines {
            body,
            buffer: Vec::new(),
            ending: None,
        };
        let stream = futures::stream::unfold(lines, move |mut lines| {
            let (faults, call) = (faults.clone(), call.clone());
            async move {
                if let Some(ending) = lines.ending.as_mut() {
                    let last = ending.pop()?;
                    return Some((last, lines));
                }
                loop {
                    if let Some(end) = lines.buffer.iter().position(|byte| *byte == b'\n') {
                        let line: Vec<u8> = lines.buffer.drain(..=end).collect();
                        let (bytes, ending) = faults.event(&call, line).await;
                        lines.ending = ending;
                        return Some((Ok(Frame::data(bytes)), lines));
                    }
                    match lines.body.frame().await? {
                        Ok(frame) => match frame.into_data() {
                            Ok(data) => lines.buffer.extend_from_slice(&data),
                            Err(_) => continue,
                        },
                        Err(error) => return Some((Err(error), lines)),
                    }
                }
            }
        });
        streamed(stream.boxed())
    }

    /// What becomes of one line of a watch, and how the watch ends if it ends here, last part first.
    async fn event(
        &self,
        call: &Call,
        line: Vec<u8>,
    ) -> (Bytes, Option<Vec<Result<Frame<Bytes>, BoxError>>>) {
        let rule = lock(&self.inner.event_rule).clone();
        let (Some(rule), Ok(event)) = (rule, serde_json::from_slice::<Value>(&line)) else {
            return (line.into(), None);
        };
        let number = {
            let mut events = lock(&self.inner.events);
            let count = events.entry(call.clone()).or_insert(0);
            *count += 1;
            *count - 1
        };
        let gone = || {
            let status = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "metadata": {},
                "status": "Failure", "message": "too old resource version", "reason": "Expired", "code": 410}});
            Bytes::from(format!("{status}\n"))
        };
        match rule(call, number, &event) {
            EventFault::Pass => (line.into(), None),
            EventFault::Twice => ([line.clone(), line].concat().into(), None),
            EventFault::Gone => (gone(), Some(Vec::new())),
            EventFault::Hide => {
                tokio::time::sleep(Duration::from_millis(500)).await;
                (gone(), Some(Vec::new()))
            }
            EventFault::Cut => {
                let half = Bytes::from(line[..line.len() / 2].to_vec());
                (half, Some(vec![Err("connection reset within an event".into())]))
            }
            EventFault::Then(more) => {
                let mut lines = line;
                for event in more {
                    lines.extend_from_slice(event.to_string().as_bytes());
                    lines.push(b'\n');
                }
                (lines.into(), None)
            }
        }
    }
}

fn whole(bytes: Bytes) -> Box<DynBody> {
    Box::new(Full::new(bytes).map_err(|never| match never {}))
}

fn streamed(frames: BoxStream<'static, Result<Frame<Bytes>, BoxError>>) -> Box<DynBody> {
    Box::new(StreamBody::new(frames))
}

/// An answer as the API server words it.
fn refusal(code: u16, wait: Option<u32>) -> Response<Box<DynBody>> {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": reason, "message": "by the fault layer", "details": {"retryAfterSeconds": wait.unwrap_or(0)}});
    let mut answer = Response::builder()
        .status(code)
        .header("content-type", "application/json");
    if let Some(wait) = wait {
        answer = answer.header("retry-after", wait);
    }
    answer
        .body(whole(Bytes::from(body.to_string())))
        .expect("a status and two headers are a response")
}
