//! Who takes what the watches bring: one sink a source.

use std::sync::{Arc, Mutex};

use kube::{
    Resource, ResourceExt,
    api::DynamicObject,
    core::PartialObjectMeta,
    runtime::{reflector::store::Writer, watcher::Event},
};

use super::{
    facts::{LiveNode, LivePod, LiveVolume},
    index::Index,
    queue::{PortalKey, Queue},
    sampler::Sampler,
    watch::{Cause, Sink},
};
use crate::{
    assess::policies::ENFORCE_LABEL,
    children::{Child, live::Live},
    observe::{ApiState, resource_version},
    reconcile::{Context, Guarded},
};

/// An object of which only the metadata is asked for.
pub type LiveMetadata = PartialObjectMeta<DynamicObject>;

/// Takes portals: into the store, and into the queue when something of interest changed.
pub struct Portals {
    /// The store that reconciles read.
    pub writer: Arc<Mutex<Writer<Guarded>>>,
    /// Where portals wait.
    pub queue: Queue,
    /// What is forgotten with a portal.
    pub context: Arc<Context>,
    /// Samples the databases of portals.
    pub sampler: Arc<Sampler>,
    /// Portals of a list under way.
    pub listed: Mutex<Vec<PortalKey>>,
    /// Namespace of the watch, if it has one.
    pub scope: Option<String>,
}

impl Portals {
    fn forget(&self, key: &PortalKey) {
        let mut writer = lock(&self.writer);
        if let Some(portal) = writer.as_reader().get(&key.reference()) {
            writer.apply_watcher_event(&Event::Delete((*portal).clone()));
        }
        drop(writer);
        self.queue.forget(key);
        self.context.forget(key);
        self.sampler.forget(key);
    }

    /// Takes a portal into the store, which all watches share: the list of one namespace must not replace what the others brought.
    fn keep(&self, portal: Guarded) {
        lock(&self.writer).apply_watcher_event(&Event::Apply(portal));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Sink<Guarded> for Portals {
    fn event(&self, mut event: Event<Guarded>) {
        // What other managers own of a portal is of no interest, and is half of its size.
        if let Event::Apply(portal) | Event::InitApply(portal) = &mut event {
            portal.meta_mut().managed_fields = None;
        }
        if let Event::Apply(guarded) | Event::InitApply(guarded) = &event
            && let Ok(portal) = &guarded.0
        {
            self.sampler.portal(&PortalKey::of(guarded.meta()), portal);
        }
        match event {
            Event::Init => lock(&self.listed).clear(),
            Event::InitApply(portal) => {
                lock(&self.listed).push(PortalKey::of(portal.meta()));
                self.keep(portal);
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut *lock(&self.listed));
                let known = self.queue.known();
                for gone in known.iter().filter(|key| {
                    self.scope
                        .as_ref()
                        .is_none_or(|scope| *scope == key.namespace)
                        && !listed.contains(key)
                }) {
                    self.forget(gone);
                }
                for key in listed {
                    self.queue.learn(key);
                }
            }
            Event::Apply(portal) => {
                let news = self
                    .context
                    .is_news(&portal)
                    .then(|| PortalKey::of(portal.meta()));
                self.keep(portal);
                if let Some(key) = news {
                    self.queue.learn(key);
                }
            }
            Event::Delete(portal) => {
                let key = PortalKey::of(portal.meta());
                self.context.farewell(&key, portal.meta());
                self.forget(&key);
            }
        }
    }
}

/// Takes children of one kind.
pub struct Children {
    /// The kind.
    pub child: &'static dyn Child,
    /// Namespace of the watch, if it has one.
    pub scope: Option<String>,
    /// Where observations go.
    pub index: Arc<Index>,
}

impl Sink<Live> for Children {
    fn event(&self, event: Event<Live>) {
        self.index
            .child_event(self.child, self.scope.as_deref(), event);
    }

