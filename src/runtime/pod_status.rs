//! Asks an instance of a database for its status: `https://POD:8000/pg/status`, which CloudNativePG's instances answer without
//! credentials.
//!
//! The certificate of the pod is not verified: its authority is in a Secret that also holds the authority's key, and the operator
//! reads no Secrets. Nothing secret is sent, and what comes back can at most make a policy hold that does not.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use serde_json::Value;

use crate::foreign::cloudnative_pg::STATUS_PORT;

/// Longest time for an answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Longest answer.
const MOST_BYTES: usize = 1 << 20;
/// How long a connection is kept for the next sample: instances close theirs after 20 s without a request.
const IDLE: Duration = Duration::from_secs(15);

/// A client for the status of pods. Clones share connections.
#[derive(Clone, Debug)]
pub struct PodStatus {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

/// Why a pod gave no status.
#[derive(Debug, thiserror::Error)]
pub enum PodStatusError {
    /// The address is none.
    #[error("{0} is no address")]
    Address(String),
    /// It did not answer in time.
    #[error("no answer within 5 s")]
    Late,
    /// It cannot be reached.
    #[error("cannot connect")]
    Connect(#[source] hyper_util::client::legacy::Error),
    /// It answered something else.
    #[error("answered {0}")]
    Refused(http::StatusCode),
    /// The answer broke off.
    #[error("the answer broke off or is too long")]
    Body,
    /// The answer is no JSON.
    #[error("the answer is no JSON")]
    Json(#[source] serde_json::Error),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl PodStatus {
    /// A client.
    ///
    /// # Errors
    /// [`PodStatusError::Tls`], which no supported build has.
    pub fn new() -> Result<Self, PodStatusError> {
        let provider = Arc::new(ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(PodStatusError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(DEADLINE));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { client })
    }

    /// The status of the pod at an address.
    ///
    /// # Errors
    /// [`PodStatusError`].
    pub async fn read(&self, address: &str) -> Result<Value, PodStatusError> {
        let host = if address.contains(':') {
            format!("[{address}]")
        } else {
            address.to_owned()
        };
        let uri = format!("https://{host}:{STATUS_PORT}/pg/status")
            .parse()
            .map_err(|_| PodStatusError::Address(address.to_owned()))?;
        tokio::time::timeout(DEADLINE, self.get(uri))
            .await
            .map_err(|_| PodStatusError::Late)?
    }

    async fn get(&self, uri: http::Uri) -> Result<Value, PodStatusError> {
        let response = self
            .client
            .get(uri)
            .await
            .map_err(PodStatusError::Connect)?;
        if response.status() != http::StatusCode::OK {
            return Err(PodStatusError::Refused(response.status()));
        }
        let body = Limited::new(response.into_body(), MOST_BYTES)
            .collect()
            .await
            .map_err(|_| PodStatusError::Body)?
            .to_bytes();
        serde_json::from_slice(&body).map_err(PodStatusError::Json)
    }
}

/// Takes every certificate, but sees that the other side has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
