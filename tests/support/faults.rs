//! A layer around the innermost client that breaks chosen requests of an operator, before they are sent or after the server has
//! committed them, and chosen events of its watches.
// Over 400 lines: one layer, whose rules, memory and stream of events belong together.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, future::BoxFuture, stream::BoxStream};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::client::{Body, ClientBuilder, DynBody};
use portal_operator::runtime::operator::GenericService;
use serde_json::{Value, json};
use tower::{BoxError, Layer, Service, ServiceExt, util::BoxService};

/// What a request is about, and how many of the same came before it. `kind` is the plural, with the subresource behind a slash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub verb: &'static str,
    pub kind: String,
    pub name: String,
    pub occurrence: usize,
}

impl Key {
    fn of<B>(request: &Request<B>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let parts: Vec<&str> = request.uri().path().split('/').skip(1).collect();
        let parts = match parts.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        let parts = match parts {
            ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
            rest => rest,
        };
        let part = |index: usize| parts.get(index).copied().unwrap_or_default().to_owned();
        let verb = match *request.method() {
            Method::GET if query.contains("watch=") => "watch",
            Method::GET if parts.len() < 2 => "list",
            Method::GET => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::DELETE => "delete",
            Method::PATCH if query.contains("fieldManager=portal-operator-handover") => "hand-over",
            Method::PATCH if query.contains("fieldManager=") => "apply",
            _ => "patch",
        };
        let kind = if parts.len() > 2 {
            format!("{}/{}", part(0), part(2))
        } else {
            part(0)
        };
        // The recorder of events makes their names up.
        let name = if kind == "events" {
            String::new()
        } else {
            part(1)
        };
        Self {
            verb,
            kind,
            name,
            occurrence: 0,
        }
    }

    /// Whether it is the same but for the number.
    pub fn same(&self, other: &Self) -> bool {
        (self.verb, &self.kind, &self.name) == (other.verb, &other.kind, &other.name)
    }

    /// Whether it is part of the work on portals: neither a watch nor about leases nor discovery.
    pub fn is_work(&self) -> bool {
        self.verb != "watch" && !self.kind.is_empty() && self.kind != "leases"
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {} {} #{}",
            self.verb, self.kind, self.name, self.occurrence
        )
    }
}

/// A request, and what the server answered if it was asked.
#[derive(Clone, Debug)]
pub struct Seen {
    pub key: Key,
    pub code: Option<u16>,
    pub at: Instant,
}

/// What is done to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operator dies before it is sent.
    CrashBefore,
    /// The operator dies after the server has committed it.
    CrashAfter,
    /// It is answered with this code, and with seconds to wait unless they are 0.
    Status(u16, u32),
    /// The connection breaks before it is sent.
    Reset,
    /// The answer is held back until [`Faults::release_answers`].
    HeldAnswer,
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
    /// It is not shown; a moment later the server has forgotten its place, so that a list follows.
    Hide,
    /// It is shown twice.
    Twice,
    /// The server says 410 Gone instead of it.
    Gone,
    /// The connection breaks in the middle of it.
    Cut,
    /// These are shown behind it.
    Then(Vec<Value>),
}

type RequestRule = Arc<dyn Fn(&Key) -> Option<Fault> + Send + Sync>;
type EventRule = Arc<dyn Fn(&Key, &Value) -> Option<EventFault> + Send + Sync>;

/// The layer's memory and rules. Clones share it.
#[derive(Clone, Default)]
pub struct Faults {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// What was asked, and what the server answered if it was asked.
    seen: Mutex<Vec<Seen>>,
    counts: Mutex<HashMap<Key, usize>>,
    requests: Mutex<Option<RequestRule>>,
    events: Mutex<Option<EventRule>>,
    struck: AtomicBool,
    strike: tokio::sync::Notify,
    released: tokio::sync::watch::Sender<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Answer = Result<Response<Box<DynBody>>, BoxError>;

impl Faults {
    /// Asks `rule` about every request but watches. Each key is numbered over all lives of the operator.
    pub fn on_requests(&self, rule: impl Fn(&Key) -> Option<Fault> + Send + Sync + 'static) {
        *lock(&self.inner.requests) = Some(Arc::new(rule));
    }

    /// Asks `rule` about every event of every watch; the key is that of the watch, numbered by its events.
    pub fn on_events(
        &self,
        rule: impl Fn(&Key, &Value) -> Option<EventFault> + Send + Sync + 'static,
    ) {
        *lock(&self.inner.events) = Some(Arc::new(rule));
    }

