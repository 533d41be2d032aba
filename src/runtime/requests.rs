//! A layer around the client: a deadline for every request that is not a watch, a count and a debug line for each.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tower::{BoxError, Layer, Service};
use tracing::debug;

use super::{
    metrics::{Metrics, RequestCode, RequestVerb},
    watch::Beats,
};

/// Longest time a request may take, its whole answer included.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Bounds and counts the requests of a client.
///
/// Use it with kube's own retry switched off, so that a call ends by the deadline:
/// `config.default_retry = false; ClientBuilder::try_from(config)?.with_layer(&layer).build()`.
#[derive(Debug, Clone)]
pub struct Requests {
    metrics: Metrics,
    beats: Beats,
    deadline: Duration,
}

impl Requests {
    /// A layer with the usual [`DEADLINE`].
    #[must_use]
    pub const fn new(metrics: Metrics, beats: Beats) -> Self {
        Self {
            metrics,
            beats,
            deadline: DEADLINE,
        }
    }
}

impl<S> Layer<S> for Requests {
    type Service = RequestsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestsService {
            inner,
            settings: self.clone(),
        }
    }
}

/// The service of [`Requests`].
#[derive(Debug, Clone)]
pub struct RequestsService<S> {
    inner: S,
    settings: Requests,
}

impl<S, A, B> Service<Request<A>> for RequestsService<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<DeadlineBody<B>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let started = Instant::now();
        let verb = verb_of(
            request.method(),
            request.uri().path(),
            request.uri().query(),
        );
        let resource = resource_of(request.uri().path()).to_owned();
        let deadline = (verb != RequestVerb::Watch).then(|| started + self.settings.deadline);
        let metrics = self.settings.metrics.clone();
        let beats = self.settings.beats.clone();
        let watched = (verb == RequestVerb::Watch).then(|| request.uri().path().to_owned());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let outcome = match deadline {
                Some(deadline) => timeout_at(deadline, answer)
                    .await
                    .map_err(|_| DeadlineExceeded),
                None => Ok(answer.await),
            };
            let code = match &outcome {
                Ok(Ok(response)) => RequestCode::Status(response.status().as_u16()),
                Ok(Err(_)) => RequestCode::Error,
                Err(DeadlineExceeded) => RequestCode::Timeout,
            };
            debug!(?verb, resource, ?code, elapsed = ?started.elapsed(), "request");
            metrics.request(verb, &resource, code);
            if let (Some(path), RequestCode::Status(200)) = (&watched, code)
                && let Some(kind) = beats.heard(path)
            {
                metrics.watch_succeeded(kind);
            }
            let response = outcome?.map_err(Into::into)?;
            Ok(response.map(|body| DeadlineBody::new(body, deadline)))
        })
    }
}

/// A response body that fails when the deadline of its request has passed.
#[derive(Debug)]
pub struct DeadlineBody<B> {
    inner: Pin<Box<B>>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<B> DeadlineBody<B> {
    fn new(body: B, deadline: Option<Instant>) -> Self {
        Self {
            inner: Box::pin(body),
            deadline: deadline.map(|at| Box::pin(sleep_until(at))),
        }
    }
}

impl<B: Body> Body for DeadlineBody<B>
where
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        if let Poll::Ready(frame) = self.inner.as_mut().poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        match self
            .deadline
            .as_mut()
            .map(|deadline| deadline.as_mut().poll(context))
        {
            Some(Poll::Ready(())) => Poll::Ready(Some(Err(DeadlineExceeded.into()))),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A request was not answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlineExceeded;

impl fmt::Display for DeadlineExceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "failed to get an answer within {} s",
            DEADLINE.as_secs()
        )
    }
}

impl std::error::Error for DeadlineExceeded {}

/// Whether a client error means that the deadline of the request passed.
#[must_use]
pub fn is_timeout(error: &kube::Error) -> bool {
    caused_by::<DeadlineExceeded>(error)
}

/// Whether an error of type `E` is in the chain of causes.
pub(super) fn caused_by<E: std::error::Error + 'static>(
    error: &(dyn std::error::Error + 'static),
) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(<dyn std::error::Error>::is::<E>)
}

/// The Kubernetes verb of a request.
fn verb_of(method: &Method, path: &str, query: Option<&str>) -> RequestVerb {
    match *method {
        Method::GET if is_watch(query) => RequestVerb::Watch,
        Method::GET if names_object(path) => RequestVerb::Get,
        Method::GET => RequestVerb::List,
        Method::POST => RequestVerb::Create,
        Method::PUT => RequestVerb::Update,
        Method::PATCH => RequestVerb::Patch,
        Method::DELETE => RequestVerb::Delete,
        _ => RequestVerb::Other,
    }
}

fn is_watch(query: Option<&str>) -> bool {
    query
        .unwrap_or_default()
        .split('&')
        .any(|pair| matches!(pair, "watch=true" | "watch=1"))
}

