//! What the watches know of the cluster, kept as [`Observation`]s and small facts, never as objects.
//!
//! A change that alters what is known queues the portals it concerns; one that does not is dropped here.

mod facts;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{ResourceExt, runtime::watcher::Event};

use super::{
    queue::{PortalKey, Queue},
    samples::Samples,
};
use crate::{
    children::{
        Child,
        live::{Health, Live},
    },
    observe::{ApiState, ChildKey, Node, Observation, Pod, Volume, World, resource_version},
    plan::identity::NAME_LABEL,
};

/// Everything that is known of the cluster.
#[derive(Debug)]
pub struct Index {
    state: Mutex<State>,
    queue: Queue,
    samples: Samples,
    settled: tokio::sync::Notify,
}

/// Facts of objects that are not ours: namespace → portal and name → fact.
type FactsByNamespace<F> = HashMap<String, BTreeMap<(Box<str>, Box<str>), Arc<F>>>;

/// The facts of one portal.
fn of_portal<F>(facts: &FactsByNamespace<F>, key: &PortalKey) -> Vec<Arc<F>> {
    facts.get(&key.namespace).map_or_else(Vec::new, |all| {
        let portal: Box<str> = key.name.as_str().into();
        all.range((portal.clone(), "".into())..)
            .take_while(|((name, _), _)| *name == portal)
            .map(|(_, fact)| fact.clone())
            .collect()
    })
}

#[derive(Debug, Default)]
struct State {
    /// Children by namespace, kind and name. Names begin with the portal's, so a portal's children are found by range.
    children: HashMap<String, BTreeMap<ChildKey, Entry>>,
    pods: FactsByNamespace<Pod>,
    volumes: FactsByNamespace<Volume>,
    nodes: Option<Arc<BTreeMap<Box<str>, Node>>>,
    namespaces: Option<HashMap<String, Box<str>>>,
    /// Versions of the Secrets and ConfigMaps whose change rolls pods: namespace → kind and name → version.
    reload: HashMap<String, BTreeMap<ChildKey, u64>>,
    apis: HashMap<&'static str, ApiState>,
    session_persistence: bool,
    /// Lists under way.
    lists: HashMap<WatchKey, List>,
    /// Lists of children that have ended.
    ended_lists: u64,
    /// The newest version that each watch of children has brought. It brings them in their order.
    brought: HashMap<WatchKey, u64>,
}

