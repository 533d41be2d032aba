//! A control plane with simulated nodes, run by `tests/cluster/testbed`.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::sync::OnceCell;

/// Namespace and ServiceAccount of the operator.
pub const SYSTEM: &str = "portal-operator-system";

static SHARED: OnceCell<Bed> = OnceCell::const_new();

/// A running control plane on which the CRD and the chart's permissions are installed.
pub struct Bed {
    dir: PathBuf,
    kubeconfig: String,
    operator: String,
    own: bool,
}

impl Bed {
    /// The control plane of the whole test run.
    pub async fn shared() -> &'static Self {
        SHARED
            .get_or_init(|| async {
                let Some(dir) = env::var_os("PORTAL_TESTBED") else {
                    panic!(
                        "these tests need a control plane and PORTAL_TESTBED is not set; run make test, which starts one"
                    );
                };
                Self::install(PathBuf::from(dir), false).await
            })
            .await
    }

    /// A control plane of this test alone, without metrics-server. It ends when it is dropped.
    pub async fn own(name: &str) -> Self {
        Self::own_with(name, &["--without-metrics"]).await
    }

    /// The same with options for `testbed up`.
    pub async fn own_with(name: &str, options: &[&str]) -> Self {
        let dir = env::temp_dir().join(format!("portal-{name}-{}", unique()));
        let text = dir.to_string_lossy().into_owned();
        let mut arguments = vec!["up", text.as_str()];
        arguments.extend(options);
        testbed(&arguments).await;
        Self::install(dir, true).await
    }

    async fn install(dir: PathBuf, own: bool) -> Self {
        let text = dir.to_string_lossy().into_owned();
        let chart = checkout().join("charts/portal-operator");
        testbed(&["build", "helm"]).await;
        let helm = testbed(&["bin", "helm"]).await;
        let rendered = run(
            helm.trim(),
            &[
                "template",
                "portal-operator",
                &chart.to_string_lossy(),
                "--namespace",
                SYSTEM,
                "--include-crds",
            ],
            None,
        )
        .await;
        let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SYSTEM}}}\n");
        let kubectl = testbed(&["bin", "kubectl"]).await.trim().to_owned();
        let admin = dir.join("admin.kubeconfig").to_string_lossy().into_owned();
        // In two steps: the namespace comes first, and the definition has to be served.
        for manifests in [namespace, without_deployment(&rendered)] {
            let arguments = [
                "--kubeconfig",
                &admin,
                "apply",
                "--server-side",
                "--force-conflicts",
                "--filename",
                "-",
            ];
            run(&kubectl, &arguments, Some(manifests)).await;
        }
        let wait = [
            "--kubeconfig",
            &admin,
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "customresourcedefinition/portalplatforms.portalplatform.dev",
        ];
        run(&kubectl, &wait, None).await;
        let operator = testbed(&["kubeconfig", &text, SYSTEM, "portal-operator"]).await;
        let kubeconfig = fs::read_to_string(&admin).unwrap();
        Self {
            dir,
            kubeconfig,
            operator,
            own,
        }
    }

    /// Folder of the control plane.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A client with all rights. It belongs to the runtime of the test that asks for it.
    pub async fn admin(&self) -> Client {
        Client::try_from(self.admin_config().await).unwrap()
    }

    /// Configuration of the administrator.
    pub async fn admin_config(&self) -> Config {
        config(&self.kubeconfig).await
    }

    /// Configuration of the operator's ServiceAccount, with the rights that the chart grants.
    pub async fn operator_config(&self) -> Config {
        config(&self.operator).await
    }

    /// The same as text.
    pub fn operator_kubeconfig(&self) -> &str {
        &self.operator
    }

    /// Ends a component with SIGKILL.
    pub async fn kill(&self, component: &str) {
        testbed(&["kill", &self.dir.to_string_lossy(), component]).await;
    }

    /// Starts a component again and waits until it is ready.
    pub async fn start(&self, component: &str) {
        testbed(&["start", &self.dir.to_string_lossy(), component]).await;
    }

    /// Runs kubectl as the administrator and returns what it printed.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        let kubectl = testbed(&["bin", "kubectl"]).await.trim().to_owned();
        let admin = self.dir.join("admin.kubeconfig");
        let mut all = vec!["--kubeconfig", admin.to_str().unwrap()];
        all.extend(arguments);
        run(&kubectl, &all, None).await
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if self.own {
            let _ = Command::new(program())
                .args(["down", &self.dir.to_string_lossy()])
                .stdin(Stdio::null())
                .output();
        }
    }
}

async fn config(kubeconfig: &str) -> Config {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    config.connect_timeout = Some(Duration::from_secs(5));
    config
}

/// The operator runs in the test's process, not as a pod.
fn without_deployment(rendered: &str) -> String {
    rendered
        .split("\n---")
        .filter(|document| !document.lines().any(|line| line == "kind: Deployment"))
        .collect::<Vec<_>>()
        .join("\n---")
}

/// The root of the checkout.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn program() -> PathBuf {
    checkout().join("tests/cluster/testbed")
}

async fn testbed(arguments: &[&str]) -> String {
    run(&program().to_string_lossy(), arguments, None).await
}

async fn run(program: &str, arguments: &[&str], input: Option<String>) -> String {
    let program = program.to_owned();
    let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        let mut child = Command::new(&program)
            .args(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(input.unwrap_or_default().as_bytes());
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(
            output.status.success(),
            "{program} {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    })
    .await
    .unwrap()
}

/// A word that no other test of this or another run has.
pub fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seconds = now.as_secs() % 1_000_000;
    format!("{:x}-{seconds:x}-{count}", std::process::id())
}
