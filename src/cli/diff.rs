//! `portal-operator diff`: what the operator would change, asked of the cluster by a dry run of server-side apply.

use kube::{
    Api, Client, Config,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::Value;
use similar::TextDiff;

use super::{
    portals::{self, FileError},
    render::{RenderError, unowned},
};
use crate::{
    api::PortalPlatform,
    assess,
    children::{self, Manifest, REGISTRY},
    observe::{Observation, World},
    plan::{
        self, Facts,
        identity::{MANAGER, NAME_LABEL},
    },
    settings::DiffSettings,
};

/// Why no comparison can be made.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// The file or the spec.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The cluster.
    #[error("failed to read the kubeconfig")]
    Config(#[source] kube::config::InferConfigError),
    /// A request.
    #[error("failed to ask for {object}")]
    Request {
        /// What was asked for.
        object: String,
        /// Why it failed.
        source: Box<kube::Error>,
    },
}

impl From<FileError> for DiffError {
    fn from(error: FileError) -> Self {
        Self::Render(error.into())
    }
}

/// The differences as a unified diff; empty if there are none.
///
/// # Errors
/// [`DiffError`].
pub async fn text(settings: &DiffSettings) -> Result<String, DiffError> {
    let config = Config::infer().await.map_err(DiffError::Config)?;
    let namespace = settings
        .namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|source| request("the API server", source))?;
    let mut text = String::new();
    for portal in portals::read(&settings.file, &namespace)? {
        text.push_str(&of_portal(&client, portal).await?);
    }
    Ok(text)
}

fn request(object: impl Into<String>, source: kube::Error) -> DiffError {
    DiffError::Request {
        object: object.into(),
        source: Box::new(source),
    }
}

async fn of_portal(client: &Client, mut portal: PortalPlatform) -> Result<String, DiffError> {
    let name = portal.metadata.name.clone().unwrap_or_default();
    let namespace = portal.metadata.namespace.clone().unwrap_or_default();
    let live: Option<PortalPlatform> =
        Api::<PortalPlatform>::namespaced(client.clone(), &namespace)
            .get_opt(&name)
            .await
            .map_err(|source| request(format!("PortalPlatform {name}"), source))?;
    if let Some(live) = live {
        portal.metadata.uid = live.metadata.uid;
        portal.status = live.status;
    }
    let objects = objects(client, &namespace, &name).await?;
    let manifests = manifests(&portal, &objects)?;
    let mut text = String::new();
    for manifest in &manifests {
        let before = objects
            .iter()
            .find(|object| object.kind == manifest.kind.kind && object.name == manifest.name);
        let after = dry_run(client, &namespace, manifest).await?;
        text.push_str(&unified(
            manifest.kind.kind,
            &manifest.name,
            before.map(|object| &object.body),
            after.as_ref(),
        ));
    }
    let uid = portal.metadata.uid.as_deref();
    for object in &objects {
        let wanted = manifests
            .iter()
            .any(|manifest| manifest.kind.kind == object.kind && manifest.name == object.name);
        let ours = uid.is_some() && object.observation.owner.as_deref() == uid;
        if ours && !wanted {
            text.push_str(&unified(
                object.kind,
                &object.name,
                Some(&object.body),
                None,
            ));
        }
    }
    Ok(text)
}

/// A live object of the portal.
struct Object {
    kind: &'static str,
    name: String,
    body: Value,
    observation: Observation,
}

/// Every live object that carries the portal's label. Kinds that the cluster lacks have none.
async fn objects(client: &Client, namespace: &str, name: &str) -> Result<Vec<Object>, DiffError> {
    let mut objects = Vec::new();
    for child in REGISTRY {
        let kind = child.kind();
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace, &kind.api_resource());
        let params = kube::api::ListParams::default().labels(&format!("{NAME_LABEL}={name}"));
        let list = match api.list(&params).await {
            Ok(list) => list,
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            Err(source) => return Err(request(kind.plural, source)),
        };
        for object in list {
            let body = serde_json::to_value(&object).unwrap_or_default();
            let live = serde_json::from_value(body.clone()).unwrap_or_default();
            objects.push(Object {
                kind: kind.kind,
                name: object.metadata.name.clone().unwrap_or_default(),
                observation: Observation::new(&object.metadata, child.health(&live)),
                body,
            });
        }
    }
    Ok(objects)
}

fn manifests(portal: &PortalPlatform, objects: &[Object]) -> Result<Vec<Manifest>, DiffError> {
    let problem = |problems: Vec<plan::SpecProblem>| {
        DiffError::Render(RenderError::Spec {
            name: portal.metadata.name.clone().unwrap_or_default(),
            problems: problems
                .iter()
                .map(|problem| format!("{}: {}", problem.field, problem.message))
                .collect::<Vec<_>>()
                .join("; "),
        })
    };
    let world = World {
        children: objects
            .iter()
            .map(|object| {
                (
                    (object.kind, object.name.clone()),
                    object.observation.clone().into(),
                )
            })
            .collect(),
        ..World::default()
    };
    let first = plan::plan(portal, &Facts::default()).map_err(problem)?;
    let status = portal.status.clone().unwrap_or_default();
    let facts = Facts {
        started: assess::started(&status, &first, &world),
        ..Facts::default()
    };
    Ok(children::manifests(
        &plan::plan(portal, &facts).map_err(problem)?,
    ))
}

/// The object as it would be; `None` where the cluster lacks the kind.
async fn dry_run(
    client: &Client,
    namespace: &str,
    manifest: &Manifest,
) -> Result<Option<Value>, DiffError> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &manifest.kind.api_resource());
    let body = unowned(manifest.body.clone());
    let params = PatchParams::apply(MANAGER).force().dry_run();
    match api
        .patch(&manifest.name, &params, &Patch::Apply(&body))
        .await
    {
        Ok(object) => Ok(serde_json::to_value(object).ok()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(source) => Err(request(
            format!("{} {}", manifest.kind.kind, manifest.name),
            source,
        )),
    }
}

fn unified(kind: &str, name: &str, before: Option<&Value>, after: Option<&Value>) -> String {
    let text = |object: Option<&Value>| {
        object
            .map(|object| crate::yaml::to_string(&comparable(object)).unwrap_or_default())
            .unwrap_or_default()
    };
    let (before, after) = (text(before), text(after));
    if before == after {
        return String::new();
    }
    TextDiff::from_lines(&before, &after)
        .unified_diff()
        .context_radius(3)
        .header(
            &format!("live/{kind}/{name}"),
            &format!("new/{kind}/{name}"),
        )
        .to_string()
}

/// An object without what the server keeps for itself.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in [
            "managedFields",
            "resourceVersion",
            "uid",
            "creationTimestamp",
            "generation",
        ] {
            metadata.remove(field);
        }
    }
    object
}