/// A watch: its kind and its namespace, if it has one.
type WatchKey = (&'static str, Option<String>);

#[derive(Debug, Clone)]
struct Entry {
    portal: Arc<str>,
    observation: Arc<Observation>,
}

/// What a list has brought so far.
#[derive(Debug, Default)]
struct List {
    seen: HashSet<(String, String)>,
    newest: u64,
}

impl State {
    fn has_brought(&mut self, watch: WatchKey, version: u64) {
        let newest = self.brought.entry(watch).or_default();
        *newest = version.max(*newest);
    }

    /// Whether the watch of a kind is past a version of an object in this namespace.
    fn is_past(&self, kind: &'static str, namespace: &str, version: u64) -> bool {
        [None, Some(namespace.to_owned())]
            .into_iter()
            .filter_map(|scope| self.brought.get(&(kind, scope)))
            .any(|newest| *newest >= version)
    }
}

impl Index {
    /// An empty index that queues portals in `queue`.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        Self {
            state: Mutex::default(),
            queue,
            samples: Samples::default(),
            settled: tokio::sync::Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves at worst one observation out; the next event brings it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What primaries of databases told, a part of what is known.
    #[must_use]
    pub fn samples(&self) -> Samples {
        self.samples.clone()
    }

    /// All that is known of one portal.
    #[must_use]
    pub fn world(&self, key: &PortalKey) -> World {
        let state = self.lock();
        let mut children = BTreeMap::new();
        if let Some(all) = state.children.get(&key.namespace) {
            for child in crate::children::REGISTRY {
                let kind = child.kind().kind;
                let first = Bound::Included((kind, key.name.clone()));
                let of_portal = all
                    .range((first, Bound::Unbounded))
                    .take_while(|((k, name), _)| *k == kind && name.starts_with(&key.name))
                    .filter(|(_, child)| *child.portal == *key.name);
                children
                    .extend(of_portal.map(|(key, child)| (key.clone(), child.observation.clone())));
            }
        }
        World {
            children,
            pods: of_portal(&state.pods, key),
            volumes: of_portal(&state.volumes, key),
            archiving: self.samples.archiving(key),
            nodes: state.nodes.clone(),
            pod_security: state
                .namespaces
                .as_ref()
                .map(|namespaces| namespaces.get(&key.namespace).cloned().unwrap_or_default()),
            apis: state
                .apis
                .iter()
                .map(|(kind, api)| (*kind, api.clone()))
                .collect(),
            session_persistence: state.session_persistence,
            reload: state
                .reload
                .get(&key.namespace)
                .cloned()
                .unwrap_or_default(),
        }
    }

    /// Takes an event of the watch of a child kind. `scope` is the namespace of the watch, if it has one.
    pub fn child_event(&self, child: &'static dyn Child, scope: Option<&str>, event: Event<Live>) {
        let kind = child.kind().kind;
        let list_key = (kind, scope.map(str::to_owned));
        let mut state = self.lock();
        match event {
            Event::Init => {
                state.lists.insert(list_key, List::default());
            }
            Event::InitApply(live) => {
                if let Some(list) = state.lists.get_mut(&list_key) {
                    list.seen
                        .insert((live.namespace().unwrap_or_default(), live.name_any()));
                    list.newest = list.newest.max(resource_version(&live.metadata));
                }
                self.insert(&mut state, child, &live, false);
            }
            Event::Apply(live) => {
                state.has_brought(list_key, resource_version(&live.metadata));
                self.insert(&mut state, child, &live, false);
            }
            Event::Delete(live) => {
                state.has_brought(list_key, resource_version(&live.metadata));
                let key = (kind, live.name_any());
                let namespace = live.namespace().unwrap_or_default();
                let uid = live.metadata.uid.as_deref();
                if let Some(all) = state.children.get_mut(&namespace)
                    && all
                        .get(&key)
                        .is_some_and(|child| Some(&*child.observation.uid) == uid)
                    && let Some(child) = all.remove(&key)
                {
                    self.queue.add(PortalKey::new(&namespace, &child.portal));
                }
            }
            Event::InitDone => {
                let list = state.lists.remove(&list_key).unwrap_or_default();
                state.has_brought(list_key, list.newest);
                state.ended_lists += 1;
                for (namespace, all) in &mut state.children {
                    if scope.is_some_and(|scope| scope != namespace) {
                        continue;
                    }
                    // What we wrote after the list was read goes too: its event comes yet, that of its deletion may not.
                    all.retain(|(k, name), child| {
                        let gone =
                            *k == kind && !list.seen.contains(&(namespace.clone(), name.clone()));
                        if gone {
                            self.queue.add(PortalKey::new(namespace, &child.portal));
                        }
                        !gone
                    });
                }
                self.set_api(&mut state, kind, ApiState::Synced);
            }
        }
    }

    /// To be asked before a write, and given back with its answer.
    #[must_use]
    pub fn ended_lists(&self) -> u64 {
        self.lock().ended_lists
    }

    /// Takes the answer to one of our own writes, which the watch repeats: mostly later. Where the watch was first, and the object
    /// is not there, it was deleted meanwhile, as the garbage collector does within milliseconds when the portal is gone.
    pub fn written(&self, child: &'static dyn Child, live: &Live, ended_lists: u64) {
        let mut state = self.lock();
        let namespace = live.namespace().unwrap_or_default();
        let kind = child.kind().kind;
        let known = state
            .children
            .get(&namespace)
            .is_some_and(|all| all.contains_key(&(kind, live.name_any())));
        // A list that ended meanwhile was read before the write or after the deletion. If before, the event comes yet.
        let late = state.ended_lists != ended_lists
            || state.is_past(kind, &namespace, resource_version(&live.metadata));
        if known || !late {
            self.insert(&mut state, child, live, true);
        }
    }

    /// Takes our own deletion of an object, which the watch will repeat later.
    pub fn deleted(&self, namespace: &str, key: &ChildKey, uid: &str) {
        let mut state = self.lock();
        if let Some(all) = state.children.get_mut(namespace)
            && all
                .get(key)
                .is_some_and(|child| *child.observation.uid == *uid)
        {
            all.remove(key);
        }
    }

    fn insert(&self, state: &mut State, child: &'static dyn Child, live: &Live, own: bool) {
        let namespace = live.namespace().unwrap_or_default();
        let key: ChildKey = (child.kind().kind, live.name_any());
        let observation = Observation::new(&live.metadata, child.health(live));
        let all = state.children.entry(namespace.clone()).or_default();
        let before = all.get(&key);
        if before.is_some_and(|before| {
            before.observation.resource_version > observation.resource_version
        }) {
            return;
        }
        let Some(portal) = live.labels().get(NAME_LABEL) else {
            if let Some(before) = all.remove(&key) {
                self.queue.add(PortalKey::new(&namespace, &before.portal));
            }
            return;
        };
        let same = before.is_some_and(|before| {
            *before.portal == **portal
                && Observation {
                    resource_version: before.observation.resource_version,
                    ..observation.clone()
                } == *before.observation
        });
        if let (Health::Cluster(now), Some(before)) = (&observation.health, before)
            && let Health::Cluster(before) = &before.observation.health
            && now.primary != before.primary
        {
            self.samples.wake(&PortalKey::new(&namespace, portal));
        }
        if !same && !own {
            if let Some(before) = before {
                self.queue.add(PortalKey::new(&namespace, &before.portal));
            }
            self.queue.add(PortalKey::new(&namespace, portal));
        }
        all.insert(
            key,
            Entry {
                portal: portal.as_str().into(),
                observation: Arc::new(observation),
            },
        );
    }

    /// Takes the pod security level of a namespace; `None`: the namespace is gone.
    pub fn namespace(&self, namespace: &str, level: Option<&str>) {
        let mut state = self.lock();
        let namespaces = state.namespaces.get_or_insert_default();
        let before = match level {
            // Most namespaces enforce nothing; they need no entry.
            Some("") | None => namespaces.remove(namespace),
            Some(level) => namespaces.insert(namespace.to_owned(), level.into()),
        };
        if before.as_deref().unwrap_or("") != level.unwrap_or("") {
            self.queue.add_namespace(namespace);
        }
    }

    /// Namespaces can be read, even if none enforces anything.
    pub fn namespaces_known(&self) {
        self.lock().namespaces.get_or_insert_default();
    }

    /// Takes the version of a Secret or ConfigMap whose change rolls pods; `None`: it is gone or no longer marked.
    pub fn reload(&self, namespace: &str, key: ChildKey, version: Option<u64>) {
        let mut state = self.lock();
        let all = state.reload.entry(namespace.to_owned()).or_default();
        let before = match version {
            Some(version) => all.insert(key, version),
            None => all.remove(&key),
        };
        if before != version {
            self.queue.add_namespace(namespace);
        }
    }

    /// Tells what became of the API of a kind; queues every portal if that is news.
    pub fn api(&self, kind: &'static str, api: ApiState) {
        self.set_api(&mut self.lock(), kind, api);
    }

    /// The watch of a kind goes on after a failure, with all it knew.
    pub fn api_resumed(&self, kind: &'static str) {
        let mut state = self.lock();
        // Before its first list has ended nothing is known, and the end of that list tells.
        if state.apis.contains_key(kind) && !state.lists.keys().any(|(k, _)| *k == kind) {
            self.set_api(&mut state, kind, ApiState::Synced);
        }
    }

    fn set_api(&self, state: &mut State, kind: &'static str, api: ApiState) {
        if api == ApiState::Absent {
            for all in state.children.values_mut() {
                all.retain(|(k, _), _| *k != kind);
            }
        }
        if state.apis.get(kind) != Some(&api) {
            state.apis.insert(kind, api);
            self.queue.add_all();
            self.settled.notify_waiters();
        }
    }

    /// Waits until [`Self::settled`].
    pub async fn wait_until_settled(&self) {
        loop {
            let changed = self.settled.notified();
            if self.settled() {
                return;
            }
            changed.await;
        }
    }

    /// Tells whether HTTPRoute has `sessionPersistence`.
    pub fn set_session_persistence(&self, present: bool) {
        let mut state = self.lock();
        if state.session_persistence != present {
            state.session_persistence = present;
            self.queue.add_all();
        }
    }

    /// Whether the first list of every child kind has ended, well or not.
    #[must_use]
    pub fn settled(&self) -> bool {
        let state = self.lock();
        crate::children::REGISTRY
            .iter()
            .all(|child| state.apis.contains_key(child.kind().kind))
    }
}