    /// Numbers the requests from now on anew.
    pub fn count_anew(&self) {
        lock(&self.inner.counts).clear();
    }

    /// Ends all faults; a crashed operator may live again.
    pub fn heal(&self) {
        *lock(&self.inner.requests) = None;
        *lock(&self.inner.events) = None;
        self.inner.struck.store(false, Ordering::SeqCst);
    }

    /// Lets every [`Fault::HeldAnswer`] go, those to come too.
    pub fn release_answers(&self) {
        self.inner.released.send_replace(true);
    }

    /// Every request so far but watches.
    pub fn seen(&self) -> Vec<Seen> {
        let mut seen = lock(&self.inner.seen).clone();
        seen.retain(|seen| seen.key.verb != "watch");
        seen
    }

    /// What the server created (201) and deleted, sorted.
    pub fn made_and_removed(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .seen()
            .iter()
            .filter(|seen| seen.key.kind != "events")
            .filter(|seen| match seen.code {
                Some(201) => true,
                Some(200) => seen.key.verb == "delete",
                _ => false,
            })
            .map(|seen| format!("{} {} {:?}", seen.key.kind, seen.key.name, seen.code))
            .collect();
        lines.sort();
        lines
    }

    /// Waits until a crash fault has struck.
    pub async fn crashed(&self) {
        loop {
            let notified = self.inner.strike.notified();
            if self.has_crashed() {
                return;
            }
            notified.await;
        }
    }

    /// Whether a crash fault has struck.
    pub fn has_crashed(&self) -> bool {
        self.inner.struck.load(Ordering::SeqCst)
    }

    /// For the harness, to put the layer under the recorder.
    pub fn wrap(
        &self,
    ) -> Arc<dyn Fn(ClientBuilder<GenericService>) -> ClientBuilder<GenericService> + Send + Sync>
    {
        let faults = self.clone();
        Arc::new(move |builder| builder.with_layer(&faults))
    }

    fn number(&self, mut key: Key) -> Key {
        let mut counts = lock(&self.inner.counts);
        let count = counts.entry(key.clone()).or_insert(0);
        key.occurrence = *count;
        *count += 1;
        key
    }

    fn strike(&self) {
        self.inner.struck.store(true, Ordering::SeqCst);
        self.inner.strike.notify_waiters();
    }

    async fn serve(
        self,
        inner: Arc<tokio::sync::Mutex<GenericService>>,
        request: Request<Body>,
    ) -> Answer {
        // A dead operator sends nothing more.
        if self.has_crashed() {
            return std::future::pending().await;
        }
        let key = Key::of(&request);
        let key = if key.verb == "watch" {
            key
        } else {
            self.number(key)
        };
        let index = {
            let mut seen = lock(&self.inner.seen);
            seen.push(Seen {
                key: key.clone(),
                code: None,
                at: Instant::now(),
            });
            seen.len() - 1
        };
        let rule = lock(&self.inner.requests).clone();
        let fault = rule
            .filter(|_| key.verb != "watch")
            .and_then(|rule| rule(&key));
        match fault {
            Some(Fault::CrashBefore) => {
                self.strike();
                return std::future::pending().await;
            }
            Some(Fault::Status(code, wait)) => return Ok(refusal(code, wait)),
            Some(Fault::Reset) => return Err("connection reset by the fault layer".into()),
            Some(Fault::Hang(time)) => {
                tokio::time::sleep(time).await;
                return Err("connection given up by the fault layer".into());
            }
            _ => {}
        }
        let answer = {
            let mut inner = inner.lock().await;
            inner.ready().await?.call(request)
        };
        let rest = async move {
            let answer = answer.await?;
            lock(&self.inner.seen)[index].code = Some(answer.status().as_u16());
            self.after(key, fault, answer).await
        };
        if fault == Some(Fault::CrashAfter) {
            // On a busy machine the operator may give it up before the server has committed it.
            tokio::spawn(rest);
            return std::future::pending().await;
        }
        rest.await
    }

