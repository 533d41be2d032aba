//! Pods and the nodes they run on.

use std::{collections::BTreeMap, sync::Arc};

use kube::{ResourceExt, runtime::watcher::Event};

use super::{Index, List, State};
use crate::{
    plan::identity::NAME_LABEL,
    runtime::{
        facts::{self, LiveNode, LivePod},
        queue::PortalKey,
    },
};

impl Index {
    /// Takes an event of the watch of pods.
    pub fn pod_event(&self, scope: Option<&str>, event: Event<LivePod>) {
        let list_key = ("Pod", scope.map(str::to_owned));
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
                self.insert_pod(&mut state, &live);
            }
            Event::Apply(live) => self.insert_pod(&mut state, &live),
            Event::Delete(live) => {
                let namespace = live.namespace().unwrap_or_default();
                let portal = live.labels().get(NAME_LABEL).cloned().unwrap_or_default();
                let key = (portal.as_str().into(), live.name_any().into());
                if let Some(all) = state.pods.get_mut(&namespace)
                    && all.remove(&key).is_some()
                {
                    self.queue.add(PortalKey::new(&namespace, &portal));
                }
            }
            Event::InitDone => {
                let list = state.lists.remove(&list_key).unwrap_or_default();
                for (namespace, all) in &mut state.pods {
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

    fn insert_pod(&self, state: &mut State, live: &LivePod) {
        let namespace = live.namespace().unwrap_or_default();
        let Some(portal) = live.labels().get(NAME_LABEL) else {
            return;
        };
        let pod = facts::pod(live);
        let key = (portal.as_str().into(), pod.name.clone());
        let all = state.pods.entry(namespace.clone()).or_default();
        if all.get(&key).is_none_or(|before| **before != pod) {
            all.insert(key, Arc::new(pod));
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
