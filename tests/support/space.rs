//! A namespace of one test.
// Over 400 lines: everything that a test asks of its namespace.

use std::{
    fmt::Write as _,
    future::Future,
    time::{Duration, Instant},
};

use kube::{
    Api, Client, Config,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use portal_operator::children::REGISTRY;
use serde_json::{Value, json};

use super::{
    bed::{Bed, unique},
    history::History,
    kinds::resource,
    operator::{Operator, OperatorOptions},
};

/// Usual deadline of a wait: far longer than anything takes, for busy machines.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A fresh namespace that enforces the pod security level `restricted`. Dropping it deletes it.
pub struct Space {
    pub client: Client,
    pub namespace: String,
    config: Config,
}

impl Space {
    /// Makes one. The prefix says what the test is about.
    pub async fn new(bed: &Bed, prefix: &str) -> Self {
        let config = bed.admin_config().await;
        let space = Self {
            client: Client::try_from(config.clone()).unwrap(),
            namespace: format!("{prefix}-{}", unique()),
            config,
        };
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": space.namespace,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        });
        let api: Api<DynamicObject> = Api::all_with(space.client.clone(), &resource("Namespace"));
        api.create(&PostParams::default(), &object(&namespace))
            .await
            .unwrap();
        space
    }

    /// One on the shared control plane with an operator for it.
    pub async fn with_operator(prefix: &str) -> (Self, Operator) {
        let bed = Bed::shared().await;
        let space = Self::new(bed, prefix).await;
        let operator = Operator::of(bed, &space.namespace).await;
        (space, operator)
    }

    /// Access to the objects of a kind.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource(kind))
    }

    /// An object, or null.
    pub async fn get(&self, kind: &str, name: &str) -> Value {
        let api = self.api(kind);
        let found = patiently(|| api.get_opt(name)).await;
        found.map_or(Value::Null, |found| value(&found))
    }

    /// All objects of a kind, by name.
    pub async fn list(&self, kind: &str) -> Vec<Value> {
        let (api, all) = (self.api(kind), ListParams::default());
        let list = patiently(|| api.list(&all)).await;
        let mut items: Vec<Value> = list.items.iter().map(value).collect();
        items.sort_by_key(|item| item["metadata"]["name"].to_string());
        items
    }

    /// Everything that the operator made in the namespace, kind by kind. A kind that the cluster lacks has none.
    pub async fn children(&self) -> Vec<Value> {
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=portal-operator");
        let mut children = Vec::new();
        for child in REGISTRY {
            if let Ok(list) = self.api(child.kind().kind).list(&ours).await {
                children.extend(list.items.iter().map(|item| {
                    let mut item = value(item);
                    item["kind"] = json!(child.kind().kind);
                    item
                }));
            }
        }
        children.sort_by_key(name_of);
        children
    }

    /// Kind and name of [`Self::children`].
    pub async fn child_names(&self) -> Vec<String> {
        self.children().await.iter().map(name_of).collect()
    }

    /// Creates an object as somebody else would.
    pub async fn create(&self, manifest: Value) -> Value {
        let kind = manifest["kind"].as_str().unwrap();
        let created = self
            .api(kind)
            .create(&PostParams::default(), &object(&manifest))
            .await
            .unwrap();
        value(&created)
    }

    /// Changes an object by a merge patch, as somebody else would.
    pub async fn merge(&self, kind: &str, name: &str, patch: Value) -> Value {
        self.merge_as(kind, name, "somebody", patch).await
    }

    /// The same under a field manager's name.
    pub async fn merge_as(&self, kind: &str, name: &str, manager: &str, patch: Value) -> Value {
        let params = PatchParams {
            field_manager: Some(manager.into()),
            ..PatchParams::default()
        };
        let patched = self
            .api(kind)
            .patch(name, &params, &Patch::Merge(&patch))
            .await
            .unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
        value(&patched)
    }

    /// Changes the status of an object by a merge patch, as its controller would.
    pub async fn merge_status(&self, kind: &str, name: &str, status: Value) -> Value {
        let patched = self
            .api(kind)
            .patch_status(
                name,
                &PatchParams::default(),
                &Patch::Merge(json!({"status": status})),
            )
            .await
            .unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
        value(&patched)
    }

    /// Sets the number of pods by hand, as `kubectl scale` does.
    pub async fn scale(&self, name: &str, replicas: i32) {
        self.api("Deployment")
            .patch_scale(
                name,
                &PatchParams::default(),
                &Patch::Merge(json!({"spec": {"replicas": replicas}})),
            )
            .await
            .unwrap();
    }

    /// Deletes an object.
    pub async fn delete(&self, kind: &str, name: &str) {
        self.delete_by(kind, name, &DeleteParams::background())
            .await;
    }

    /// Deletes an object and leaves what it owns, as `kubectl delete --cascade=orphan` does.
    pub async fn delete_orphaning(&self, kind: &str, name: &str) {
        self.delete_by(kind, name, &DeleteParams::orphan()).await;
    }

    async fn delete_by(&self, kind: &str, name: &str, params: &DeleteParams) {
        self.api(kind)
            .delete(name, params)
            .await
            .unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    }

    /// Applies a portal as a user would. It is given its kind and, if it has none, the name `portal`.
    pub async fn apply_portal(&self, yaml: &str) -> Value {
        let manifest: Value = serde_yaml_ng::from_str(yaml).unwrap();
        self.apply_portal_value(manifest).await
    }

    /// The same from JSON.
    pub async fn apply_portal_value(&self, manifest: Value) -> Value {
        self.try_apply_portal(manifest)
            .await
            .unwrap_or_else(|error| panic!("the portal was refused: {error}"))
    }

    /// The same, and the server may refuse. The portal has no database unless the manifest says so.
    pub async fn try_apply_portal(&self, mut manifest: Value) -> Result<Value, kube::Error> {
        if manifest["spec"].is_object() && manifest["spec"]["database"].is_null() {
            manifest["spec"]["database"] = json!({"mode": "None"});
        }
        manifest["apiVersion"] = json!("portalplatform.dev/v1alpha1");
        manifest["kind"] = json!("PortalPlatform");
        if manifest["metadata"]["name"].is_null() {
            manifest["metadata"]["name"] = json!("portal");
        }
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let params = PatchParams::apply("user").force();
        let applied = self
            .api("PortalPlatform")
            .patch(name, &params, &Patch::Apply(&manifest))
            .await?;
        Ok(value(&applied))
    }

    /// A portal, or null.
    pub async fn portal(&self, name: &str) -> Value {
        self.get("PortalPlatform", name).await
    }

    /// Records every version of the objects of a kind from now on.
    pub async fn history(&self, kind: &str) -> History {
        History::begin(self.api(kind)).await
    }

    /// Waits until the closure gives a value, and says what was awaited and how the portals are if it does not in time.
    pub async fn wait_for<T, F>(
        &self,
        deadline: Duration,
        what: &str,
        mut closure: impl FnMut() -> F,
    ) -> T
    where
        F: Future<Output = Option<T>>,
    {
        let begin = Instant::now();
        loop {
            if let Some(found) = closure().await {
                return found;
            }
            assert!(
                begin.elapsed() <= deadline,
                "not within {deadline:?}: {what}\n{}",
                self.describe().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until an object is as wanted; null stands for an object that is not there.
    pub async fn wait_object(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let what = format!("{kind} {name}: {what}");
        self.wait_for(PATIENCE, &what, || async {
            let found = self.get(kind, name).await;
            wanted(&found).then_some(found)
        })
        .await
    }

    /// Waits until a portal is as wanted.
    pub async fn wait_portal(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        self.wait_object("PortalPlatform", name, what, wanted).await
    }

    /// Waits until a portal is Ready at its latest generation.
    pub async fn wait_ready(&self, name: &str) -> Value {
        self.wait_portal(name, "is Ready", |portal| {
            let ready = condition(portal, "Ready");
            ready["status"] == "True"
                && ready["observedGeneration"] == portal["metadata"]["generation"]
        })
        .await
    }

    /// Waits until a portal is not Ready for this reason, and returns the message of the condition.
    pub async fn wait_unready(&self, name: &str, reason: &str) -> String {
        let what = format!("is not Ready because of {reason}");
        let portal = self
            .wait_portal(name, &what, |portal| {
                let ready = condition(portal, "Ready");
                ready["status"] == "False"
                    && ready["reason"] == reason
                    && ready["observedGeneration"] == portal["metadata"]["generation"]
            })
            .await;
        condition(&portal, "Ready")["message"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The portals, what they consist of and their pods, for failure messages.
    pub async fn describe(&self) -> String {
        let mut text = format!("namespace {}\n", self.namespace);
        for portal in self.list("PortalPlatform").await {
            let _ = writeln!(
                text,
                "portal {} generation {}: {}",
                portal["metadata"]["name"],
                portal["metadata"]["generation"],
                serde_json::to_string_pretty(&json!({
                    "observedGeneration": portal["status"]["observedGeneration"],
                    "conditions": portal["status"]["conditions"],
                    "components": portal["status"]["components"],
                    "conflicts": portal["status"]["conflicts"],
                }))
                .unwrap()
            );
        }
        let _ = writeln!(text, "children: {}", self.child_names().await.join(", "));
        for pod in self.list("Pod").await {
            let _ = writeln!(
                text,
                "pod {} {} on {}: {}",
                pod["metadata"]["name"],
                pod["status"]["phase"],
                pod["spec"]["nodeName"],
                pod["status"]["containerStatuses"][0]["state"]
            );
        }
        text
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // The test's runtime may be ending; the deletion needs a few milliseconds of its own.
        let config = self.config.clone();
        let namespace = self.namespace.clone();
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let client = Client::try_from(config).unwrap();
                let api: Api<DynamicObject> = Api::all_with(client, &resource("Namespace"));
                let params = DeleteParams::background();
                let deletion = api.delete(&namespace, &params);
                let _ = tokio::time::timeout(Duration::from_secs(5), deletion).await;
            });
        })
        .join();
    }
}

/// A condition of an object, or null.
pub fn condition(object: &Value, type_: &str) -> Value {
    object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == type_)
        .cloned()
        .unwrap_or_default()
}

/// Kind and name, such as `Deployment portal-app`.
pub fn name_of(object: &Value) -> String {
    format!(
        "{} {}",
        object["kind"].as_str().unwrap_or_default(),
        object["metadata"]["name"].as_str().unwrap_or_default()
    )
}

fn object(manifest: &Value) -> DynamicObject {
    let mut manifest = manifest.clone();
    if manifest["apiVersion"].is_null() {
        let resource = resource(manifest["kind"].as_str().unwrap());
        manifest["apiVersion"] = json!(resource.api_version);
    }
    serde_json::from_value(manifest).unwrap()
}

fn value(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap()
}

/// Reads again where a busy API server has closed the connection meanwhile.
async fn patiently<T, F>(read: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let begin = Instant::now();
    loop {
        match read().await {
            Err(kube::Error::Service(_) | kube::Error::HyperError(_))
                if begin.elapsed() < PATIENCE =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            found => return found.unwrap(),
        }
    }
}