    async fn after(
        &self,
        key: Key,
        fault: Option<Fault>,
        answer: Response<Box<DynBody>>,
    ) -> Answer {
        let (head, body) = answer.into_parts();
        match fault {
            Some(Fault::CrashAfter) => {
                let _ = body.collect().await;
                self.strike();
                std::future::pending().await
            }
            Some(Fault::HeldAnswer) => {
                let _ = self
                    .inner
                    .released
                    .subscribe()
                    .wait_for(|released| *released)
                    .await;
                Ok(Response::from_parts(head, body))
            }
            Some(Fault::LostAnswer) => {
                let _ = body.collect().await;
                Err("connection reset by the fault layer behind the request".into())
            }
            Some(Fault::BadJson) => {
                let _ = body.collect().await;
                let page = Bytes::from_static(b"<html>no gateway</html>");
                Ok(Response::from_parts(head, whole(page)))
            }
            Some(Fault::HalfBody) => {
                let bytes = body.collect().await?.to_bytes();
                let half = bytes.slice(..bytes.len() / 2);
                let frames = [Ok(Frame::data(half)), Err("connection reset".into())];
                let body = streamed(futures::stream::iter(frames).boxed());
                Ok(Response::from_parts(head, body))
            }
            _ if key.verb == "watch" && head.status.is_success() => {
                Ok(Response::from_parts(head, self.filter(key, body)))
            }
            _ => Ok(Response::from_parts(head, body)),
        }
    }

    /// The body of a watch, line by line, with the faults of the rule.
    fn filter(&self, key: Key, body: Box<DynBody>) -> Box<DynBody> {
        let lines = Lines {
            faults: self.clone(),
            key,
            body,
            buffer: Vec::new(),
            last: Last::No,
        };
        streamed(futures::stream::unfold(lines, Lines::next).boxed())
    }
}

impl Layer<GenericService> for Faults {
    type Service = GenericService;

    fn layer(&self, inner: GenericService) -> GenericService {
        let faults = self.clone();
        let inner = Arc::new(tokio::sync::Mutex::new(inner));
        BoxService::new(tower::service_fn(
            move |request: Request<Body>| -> BoxFuture<'static, Answer> {
                Box::pin(faults.clone().serve(inner.clone(), request))
            },
        ))
    }
}

type Part = Result<Frame<Bytes>, BoxError>;

/// How a watch goes on behind a line.
enum Last {
    No,
    Ended,
    Broken,
}

struct Lines {
    faults: Faults,
    key: Key,
    body: Box<DynBody>,
    buffer: Vec<u8>,
    last: Last,
}

impl Lines {
    async fn next(mut self) -> Option<(Part, Self)> {
        match self.last {
            Last::No => {}
            Last::Ended => return None,
            Last::Broken => {
                self.last = Last::Ended;
                return Some((Err("connection reset within an event".into()), self));
            }
        }
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let bytes = self.event(line).await;
                return Some((Ok(Frame::data(bytes)), self));
            }
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Err(error) => return Some((Err(error), self)),
            }
        }
    }

    async fn event(&mut self, line: Vec<u8>) -> Bytes {
        let rule = lock(&self.faults.inner.events).clone();
        let (Some(rule), Ok(event)) = (rule, serde_json::from_slice::<Value>(&line)) else {
            return line.into();
        };
        let key = self.faults.number(self.key.clone());
        match rule(&key, &event) {
            None => line.into(),
            Some(EventFault::Twice) => [line.clone(), line].concat().into(),
            Some(EventFault::Gone) => {
                self.last = Last::Ended;
                gone()
            }
            Some(EventFault::Hide) => {
                tokio::time::sleep(Duration::from_millis(500)).await;
                self.last = Last::Ended;
                gone()
            }
            Some(EventFault::Cut) => {
                self.last = Last::Broken;
                line[..line.len() / 2].to_vec().into()
            }
            Some(EventFault::Then(more)) => {
                let mut lines = line;
                for event in more {
                    lines.extend_from_slice(format!("{event}\n").as_bytes());
                }
                lines.into()
            }
        }
    }
}

fn gone() -> Bytes {
    let status = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "metadata": {},
        "status": "Failure", "message": "too old resource version", "reason": "Expired", "code": 410}});
    Bytes::from(format!("{status}\n"))
}

fn whole(bytes: Bytes) -> Box<DynBody> {
    Box::new(Full::new(bytes).map_err(|never| match never {}))
}

fn streamed(parts: BoxStream<'static, Part>) -> Box<DynBody> {
    Box::new(StreamBody::new(parts))
}

/// An answer as the API server words it.
fn refusal(code: u16, wait: u32) -> Response<Box<DynBody>> {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": reason, "message": "by the fault layer", "details": {"retryAfterSeconds": wait}});
    let mut answer = Response::builder()
        .status(code)
        .header("content-type", "application/json");
    if wait > 0 {
        answer = answer.header("retry-after", wait);
    }
    answer
        .body(whole(Bytes::from(body.to_string())))
        .expect("a code and two headers are a response")
}
