//! The operator as a process of its own, and the chart as text.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::bed::{Bed, SYSTEM, checkout, unique};

/// The built binary, with the rights of the chart's ServiceAccount. Dropping it kills it.
pub struct Process {
    child: Child,
    log: PathBuf,
    kubeconfig: PathBuf,
}

impl Process {
    /// Starts `portal-operator run` with these arguments besides those that every test needs. Each has a token of its own, by
    /// which the audit log tells them apart.
    pub async fn start(bed: &Bed, identity: &str, arguments: &[&str]) -> Self {
        let stem = std::env::temp_dir().join(format!("portal-process-{}", unique()));
        let (log, kubeconfig) = (
            stem.with_extension("log"),
            stem.with_extension("kubeconfig"),
        );
        let token = bed
            .kubectl(&["--namespace", SYSTEM, "create", "token", "portal-operator"])
            .await;
        let text: String = bed
            .operator_kubeconfig()
            .lines()
            .map(|line| match line.split_once("token: ") {
                Some((before, _)) => format!("{before}token: {}\n", token.trim()),
                None => format!("{line}\n"),
            })
            .collect();
        fs::write(&kubeconfig, text).unwrap();
        let output = fs::File::create(&log).unwrap();
        let mut all = vec![
            "run".to_owned(),
            format!("--identity={identity}"),
            format!("--lease-namespace={SYSTEM}"),
        ];
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        if !all
            .iter()
            .any(|argument| argument.starts_with("--listen-address"))
        {
            all.push("--listen-address=127.0.0.1:0".into());
        }
        let child = Command::new(env!("CARGO_BIN_EXE_portal-operator"))
            .args(all)
            .env("KUBECONFIG", &kubeconfig)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            kubeconfig,
        }
    }

    /// Sends a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(status.unwrap().success(), "kill -s {name} {pid}");
    }

    /// SIGTERM, and waits for the end, which must be a success.
    pub async fn stop(mut self) {
        self.signal("TERM");
        let ended = tokio::task::spawn_blocking(move || (self.child.wait().unwrap(), self));
        let (status, this) = tokio::time::timeout(std::time::Duration::from_secs(15), ended)
            .await
            .expect("the operator did not end within 15 s of SIGTERM")
            .unwrap();
        assert!(
            status.success(),
            "the operator ended with {status}: {}",
            this.log()
        );
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A stopped process takes a SIGKILL as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(30);
            eprintln!(
                "last lines of the operator's log:\n{}",
                lines[last..].join("\n")
            );
        }
        let _ = fs::remove_file(&self.kubeconfig);
        let _ = fs::remove_file(&self.log);
    }
}

/// What the chart renders with these lines of values.
pub fn chart(values: &[&str]) -> Vec<Value> {
    let file = std::env::temp_dir().join(format!("portal-values-{}.yaml", unique()));
    fs::write(&file, values.join("\n")).unwrap();
    let helm = output(Command::new(checkout().join("tests/cluster/testbed")).args(["bin", "helm"]));
    let text = output(
        Command::new(helm.trim())
            .args(["template", "portal-operator"])
            .arg(checkout().join("charts/portal-operator"))
            .args(["--namespace", SYSTEM, "--values"])
            .arg(&file),
    );
    let _ = fs::remove_file(&file);
    yaml(&text)
}

/// The objects of a YAML stream.
pub fn yaml(text: &str) -> Vec<Value> {
    text.split("\n---")
        .filter_map(|document| serde_yaml_ng::from_str::<Value>(document).ok())
        .filter(Value::is_object)
        .collect()
}

/// The objects in a file.
pub fn yaml_file(path: &Path) -> Vec<Value> {
    yaml(&fs::read_to_string(path).unwrap())
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
