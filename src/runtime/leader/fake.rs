//! An API server that knows one Lease.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{FutureExt, channel::mpsc, future::BoxFuture};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Client, client::Body};
use serde_json::json;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;
type Line = Result<Frame<Bytes>, Infallible>;

/// An API server with one Lease, its resourceVersion, and the faults that a test asks for.
#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    pub(super) lease: Option<Lease>,
    version: u64,
    pub(super) watchers: Vec<mpsc::UnboundedSender<Line>>,
    pub(super) requests: Vec<Method>,
    /// Every write answers 500.
    pub(super) broken: bool,
    /// This many writes are committed and never answered.
    pub(super) unanswered: usize,
    /// Each write takes this long, before it is committed.
    pub(super) latency: Duration,
}

impl Server {
    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        Client::new(
            tower::service_fn(move |request| server.clone().answer(request)),
            "ops",
        )
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    pub(super) fn spec(&self) -> LeaseSpec {
        self.with(|state| {
            state
                .lease
                .clone()
                .and_then(|lease| lease.spec)
                .unwrap_or_default()
        })
    }

    pub(super) fn holder(&self) -> String {
        self.spec().holder_identity.unwrap_or_default()
    }

    /// Somebody changes the Lease behind our back.
    pub(super) fn meddle(&self, change: impl FnOnce(&mut Lease)) {
        self.with(|state| {
            let mut lease = state.lease.clone().unwrap();
            change(&mut lease);
            state.commit(lease);
        });
    }

    fn answer(self, request: Request<Body>) -> BoxFuture<'static, Result<Answer, Infallible>> {
        async move {
            let (parts, body) = request.into_parts();
            let watching = parts.uri.query().unwrap_or_default().contains("watch=true");
            self.with(|state| {
                if !watching {
                    state.requests.push(parts.method.clone());
                }
            });
            if parts.method == Method::GET {
                return Ok(self.with(|state| if watching { state.watch() } else { state.get() }));
            }
            let sent: Lease = serde_json::from_slice(&body.collect_bytes().await.unwrap()).unwrap();
            tokio::time::sleep(self.with(|state| state.latency)).await;
            let (answer, silent) = self.with(|state| {
                let answer = state.put(sent);
                let silent = state.unanswered > 0;
                state.unanswered = state.unanswered.saturating_sub(1);
                (answer, silent)
            });
            if silent {
                std::future::pending::<()>().await;
            }
            Ok(answer)
        }
        .boxed()
    }
}

impl State {
    /// The Lease is deleted.
    pub(super) fn delete(&mut self) {
        let lease = self.lease.take();
        self.tell("DELETED", &json!(lease));
    }

    fn tell(&mut self, event: &str, lease: &serde_json::Value) {
        let line = Bytes::from(format!("{}\n", json!({"type": event, "object": lease})));
        self.watchers.retain(|watcher| {
            watcher
                .unbounded_send(Ok(Frame::data(line.clone())))
                .is_ok()
        });
    }

    fn get(&self) -> Answer {
        match &self.lease {
            Some(lease) => object(200, &json!(lease)),
            None => failure(404, "NotFound"),
        }
    }

    fn watch(&mut self) -> Answer {
        let (watcher, lines) = mpsc::unbounded();
        self.watchers.push(watcher);
        Response::new(StreamBody::new(lines).boxed_unsync())
    }

    fn put(&mut self, sent: Lease) -> Answer {
        if self.broken {
            return failure(500, "InternalError");
        }
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        if version(&sent) != self.lease.as_ref().and_then(version) {
            return failure(409, "Conflict");
        }
        self.commit(sent);
        self.get()
    }

    fn commit(&mut self, mut lease: Lease) {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.tell("MODIFIED", &json!(lease));
        self.lease = Some(lease);
    }
}

fn object(status: u16, object: &serde_json::Value) -> Answer {
    let body = http_body_util::Full::from(object.to_string()).boxed_unsync();
    Response::builder().status(status).body(body).unwrap()
}

fn failure(code: u16, reason: &str) -> Answer {
    object(
        code,
        &json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}),
    )
}