/// The parts of a path after group, version and namespace: plural, name, subresource.
fn object_parts(path: &str) -> Option<impl Iterator<Item = &str> + Clone> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let behind_group = match parts.next()? {
        "api" => 1,
        "apis" => 2,
        _ => return None,
    };
    let parts = parts.skip(behind_group);
    // `/api/v1/namespaces/team` is a Namespace, `/api/v1/namespaces/team/pods` are Pods.
    let mut ahead = parts.clone();
    let in_namespace = ahead.next() == Some("namespaces") && ahead.nth(1).is_some();
    Some(parts.skip(if in_namespace { 2 } else { 0 }))
}

fn names_object(path: &str) -> bool {
    object_parts(path).is_none_or(|parts| parts.count() != 1)
}

/// The plural of the resource; a fixed word for what is no resource.
fn resource_of(path: &str) -> &str {
    object_parts(path)
        .and_then(|mut parts| parts.next())
        .unwrap_or("discovery")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::StreamExt;
    use http_body_util::StreamBody;
    use hyper::body::Bytes;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{Api, Client, api::WatchParams, client::ClientBuilder};

    use super::*;
    use crate::runtime::term;

    fn metrics() -> Metrics {
        Metrics::new("1.2.3", term::channel().1)
    }

    /// A client on a server that sends the head of its answer after `head` and then half a body, and no more.
    fn slow(head: Duration, metrics: Metrics) -> Client {
        let server = tower::service_fn(move |_: Request<kube::client::Body>| async move {
            tokio::time::sleep(head).await;
            let half = Ok::<_, Infallible>(Frame::data(Bytes::from_static(br#"{"metadata":{"#)));
            let body = futures::stream::iter([half]).chain(futures::stream::pending());
            Ok::<_, BoxError>(Response::new(StreamBody::new(body)))
        });
        ClientBuilder::new(server, "team")
            .with_layer(&Requests::new(metrics, Beats::default()))
            .build()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_begin_is_given_up_after_ten_seconds() {
        let (metrics, started) = (metrics(), Instant::now());
        let notes: Api<ConfigMap> =
            Api::default_namespaced(slow(Duration::from_mins(1), metrics.clone()));
        let error = notes.get("notes").await.unwrap_err();
        assert!(is_timeout(&error), "{error}");
        assert_eq!(started.elapsed().as_secs(), 10);
        let counted = r#"http_requests_total{verb="get",resource="configmaps",code="timeout"} 1"#;
        assert!(metrics.encode().contains(counted), "{}", metrics.encode());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_end_is_given_up_after_ten_seconds() {
        let started = Instant::now();
        let notes: Api<ConfigMap> =
            Api::default_namespaced(slow(Duration::from_secs(4), metrics()));
        let error = notes.get("notes").await.unwrap_err();
        assert!(is_timeout(&error), "{error}");
        assert_eq!(started.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_has_no_deadline() {
        let notes: Api<ConfigMap> =
            Api::default_namespaced(slow(Duration::from_mins(1), metrics()));
        let mut events = Box::pin(notes.watch(&WatchParams::default(), "0").await.unwrap());
        let silence = tokio::time::timeout(Duration::from_hours(1), events.next()).await;
        assert!(silence.is_err());
    }

    #[test]
    fn verbs_follow_method_path_and_query() {
        let verb = |method, path| verb_of(&method, path, None);
        let portals = "/apis/portalplatform.dev/v1alpha1/portalplatforms";
        let pod = "/api/v1/namespaces/team/pods/a";
        assert_eq!(
            verb_of(&Method::GET, portals, Some("limit=500&watch=true")),
            RequestVerb::Watch
        );
        assert_eq!(
            verb_of(&Method::GET, portals, Some("fieldSelector=watch%3Dtrue")),
            RequestVerb::List
        );
        assert_eq!(verb(Method::GET, pod), RequestVerb::Get);
        assert_eq!(
            verb(Method::GET, "/api/v1/namespaces/team"),
            RequestVerb::Get
        );
        assert_eq!(verb(Method::GET, "/apis"), RequestVerb::Get);
        assert_eq!(verb(Method::PATCH, pod), RequestVerb::Patch);
    }

    #[test]
    fn resources_are_named_by_their_plural_alone() {
        assert_eq!(resource_of("/api/v1/namespaces/team/pods/a/status"), "pods");
        assert_eq!(
            resource_of("/apis/apps/v1/namespaces/pods/deployments"),
            "deployments"
        );
        assert_eq!(resource_of("/api/v1/namespaces/team"), "namespaces");
        assert_eq!(resource_of("/api/v1/nodes"), "nodes");
        assert_eq!(resource_of("/apis"), "discovery");
        assert_eq!(resource_of("/version"), "discovery");
    }
}
