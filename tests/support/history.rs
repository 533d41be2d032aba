//! Every version of the objects of a kind, from a moment on.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use kube::{Api, api::DynamicObject, api::WatchEvent, api::WatchParams};
use serde_json::Value;
use tokio::task::JoinHandle;

/// What a watch told.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The object is or was made to be like this.
    Is(Value),
    /// The object is gone; this was its last version.
    Gone(Value),
}

/// A watch from now on that forgets nothing.
pub struct History {
    changes: Arc<Mutex<Vec<Change>>>,
    task: JoinHandle<()>,
}

impl History {
    /// Begins now; objects that exist already are the first changes.
    pub async fn begin(api: Api<DynamicObject>) -> Self {
        let list = api.list(&kube::api::ListParams::default()).await.unwrap();
        let mut version = list.metadata.resource_version.clone().unwrap();
        let begun = list.items.iter().map(|object| Change::Is(value(object)));
        let changes = Arc::new(Mutex::new(begun.collect::<Vec<_>>()));
        let sink = changes.clone();
        let task = tokio::spawn(async move {
            loop {
                let Ok(stream) = api.watch(&WatchParams::default(), &version).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let mut stream = stream.boxed();
                while let Some(Ok(event)) = stream.next().await {
                    let change = match event {
                        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                            version = object.metadata.resource_version.clone().unwrap();
                            Change::Is(value(&object))
                        }
                        WatchEvent::Deleted(object) => {
                            version = object.metadata.resource_version.clone().unwrap();
                            Change::Gone(value(&object))
                        }
                        WatchEvent::Bookmark(_) => continue,
                        WatchEvent::Error(error) => panic!("the history broke off: {error:?}"),
                    };
                    sink.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(change);
                }
            }
        });
        Self { changes, task }
    }

    /// Everything so far.
    pub fn changes(&self) -> Vec<Change> {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Every version of an object so far.
    pub fn of(&self, name: &str) -> Vec<Value> {
        self.changes()
            .into_iter()
            .filter_map(|change| match change {
                Change::Is(value) if value["metadata"]["name"] == name => Some(value),
                _ => None,
            })
            .collect()
    }

    /// The greatest number of objects that existed at once, in the sense of `counts`.
    pub fn most_at_once(&self, counts: impl Fn(&Value) -> bool) -> usize {
        let mut present = std::collections::BTreeSet::new();
        let mut most = 0;
        for change in self.changes() {
            let (Change::Is(object) | Change::Gone(object)) = &change;
            let uid = object["metadata"]["uid"].to_string();
            if matches!(change, Change::Is(_)) && counts(object) {
                present.insert(uid);
            } else {
                present.remove(&uid);
            }
            most = most.max(present.len());
        }
        most
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn value(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap()
}
