//! What the operator costs on a real control plane: `make bench`. Ratios are taken in one run; absolute times vary with the
//! machine. `PORTALS=1000 make bench` takes longer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use kube::{
    Api, Client, Config,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use portal_operator::{
    api::{self, PortalPlatform},
    children::{self, Manifest, REGISTRY},
    plan::{self, Facts},
};
use serde_json::json;

const NAMESPACE: &str = "bench";
const CONCURRENCY: usize = 16;
const DEADLINE: Duration = Duration::from_mins(10);

/// The operator as a process of its own; ended when dropped.
struct Operator {
    process: Child,
    port: u16,
}

impl Operator {
    fn start(kubeconfig: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new(env!("CARGO_BIN_EXE_portal-operator"))
            .args(["run", "--leader-election", "false", "--log-filter", "warn"])
            .arg("--listen-address")
            .arg(format!("127.0.0.1:{port}"))
            .env("KUBECONFIG", kubeconfig)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, port }
    }

    fn memory_mib(&self, field: &str) -> f64 {
        support::memory_mib(self.process.id(), field)
    }

    fn cpu_seconds(&self) -> f64 {
        support::cpu_seconds(self.process.id())
    }

    /// Requests by verb, from the operator's own figures.
    async fn requests(&self) -> Vec<(String, u64)> {
        let page = http_get(self.port, "/metrics").await;
        let mut sums = std::collections::BTreeMap::new();
        for line in page
            .lines()
            .filter(|l| l.starts_with("portal_operator_http_requests_total"))
        {
            let verb = line
                .split("verb=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap();
            let count: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            *sums.entry(verb.to_owned()).or_insert(0) += count;
        }
        sums.into_iter().collect()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn http_get(port: u16, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut stream) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else {
        return String::new();
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) -> Duration {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < DEADLINE, "gave up waiting: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

fn portal(name: &str) -> PortalPlatform {
    serde_json::from_value(json!({
        "apiVersion": "portalplatform.dev/v1alpha1", "kind": "PortalPlatform",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "profile": "Production", "host": format!("{name}.example.com"),
            "exposure": {"ingressClassName": "none", "tls": {"secretRef": {"name": "tls"}}},
            // No pods: the control plane's own work is not what is measured.
            "components": [
                {"name": "web", "image": "registry.local/web:1", "path": "/"},
                {"name": "api", "image": "registry.local/api:1", "path": "/api"},
                {"name": "worker", "image": "registry.local/worker:1"},
            ],
        },
    }))
    .unwrap()
}

fn manifests(name: &str) -> Vec<Manifest> {
    let mut portal = portal(name);
    portal.metadata.uid = Some("00000000-0000-0000-0000-000000000000".into());
    children::manifests(&plan::plan(&portal, &Facts::default()).unwrap())
}

/// A bulk client: one metadata GET and one server-side apply an object.
async fn floor(client: &Client, count: usize) -> Duration {
    let objects: Vec<Manifest> = (0..count)
        .flat_map(|index| manifests(&format!("floor-{index}")))
        .map(|mut manifest| {
            // Without an owner, so that garbage collection leaves them alone meanwhile.
            manifest.body["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("ownerReferences");
            manifest.body["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("bench");
            if manifest.kind.kind == "Deployment" {
                manifest.body["spec"]["replicas"] = json!(0);
            }
            manifest
        })
        .collect();
    let began = Instant::now();
    stream::iter(&objects)
        .for_each_concurrent(CONCURRENCY, |manifest| async {
            let api: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), NAMESPACE, &manifest.kind.api_resource());
            assert!(
                api.get_metadata_opt(&manifest.name)
                    .await
                    .unwrap()
                    .is_none()
            );
            let params = PatchParams::apply("bench").force();
            api.patch(&manifest.name, &params, &Patch::Apply(&manifest.body))
                .await
                .unwrap();
        })
        .await;
    began.elapsed()
}

async fn settled(client: &Client, count: usize) -> bool {
    let api: Api<PortalPlatform> = Api::namespaced(client.clone(), NAMESPACE);
    let list = api.list(&kube::api::ListParams::default()).await.unwrap();
    let observed = list.items.iter().filter(|portal| {
        portal.status.as_ref().is_some_and(|status| {
            Some(status.observed_generation) == portal.metadata.generation
                && status.applied.is_some()
        })
    });
    observed.count() == count
}

async fn prepare(client: &Client) {
    let params = PatchParams::apply("bench").force();
    let crds: Api<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> =
        Api::all(client.clone());
    crds.patch(
        "portalplatforms.portalplatform.dev",
        &params,
        &Patch::Apply(api::crd()),
    )
    .await
    .unwrap();
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    namespaces
        .patch(NAMESPACE, &params, &Patch::Apply(namespace))
        .await
        .unwrap();
    let portals: Api<PortalPlatform> = Api::namespaced(client.clone(), NAMESPACE);
    until("the portal API is served", || async {
        portals
            .list(&kube::api::ListParams::default())
            .await
            .is_ok()
    })
    .await;
}

#[tokio::main]
async fn main() {
    let bed = PathBuf::from(
        std::env::var("PORTAL_TESTBED").expect("run make bench, which starts a control plane"),
    );
    let count: usize = std::env::var("PORTALS").map_or(100, |text| text.parse().unwrap());
    let kubeconfig = bed.join("admin.kubeconfig");
    let mut config = Config::from_custom_kubeconfig(
        Kubeconfig::read_from(&kubeconfig).unwrap(),
        &KubeConfigOptions::default(),
    )
    .await
    .unwrap();
    config.default_retry = false;
    let client = Client::try_from(config).unwrap();
    prepare(&client).await;
    let per_portal = manifests("x").len();
    println!(
        "{count} portals of {per_portal} children ({} kinds)",
        REGISTRY.len()
    );

    let floor = floor(&client, count).await;
    println!("floor: bulk client, GET and apply at concurrency {CONCURRENCY}: {floor:.2?}");

    let began = Instant::now();
    let operator = Operator::start(&kubeconfig);
    until("ready", || async {
        http_get(operator.port, "/readyz").await.contains("200 OK")
    })
    .await;
    println!(
        "start to ready: {:.0?}; resident idle: {:.1} MiB",
        began.elapsed(),
        operator.memory_mib("VmRSS")
    );

    let portals: Api<PortalPlatform> = Api::namespaced(client.clone(), NAMESPACE);
    let cpu = operator.cpu_seconds();
    let began = Instant::now();
    stream::iter(0..count)
        .for_each_concurrent(CONCURRENCY, |index| {
            let portals = portals.clone();
            async move {
                let portal = portal(&format!("p-{index}"));
                portals
                    .create(&PostParams::default(), &portal)
                    .await
                    .unwrap();
            }
        })
        .await;
    until("all portals applied", || settled(&client, count)).await;
    let wall = began.elapsed();
    println!(
        "create: {wall:.2?} = {:.2} x floor; operator CPU {:.1} ms a portal; resident {:.1} MiB (peak {:.1})",
        wall.as_secs_f64() / floor.as_secs_f64(),
        (operator.cpu_seconds() - cpu) * 1000.0 / f64::from(u32::try_from(count).unwrap()),
        operator.memory_mib("VmRSS"),
        operator.memory_mib("VmHWM"),
    );
    println!("requests so far: {:?}", operator.requests().await);

    edits(&portals).await;
    drop(operator);

    let began = Instant::now();
    let operator = Operator::start(&kubeconfig);
    until("ready again", || async {
        http_get(operator.port, "/readyz").await.contains("200 OK")
    })
    .await;
    println!(
        "restart to ready: {:.0?}; resident {:.1} MiB",
        began.elapsed(),
        operator.memory_mib("VmRSS")
    );
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!(
        "requests after the restart: {:?}",
        operator.requests().await
    );
}

/// One field of one portal, edited again and again: from the edit to the child that carries it.
async fn edits(portals: &Api<PortalPlatform>) {
    let deployments: Api<k8s_openapi::api::apps::v1::Deployment> =
        Api::namespaced(portals.clone().into_client(), NAMESPACE);
    let mut times = Vec::new();
    for round in 0..20 {
        let image = format!("registry.local/worker:{}", round + 2);
        let patch = json!([{"op": "replace", "path": "/spec/components/2/image", "value": image}]);
        let began = Instant::now();
        let patch: Patch<PortalPlatform> = Patch::Json(serde_json::from_value(patch).unwrap());
        portals
            .patch("p-0", &PatchParams::default(), &patch)
            .await
            .unwrap();
        loop {
            let live = deployments.get("p-0-worker").await.unwrap();
            let container = &live.spec.unwrap().template.spec.unwrap().containers[0];
            if container.image.as_deref() == Some(&image) {
                break;
            }
            assert!(began.elapsed() < DEADLINE, "edit was not carried out");
        }
        times.push(began.elapsed());
    }
    times.sort();
    println!(
        "edit of one field to its child: p50 {:.1?}, max {:.1?}",
        times[10], times[19]
    );
}
