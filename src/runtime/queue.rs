//! Portals that wait to be reconciled: each at most once, in the order in which they came.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::Notify;

use crate::reconcile::Guarded;

/// Who a portal is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortalKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl PortalKey {
    /// A key of these parts.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The key of the portal that has this metadata.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }

    /// Where it is in the store of portals.
    #[must_use]
    pub fn reference(&self) -> ObjectRef<Guarded> {
        ObjectRef::new(&self.name).within(&self.namespace)
    }
}

/// The queue. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Portals that exist; only these are queued.
    known: BTreeSet<PortalKey>,
    waiting: VecDeque<PortalKey>,
    members: HashSet<PortalKey>,
}

impl State {
    fn push(&mut self, key: PortalKey) {
        if self.known.contains(&key) && self.members.insert(key.clone()) {
            self.waiting.push_back(key);
        }
    }
}

impl Queue {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state: MutexGuard<'_, State> = self
            .inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state);
        let filled = !state.waiting.is_empty();
        drop(state);
        if filled {
            self.inner.filled.notify_one();
        }
        result
    }

    /// A portal exists; queues it.
    pub fn learn(&self, key: PortalKey) {
        self.with(|state| {
            state.known.insert(key.clone());
            state.push(key);
        });
    }

    /// A portal is gone.
    pub fn forget(&self, key: &PortalKey) {
        self.with(|state| state.known.remove(key));
    }

    /// Portals that exist.
    #[must_use]
    pub fn known(&self) -> BTreeSet<PortalKey> {
        self.with(|state| state.known.clone())
    }

    /// Queues a portal, if it exists.
    pub fn add(&self, key: PortalKey) {
        self.with(|state| state.push(key));
    }

    /// Queues every portal of a namespace.
    pub fn add_namespace(&self, namespace: &str) {
        self.with(|state| {
            let first = PortalKey::new(namespace, "");
            let keys: Vec<_> = state
                .known
                .range(first..)
                .take_while(|key| key.namespace == namespace)
                .cloned()
                .collect();
            for key in keys {
                state.push(key);
            }
        });
    }

    /// Queues every portal.
    pub fn add_all(&self) {
        self.with(|state| {
            let keys: Vec<_> = state.known.iter().cloned().collect();
            for key in keys {
                state.push(key);
            }
        });
    }

    /// Waits for the next portal.
    pub async fn next(&self) -> PortalKey {
        loop {
            let key = self.with(|state| {
                let key = state.waiting.pop_front()?;
                state.members.remove(&key);
                Some(key)
            });
            if let Some(key) = key {
                return key;
            }
            self.inner.filled.notified().await;
        }
    }

    /// Number of portals that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.with(|state| state.waiting.len())
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
