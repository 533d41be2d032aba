//! A layer around the client that lets no write pass once the lease has lapsed.

use std::{
    fmt,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use tower::{BoxError, Layer, Service};

use super::term::Term;

/// The Lease itself must be writable by a candidate; nothing else is.
const LEASES: &str = "/apis/coordination.k8s.io/";

/// Refuses every request but reads and those on leases while [`Term::is_leading`] is false.
///
/// A write in flight when the term ends is dropped, so that none waits for a connection and leaves late.
#[derive(Debug, Clone)]
pub struct LeaderGate {
    term: Term,
}

impl LeaderGate {
    /// A gate that is open during `term`.
    #[must_use]
    pub const fn new(term: Term) -> Self {
        Self { term }
    }
}

impl<S> Layer<S> for LeaderGate {
    type Service = LeaderGateService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LeaderGateService {
            inner,
            term: self.term.clone(),
        }
    }
}

/// The service of [`LeaderGate`].
#[derive(Debug, Clone)]
pub struct LeaderGateService<S> {
    inner: S,
    term: Term,
}

impl<S, A, B> Service<Request<A>> for LeaderGateService<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        if is_free(request.method(), request.uri().path()) {
            let answer = self.inner.call(request);
            return Box::pin(async move { answer.await.map_err(Into::into) });
        }
        if !self.term.is_leading() {
            return Box::pin(async { Err(NotLeading.into()) });
        }
        let answer = self.inner.call(request);
        let term = self.term.clone();
        Box::pin(async move {
            tokio::select! {
                // The end of the term goes first: it must be seen before the request is polled.
                biased;
                () = term.lost() => Err(NotLeading.into()),
                answer = answer => answer.map_err(Into::into),
            }
        })
    }
}

/// Whether a request needs no leadership.
fn is_free(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || path.starts_with(LEASES)
}

/// A write was refused, or given up, because this process does not hold the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotLeading;

impl fmt::Display for NotLeading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("refused to write without holding the lease")
    }
}

impl std::error::Error for NotLeading {}

/// Whether a client error means that the gate refused the request.
#[must_use]
pub fn is_not_leading(error: &kube::Error) -> bool {
    super::requests::caused_by::<NotLeading>(error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{
        Api, Client,
        api::{DeleteParams, PostParams},
        client::{Body, ClientBuilder},
    };
    use tokio::time::Instant;

    use super::*;
    use crate::runtime::term;

    /// A client behind a gate, on a server that knows one `ConfigMap` and answers after `delay`.
    fn gated(term: Term, delay: Duration) -> Client {
        let server = tower::service_fn(move |_: Request<Body>| async move {
            tokio::time::sleep(delay).await;
            let body = br#"{"metadata":{"name":"notes"}}"#.to_vec();
            Ok::<_, BoxError>(Response::new(Body::from(body)))
        });
        ClientBuilder::new(server, "team")
            .with_layer(&LeaderGate::new(term))
            .build()
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_may_read_but_not_write() {
        let (_leading, term) = term::channel();
        let notes: Api<ConfigMap> = Api::default_namespaced(gated(term, Duration::ZERO));
        assert!(notes.get("notes").await.is_ok());
        let refused = notes
            .delete("notes", &DeleteParams::default())
            .await
            .unwrap_err();
        assert!(is_not_leading(&refused), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_writes_until_its_lease_lapses() {
        let (leading, term) = term::channel();
        leading.grant(Instant::now() + Duration::from_secs(5));
        let notes: Api<ConfigMap> = Api::default_namespaced(gated(term, Duration::ZERO));
        assert!(
            notes
                .create(&PostParams::default(), &ConfigMap::default())
                .await
                .is_ok()
        );
        tokio::time::advance(Duration::from_secs(5)).await;
        let refused = notes
            .create(&PostParams::default(), &ConfigMap::default())
            .await
            .unwrap_err();
        assert!(is_not_leading(&refused), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_in_flight_is_given_up_when_the_lease_lapses() {
        let (leading, term) = term::channel();
        let started = Instant::now();
        leading.grant(started + Duration::from_secs(5));
        let notes: Api<ConfigMap> = Api::default_namespaced(gated(term, Duration::from_secs(9)));
        let refused = notes
            .create(&PostParams::default(), &ConfigMap::default())
            .await
            .unwrap_err();
        assert!(is_not_leading(&refused), "{refused}");
        assert_eq!(started.elapsed().as_secs(), 5);
    }

    #[test]
    fn only_reads_and_leases_are_free() {
        let lease = "/apis/coordination.k8s.io/v1/namespaces/team/leases/portal-operator";
        assert!(is_free(&Method::PUT, lease));
        assert!(is_free(
            &Method::GET,
            "/api/v1/namespaces/team/services/leases"
        ));
        for method in [Method::PUT, Method::PATCH, Method::POST, Method::DELETE] {
            assert!(
                !is_free(&method, "/api/v1/namespaces/team/services/leases"),
                "{method}"
            );
        }
    }
}
