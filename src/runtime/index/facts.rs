//! Pods, the nodes they run on, and the volumes of databases.

use std::{collections::BTreeMap, sync::Arc};

use kube::{ResourceExt, runtime::watcher::Event};

use super::{FactsByNamespace, Index, List, State};
use crate::{
    plan::identity::NAME_LABEL,
    runtime::{
        facts::{self, LiveNode, LivePod, LiveVolume},
        queue::PortalKey,
    },
};

impl Index {
    /// Takes an event of the watch of pods.
    pub fn pod_event(&self, scope: Option<&str>, event: Event<LivePod>) {
        self.fact_event("Pod", scope, event, |state| &mut state.pods, facts::pod);
    }

    /// Takes an event of the watch of volumes.
    pub fn volume_event(&self, scope: Option<&str>, event: Event<LiveVolume>) {
        let kind = "PersistentVolumeClaim";
        self.fact_event(
            kind,
            scope,
            event,
            |state| &mut state.volumes,
            facts::volume,
        );
    }

    /// Keeps the facts of objects that carry the label of a portal.
    fn fact_event<L: ResourceExt, F: PartialEq>(
        &self,
        kind: &'static str,
        scope: Option<&str>,
        event: Event<L>,
        facts: fn(&mut State) -> &mut FactsByNamespace<F>,
        read: fn(&L) -> F,
    ) {
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
                }
                self.insert_fact(facts(&mut state), &live, read);
            }
            Event::Apply(live) => self.insert_fact(facts(&mut state), &live, read),
            Event::Delete(live) => {
                let namespace = live.namespace().unwrap_or_default();
                let portal = live.labels().get(NAME_LABEL).cloned().unwrap_or_default();
                let key = (portal.as_str().into(), live.name_any().into());
                if let Some(all) = facts(&mut state).get_mut(&namespace)
                    && all.remove(&key).is_some()
                {
                    self.queue.add(PortalKey::new(&namespace, &portal));
                }
            }
            Event::InitDone => {
                let list = state.lists.remove(&list_key).unwrap_or_default();
                for (namespace, all) in facts(&mut state) {
                    if scope.is_some_and(|scope| scope != namespace) {
                        continue;
                    }
                    all.retain(|(portal, name), _| {
                        let seen = list.seen.contains(&(namespace.clone(), name.to_string()));
                        if !seen {
                            self.queue.add(PortalKey::new(namespace, portal));
                        }
                        seen
                    });
                }
            }
        }
    }

    fn insert_fact<L: ResourceExt, F: PartialEq>(
        &self,
        facts: &mut FactsByNamespace<F>,
        live: &L,
        read: fn(&L) -> F,
    ) {
        let namespace = live.namespace().unwrap_or_default();
        let Some(portal) = live.labels().get(NAME_LABEL) else {
            return;
        };
        let fact = read(live);
        let key = (portal.as_str().into(), live.name_any().into());
        let all = facts.entry(namespace.clone()).or_default();
        if all.get(&key).is_none_or(|before| **before != fact) {
            all.insert(key, Arc::new(fact));
            self.queue.add(PortalKey::new(&namespace, portal));
        }
    }

    /// Takes an event of the watch of nodes.
    pub fn node_event(&self, event: Event<LiveNode>) {
        let mut state = self.lock();
        let before = state.nodes.clone();
        let mut nodes = before
            .as_ref()
            .map_or_else(BTreeMap::new, |nodes| (**nodes).clone());
        match event {
            Event::Init => {
                state.lists.insert(("Node", None), List::default());
                return;
            }
            Event::InitApply(live) | Event::Apply(live) => {
                let name = live.name_any();
                if let Some(list) = state.lists.get_mut(&("Node", None)) {
                    list.seen.insert((String::new(), name.clone()));
                }
                let node = facts::node(&live);
                if nodes.get(name.as_str()) == Some(&node) {
                    return;
                }
                nodes.insert(name.into(), node);
            }
            Event::Delete(live) => {
                nodes.remove(live.name_any().as_str());
            }
            Event::InitDone => {
                let list = state.lists.remove(&("Node", None)).unwrap_or_default();
                nodes.retain(|name, _| list.seen.contains(&(String::new(), name.to_string())));
            }
        }
        if before.as_deref() != Some(&nodes) {
            state.nodes = Some(Arc::new(nodes));
            // While the first list is read, every portal is queued anyway.
            if !state.lists.contains_key(&("Node", None)) {
                self.queue.add_all();
            }
        }
    }
}
