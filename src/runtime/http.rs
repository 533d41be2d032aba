//! The three endpoints: `/metrics`, `/healthz`, `/readyz`.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
/// More are left waiting in the listener's queue.
const MAX_CONNECTIONS: usize = 64;
/// Time to send the head of a request; also ends idle connections.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest life of a connection, so that slow readers cannot hold all the places.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(5);
/// Time for answers under way at shutdown.
const DRAIN: Duration = Duration::from_secs(2);
/// Pause after an error of the listener, which is usually out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the endpoints show.
pub trait Probe {
    /// Whether the process works; the text says what does not.
    ///
    /// # Errors
    /// When it should be restarted.
    fn healthy(&self) -> Result<(), String>;
    /// Whether the process is ready to take over; the text says what is missing.
    ///
    /// # Errors
    /// When it is not ready yet.
    fn ready(&self) -> Result<(), String>;
    /// The metrics in the `OpenMetrics` text format.
    fn metrics(&self) -> String;
}

/// Serves the endpoints until `shutdown` resolves and the answers under way are sent.
pub async fn serve(
    listener: TcpListener,
    probe: Arc<dyn Probe + Send + Sync>,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = converse(stream, probe.clone(), stopping.clone());
                connections.spawn(async move {
                    let _place = place;
                    connection.await;
                });
            }
            Err(error) => {
                warn!(%error, "failed to accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(stop);
    if timeout(DRAIN, async {
        while connections.join_next().await.is_some() {}
    })
    .await
    .is_err()
    {
        debug!("closed connections with answers under way");
    }
}

async fn converse(
    stream: TcpStream,
    probe: Arc<dyn Probe + Send + Sync>,
    mut stopping: watch::Receiver<()>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), probe.as_ref());
        async move { Ok::<_, Infallible>(response) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = sleep(CONNECTION_TIMEOUT) => return,
        // The sender is never used, only dropped.
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended early");
    }
}

fn answer(method: &Method, path: &str, probe: &(dyn Probe + Send + Sync)) -> Response<Full<Bytes>> {
    if !matches!(path, "/metrics" | "/healthz" | "/readyz") {
        return respond(StatusCode::NOT_FOUND, PLAIN, "not found\n".to_owned());
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refused = respond(
            StatusCode::METHOD_NOT_ALLOWED,
            PLAIN,
            "method not allowed\n".to_owned(),
        );
        refused
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match path {
        "/metrics" => respond(StatusCode::OK, OPEN_METRICS, probe.metrics()),
        "/healthz" => verdict(probe.healthy()),
        _ => verdict(probe.ready()),
    }
}

fn verdict(result: Result<(), String>) -> Response<Full<Bytes>> {
    match result {
        Ok(()) => respond(StatusCode::OK, PLAIN, "ok\n".to_owned()),
        Err(reason) => respond(
            StatusCode::SERVICE_UNAVAILABLE,
            PLAIN,
            format!("{reason}\n"),
        ),
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::oneshot,
        task::JoinHandle,
    };

    use super::*;

    struct Sick;

    impl Probe for Sick {
        fn healthy(&self) -> Result<(), String> {
            Err("watch of Deployment is silent for 95 s".to_owned())
        }

        fn ready(&self) -> Result<(), String> {
            Ok(())
        }

        fn metrics(&self) -> String {
            "# EOF\n".to_owned()
        }
    }

    struct Server {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        task: JoinHandle<()>,
    }

    async fn server() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        Server {
            address,
            stop,
            task: tokio::spawn(serve(listener, Arc::new(Sick), shutdown)),
        }
    }

    async fn send(address: SocketAddr, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// The whole answer to a request without a body.
    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = send(
            address,
            &format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        )
        .await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn each_endpoint_answers_for_itself() {
        let server = server().await;
        let metrics = ask(server.address, "GET /metrics").await;
        assert!(
            metrics.starts_with("HTTP/1.1 200") && metrics.ends_with("# EOF\n"),
            "{metrics}"
        );
        assert!(
            metrics.contains("content-type: application/openmetrics-text; version=1.0.0"),
            "{metrics}"
        );
        assert!(
            ask(server.address, "GET /readyz")
                .await
                .starts_with("HTTP/1.1 200")
        );
        let health = ask(server.address, "GET /healthz").await;
        assert!(
            health.starts_with("HTTP/1.1 503") && health.contains("watch of Deployment"),
            "{health}"
        );
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_refused() {
        let server = server().await;
        assert!(
            ask(server.address, "GET /debug/pprof")
                .await
                .starts_with("HTTP/1.1 404")
        );
        assert!(
            ask(server.address, "POST /metrics")
                .await
                .starts_with("HTTP/1.1 405")
        );
        let head = ask(server.address, "HEAD /metrics").await;
        assert!(
            head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
    }

    #[tokio::test]
    async fn shutdown_closes_idle_connections_and_returns() {
        let server = server().await;
        let mut idle = send(server.address, "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut first = [0; 12];
        idle.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        server.stop.send(()).unwrap();
        timeout(DRAIN, server.task).await.unwrap().unwrap();
        assert!(TcpStream::connect(server.address).await.is_err());
    }

    #[tokio::test]
    async fn the_sixty_fifth_connection_waits_for_a_place() {
        let server = server().await;
        let mut held = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let mut stream = send(server.address, "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await;
            stream.read_exact(&mut [0; 12]).await.unwrap();
            held.push(stream);
        }
        let address = server.address;
        let mut late = tokio::spawn(async move { ask(address, "GET /readyz").await });
        assert!(
            timeout(Duration::from_millis(100), &mut late)
                .await
                .is_err()
        );
        held.pop();
        assert!(late.await.unwrap().starts_with("HTTP/1.1 200"));
    }
}