    fn failed(&self, cause: &Cause) {
        let kind = self.child.kind();
        match cause {
            Cause::Absent if kind.optional => self.index.api(kind.kind, ApiState::Absent),
            Cause::Absent => self.index.api(
                kind.kind,
                ApiState::Blocked("the API server does not know the kind".into()),
            ),
            Cause::Forbidden(message) => self
                .index
                .api(kind.kind, ApiState::Blocked(message.clone())),
            // What is known stays known; a server that is away soon comes back.
            Cause::Passing(_) => {}
        }
    }

    fn resumed(&self) {
        self.index.api_resumed(self.child.kind().kind);
    }
}

/// Takes pods.
pub struct Pods {
    /// Namespace of the watch, if it has one.
    pub scope: Option<String>,
    /// Where facts go.
    pub index: Arc<Index>,
}

impl Sink<LivePod> for Pods {
    fn event(&self, event: Event<LivePod>) {
        self.index.pod_event(self.scope.as_deref(), event);
    }
}

/// Takes volumes of databases.
pub struct Volumes {
    /// Namespace of the watch, if it has one.
    pub scope: Option<String>,
    /// Where facts go.
    pub index: Arc<Index>,
}

impl Sink<LiveVolume> for Volumes {
    fn event(&self, event: Event<LiveVolume>) {
        self.index.volume_event(self.scope.as_deref(), event);
    }
}

/// Takes nodes.
pub struct Nodes {
    /// Where facts go.
    pub index: Arc<Index>,
}

impl Sink<LiveNode> for Nodes {
    fn event(&self, event: Event<LiveNode>) {
        self.index.node_event(event);
    }
}

/// Takes namespaces.
pub struct Namespaces {
    /// Where facts go.
    pub index: Arc<Index>,
}

impl Sink<LiveMetadata> for Namespaces {
    fn event(&self, event: Event<LiveMetadata>) {
        match event {
            Event::Init => {}
            Event::InitDone => self.index.namespaces_known(),
            Event::Apply(live) | Event::InitApply(live) => {
                let level = live.labels().get(ENFORCE_LABEL).cloned();
                self.index
                    .namespace(&live.name_any(), Some(level.as_deref().unwrap_or("")));
            }
            Event::Delete(live) => self.index.namespace(&live.name_any(), None),
        }
    }
}

/// Takes Secrets or ConfigMaps whose change rolls pods.
pub struct Reload {
    /// `Secret` or `ConfigMap`.
    pub kind: &'static str,
    /// Where versions go.
    pub index: Arc<Index>,
}

impl Sink<LiveMetadata> for Reload {
    fn event(&self, event: Event<LiveMetadata>) {
        let (live, version) = match &event {
            Event::Apply(live) | Event::InitApply(live) => {
                (live, Some(resource_version(&live.metadata)))
            }
            Event::Delete(live) => (live, None),
            Event::Init | Event::InitDone => return,
        };
        let key = (self.kind, live.name_any());
        self.index
            .reload(&live.namespace().unwrap_or_default(), key, version);
    }
}

/// Takes `CustomResourceDefinitions`: tells when an optional API comes or goes.
pub struct Definitions {
    /// Told the name of each definition of an optional kind, and whether it is there.
    pub changed: tokio::sync::mpsc::UnboundedSender<(String, bool)>,
    /// Where the channel of Gateway API is noted.
    pub index: Arc<Index>,
}

impl Sink<LiveMetadata> for Definitions {
    fn event(&self, event: Event<LiveMetadata>) {
        let (live, present) = match &event {
            Event::Apply(live) | Event::InitApply(live) => (live, true),
            Event::Delete(live) => (live, false),
            Event::Init | Event::InitDone => return,
        };
        let name = live.name_any();
        let optional = crate::children::REGISTRY
            .iter()
            .any(|child| child.kind().optional && child.kind().crd_name() == name);
        if !optional {
            return;
        }
        if name == "httproutes.gateway.networking.k8s.io" {
            let experimental = live
                .annotations()
                .get("gateway.networking.k8s.io/channel")
                .is_some_and(|channel| channel == "experimental");
            self.index.set_session_persistence(present && experimental);
        }
        // Nobody listens only while the process ends.
        let _ = self.changed.send((name, present));
    }
}
