//! A client for writes whose very connections fall silent when the lease has lapsed.
//!
//! [`LeaderGate`](super::leader_gate::LeaderGate) asks before a request is handed to the HTTP connection, which is
//! another task: a process stopped between the two would send the request when it goes on. Here the term is asked
//! again right before the bytes go to the kernel.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Uri};
use http_body_util::BodyExt;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::{
        self,
        connect::{Connected, Connection, HttpConnector},
    },
    rt::TokioExecutor,
};
use kube::{
    Config,
    client::{Body, ClientBuilder, ConfigExt, DynBody},
};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, util::BoxService};

use super::{leader_gate::NotLeading, term::Term};

type Writer = BoxService<Request<Body>, http::Response<Box<DynBody>>, BoxError>;

/// The innermost part of a client that can send nothing outside `term`, as `ClientBuilder::try_from(config)` is for
/// any other; without retries.
///
/// # Errors
/// When the configuration's credentials or certificates cannot be used.
pub fn client_builder(config: &Config, term: Term) -> Result<ClientBuilder<Writer>, kube::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(config.connect_timeout);
    let tls = config.rustls_https_connector_with_connector(Gated { inner: tcp, term })?;
    let http: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new()).build(tls);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http)
        .map_response(|response| {
            response.map(|body| Box::new(body.map_err(BoxError::from)) as Box<DynBody>)
        });
    Ok(ClientBuilder::new(
        BoxService::new(service),
        config.default_namespace.clone(),
    ))
}

/// A connector, or one of its connections, that is bound to a term.
#[derive(Debug, Clone)]
struct Gated<T> {
    inner: T,
    term: Term,
}

impl<C> Service<Uri> for Gated<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
    C::Error: 'static,
{
    type Response = Gated<C::Response>;
    type Error = C::Error;
    type Future = BoxFuture<'static, Result<Self::Response, C::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let connecting = self.inner.call(address);
        let term = self.term.clone();
        Box::pin(async move {
            let inner = connecting.await?;
            Ok(Gated { inner, term })
        })
    }
}

impl<T: Connection> Connection for Gated<T> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}

impl<T: Read + Unpin> Read for Gated<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: Write + Unpin> Write for Gated<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.term.is_leading() {
            return Poll::Ready(Err(io::Error::other(Silenced(NotLeading))));
        }
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.term.is_leading() {
            return Poll::Ready(Err(io::Error::other(Silenced(NotLeading))));
        }
        Pin::new(&mut self.inner).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Carries [`NotLeading`] as its source: an `io::Error` shows the source of what it holds, not the thing itself.
#[derive(Debug, thiserror::Error)]
#[error("closed a connection")]
struct Silenced(#[source] NotLeading);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{Api, Client, api::DeleteParams};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        time::{Instant, timeout},
    };

    use super::*;
    use crate::runtime::{leader_gate::is_not_leading, term};

    /// A client on a server that answers any request with an empty object; it tells of each request it hears.
    async fn server(term: Term) -> (Client, tokio::sync::mpsc::UnboundedReceiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (hear, heard) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    hear.send(()).unwrap();
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
        let config = Config::new(address.parse().unwrap());
        (client_builder(&config, term).unwrap().build(), heard)
    }

    #[tokio::test]
    async fn during_the_term_requests_pass() {
        let (leading, term) = term::channel();
        leading.grant(Instant::now() + Duration::from_mins(1));
        let (client, mut heard) = server(term).await;
        let notes: Api<ConfigMap> = Api::default_namespaced(client);
        assert!(
            notes
                .delete("notes", &DeleteParams::default())
                .await
                .is_ok()
        );
        assert_eq!(heard.recv().await, Some(()));
    }

    #[tokio::test]
    async fn after_the_term_an_open_connection_and_a_new_one_stay_silent() {
        let (leading, term) = term::channel();
        leading.grant(Instant::now() + Duration::from_mins(1));
        let (client, mut heard) = server(term).await;
        let notes: Api<ConfigMap> = Api::default_namespaced(client);
        notes
            .delete("notes", &DeleteParams::default())
            .await
            .unwrap();
        heard.recv().await.unwrap();
        leading.revoke();
        for _ in 0..2 {
            let refused = notes
                .delete("notes", &DeleteParams::default())
                .await
                .unwrap_err();
            assert!(is_not_leading(&refused), "{refused:?}");
        }
        assert!(
            timeout(Duration::from_millis(50), heard.recv())
                .await
                .is_err()
        );
    }
}
