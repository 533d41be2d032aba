//! What it costs to ask a thousand primaries how far their logs are archived: `make bench`. The primaries are one server in a process of its
//! own that answers at a thousand loopback addresses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    process::{Child, Command},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, service::service_fn};
use hyper_util::rt::TokioIo;
use portal_operator::{
    foreign::cloudnative_pg::STATUS_PORT,
    runtime::{pod_status::PodStatus, sampler},
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const PRIMARIES: usize = 1000;
/// Pause between two samples of one primary at the default objective of an hour.
const PAUSE: Duration = Duration::from_mins(5);
/// Makes this program the server.
const SERVE: &str = "PORTAL_BENCH_SERVE";
/// What a real instance answered.
const RECORDED: &str = include_str!("../tests/recordings/barman-cloud-0.14.json");

/// The server; ended when dropped.
struct Primaries(Child);

impl Drop for Primaries {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn serve() {
    let pki = PathBuf::from(
        std::env::var("PORTAL_TESTBED").expect("run make bench, which starts a control plane"),
    )
    .join("pki");
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(pki.join("server.crt")).unwrap()],
            PrivateKeyDer::from_pem_file(pki.join("server.key")).unwrap(),
        )
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(tls));
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let answer = Bytes::from(recorded[0]["primary"].to_string());
    // One socket for all addresses; whoever comes from elsewhere is not served.
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, u16::try_from(STATUS_PORT).unwrap()))
        .await
        .unwrap();
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let (tls, answer) = (tls.clone(), answer.clone());
        if !peer.ip().is_loopback() {
            continue;
        }
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let service = service_fn(|_: Request<hyper::body::Incoming>| {
                let answer = Response::new(Full::new(answer.clone()));
                async { Ok::<_, std::convert::Infallible>(answer) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn address(index: usize) -> String {
    format!("127.1.{}.{}", index / 250, index % 250 + 1)
}

fn resident_mib() -> f64 {
    support::memory_mib(std::process::id(), "VmRSS")
}

/// Asks all of them once, as many at a time as the operator does.
async fn round(what: &str, pods: &PodStatus) {
    let process = std::process::id();
    let (began, before) = (Instant::now(), support::cpu_seconds(process));
    stream::iter(0..PRIMARIES)
        .for_each_concurrent(sampler::CONCURRENCY, |index| async move {
            pods.read(&address(index)).await.unwrap();
        })
        .await;
    let (wall, used) = (began.elapsed(), support::cpu_seconds(process) - before);
    println!(
        "{PRIMARIES} samples by {what}: {wall:.2?}, {:.2} ms of CPU each, {:.2} % of a core at the default objective; resident {:.1} MiB",
        used * 1000.0 / f64::from(u32::try_from(PRIMARIES).unwrap()),
        used * 100.0 / PAUSE.as_secs_f64(),
        resident_mib(),
    );
}

#[tokio::main]
async fn main() {
    if std::env::var_os(SERVE).is_some() {
        return serve().await;
    }
    let server = Command::new(std::env::current_exe().unwrap())
        .env(SERVE, "yes")
        .spawn()
        .unwrap();
    let mut server = Primaries(server);
    let pods = PodStatus::new().unwrap();
    let began = Instant::now();
    while pods.read(&address(0)).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "no server");
        assert!(server.0.try_wait().unwrap().is_none(), "the server ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("resident before: {:.1} MiB", resident_mib());
    round("connections of their own", &pods).await;
    round("connections that were kept", &pods).await;
}
