//! What is watched: portals, every child kind, pods, volumes, and what else the installation grants.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use kube::{
    Api, Client, Resource,
    api::ApiResource,
    core::DynamicResourceScope,
    runtime::{reflector::store::Writer, watcher::Event},
};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

use super::{
    capabilities,
    index::Index,
    metrics::Metrics,
    queue::Queue,
    sampler::Sampler,
    sinks,
    watch::{self, Beats, Watch},
};
use crate::{
    children::{Child, REGISTRY},
    plan::identity::NAME_LABEL,
    reconcile::{Context, Guarded},
    settings::RunSettings,
};

/// Selector of everything that the operator made.
const OURS: &str = "app.kubernetes.io/managed-by=portal-operator";
/// Selector of Secrets and ConfigMaps whose change rolls pods.
const RELOAD: &str = "portalplatform.dev/reload=true";

/// What every watch needs.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) client: Client,
    pub(super) beats: Beats,
    pub(super) metrics: Metrics,
    pub(super) index: Arc<Index>,
}

impl Sources {
    /// Starts every watch; those of portals write what they bring by `writer`.
    pub(super) fn start(
        &self,
        tasks: &mut JoinSet<()>,
        settings: &RunSettings,
        mut writer: Writer<Guarded>,
        queue: &Queue,
        context: &Arc<Context>,
        sampler: &Arc<Sampler>,
    ) {
        let scopes = scopes(settings);
        let cluster_wide = scopes == [None];
        // Ready as it is: portals are queued when they are in it, and no list of one watch may replace what others brought.
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        let writer = Arc::new(Mutex::new(writer));
        for scope in &scopes {
            let portals = sinks::Portals {
                writer: writer.clone(),
                queue: queue.clone(),
                context: context.clone(),
                sampler: sampler.clone(),
                listed: Mutex::default(),
                scope: scope.clone(),
            };
            tasks.spawn(watch::run(self.portals(scope.as_deref()), portals));
            self.start_facts(tasks, scope.as_ref());
            if settings.reload {
                self.start_reload(tasks, scope.as_deref());
            }
            for child in REGISTRY.into_iter().filter(|child| !child.kind().optional) {
                tasks.spawn(self.child(child, scope.clone()));
            }
        }
        if cluster_wide {
            self.start_cluster(tasks, settings.nodes);
        }
        self.start_capabilities(tasks, scopes, cluster_wide);
    }

    fn start_facts(&self, tasks: &mut JoinSet<()>, scope: Option<&String>) {
        let pods = core("Pod", "pods");
        let sink = sinks::Pods {
            scope: scope.cloned(),
            index: self.index.clone(),
        };
        let scope = scope.map(String::as_str);
        tasks.spawn(watch::run(
            self.thin("Pod", &pods, Some(NAME_LABEL), scope),
            sink,
        ));
        let kind = "PersistentVolumeClaim";
        let sink = sinks::Volumes {
            scope: scope.map(str::to_owned),
            index: self.index.clone(),
        };
        let source = self.thin(
            kind,
            &core(kind, "persistentvolumeclaims"),
            Some(NAME_LABEL),
            scope,
        );
        tasks.spawn(watch::run(source, sink));
    }

    fn start_reload(&self, tasks: &mut JoinSet<()>, scope: Option<&str>) {
        for (kind, plural) in [("Secret", "secrets"), ("ConfigMap", "configmaps")] {
            let sink = sinks::Reload {
                kind,
                index: self.index.clone(),
            };
            let source = self.metadata(kind, &core(kind, plural), Some(RELOAD), scope);
            tasks.spawn(watch::run(source, sink));
        }
    }

    /// What only a cluster-wide installation can see.
    fn start_cluster(&self, tasks: &mut JoinSet<()>, nodes: bool) {
        if nodes {
            let sink = sinks::Nodes {
                index: self.index.clone(),
            };
            let source = self.thin("Node", &core("Node", "nodes"), None, None);
            tasks.spawn(watch::run(source, sink));
        }
        let sink = sinks::Namespaces {
            index: self.index.clone(),
        };
        let source = self.metadata("Namespace", &core("Namespace", "namespaces"), None, None);
        tasks.spawn(watch::run(source, sink));
    }

    /// Starts what keeps the watches of optional kinds in step with the cluster.
    fn start_capabilities(
        &self,
        tasks: &mut JoinSet<()>,
        scopes: Vec<Option<String>>,
        cluster_wide: bool,
    ) {
        let (changed, news) = mpsc::unbounded_channel();
        if cluster_wide {
            let definitions = ApiResource {
                group: "apiextensions.k8s.io".into(),
                api_version: "apiextensions.k8s.io/v1".into(),
                ..core("CustomResourceDefinition", "customresourcedefinitions")
            };
            let sink = sinks::Definitions {
                changed,
                index: self.index.clone(),
            };
            let source = self.metadata("CustomResourceDefinition", &definitions, None, None);
            tasks.spawn(watch::run(source, sink));
        }
        let sources = self.clone();
        let start: capabilities::Start = Box::new(move |child| -> Vec<JoinHandle<()>> {
            scopes
                .iter()
                .map(|scope| tokio::spawn(sources.child(child, scope.clone())))
                .collect()
        });
        tasks.spawn(capabilities::run(
            self.client.clone(),
            self.index.clone(),
            news,
            cluster_wide,
            start,
        ));
    }

    fn child(
        &self,
        child: &'static dyn Child,
        scope: Option<String>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let kind = child.kind();
        let source = self.thin(
            kind.kind,
            &kind.api_resource(),
            Some(OURS),
            scope.as_deref(),
        );
        let sink = sinks::Children {
            child,
            scope,
            index: self.index.clone(),
        };
        watch::run(source, sink)
    }

    fn portals(&self, scope: Option<&str>) -> Watch<Guarded> {
        let api = match scope {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        self.source("PortalPlatform", None, api)
    }

    fn thin<K>(
        &self,
        kind: &'static str,
        resource: &ApiResource,
        labels: Option<&'static str>,
        scope: Option<&str>,
    ) -> Watch<K>
    where
        K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        let api = match scope {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        };
        self.source(kind, labels, api)
    }

    /// A watch that asks for nothing but metadata.
    fn metadata(
        &self,
        kind: &'static str,
        resource: &ApiResource,
        labels: Option<&'static str>,
        scope: Option<&str>,
    ) -> Watch<sinks::LiveMetadata> {
        self.thin(kind, resource, labels, scope)
    }

    fn source<K: Resource>(
        &self,
        kind: &'static str,
        labels: Option<&'static str>,
        api: Api<K>,
    ) -> Watch<K> {
        Watch {
            api,
            kind,
            labels,
            beats: self.beats.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

/// The namespaces to watch; one `None`: all of them in one.
fn scopes(settings: &RunSettings) -> Vec<Option<String>> {
    let namespaces = settings.namespaces();
    if namespaces.is_empty() {
        return vec![None];
    }
    namespaces.into_iter().map(Some).collect()
}

/// A kind of the core group.
fn core(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}
