//! Which optional APIs the cluster has, and the watches of their kinds, which come and go with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use kube::Client;
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinHandle};

use super::{backoff::Backoff, index::Index};
use crate::{children::Child, observe::ApiState};

/// How often the cluster is asked where definitions cannot be watched.
const POLL: Duration = Duration::from_mins(1);

/// Starts the watches of a kind.
pub type Start = Box<dyn Fn(&'static dyn Child) -> Vec<JoinHandle<()>> + Send>;

/// Keeps the watches of optional kinds in step with what the cluster serves, until the task is dropped.
pub async fn run(
    client: Client,
    index: Arc<Index>,
    mut changed: UnboundedReceiver<(String, bool)>,
    definitions_watched: bool,
    start: Start,
) {
    let mut running: BTreeMap<&'static str, Watches> = BTreeMap::new();
    let mut defined: BTreeSet<String> = BTreeSet::new();
    let mut backoff = Backoff::watch();
    loop {
        let served = match served(&client).await {
            Ok(served) => served,
            Err(error) => {
                tracing::warn!(%error, "failed to ask for the optional APIs");
                tokio::time::sleep(backoff.next()).await;
                continue;
            }
        };
        for child in optional() {
            let kind = child.kind().kind;
            if served.contains(kind) {
                running.entry(kind).or_insert_with(|| Watches(start(child)));
            } else {
                running.remove(kind);
                index.api(kind, ApiState::Absent);
            }
        }
        if !definitions_watched {
            backoff.reset();
            tokio::time::sleep(POLL).await;
            continue;
        }
        // A kind is served a moment after its definition appears, and a moment longer after it goes.
        let settled = optional().all(|child| {
            defined.contains(&child.kind().crd_name()) == served.contains(child.kind().kind)
        });
        if settled {
            backoff.reset();
        }
        let change = if settled {
            changed.recv().await
        } else {
            match tokio::time::timeout(backoff.next(), changed.recv()).await {
                Ok(change) => change,
                Err(_) => continue,
            }
        };
        let mut change = change;
        while let Some((name, present)) = change {
            if present {
                defined.insert(name);
            } else {
                defined.remove(&name);
            }
            change = changed.try_recv().ok();
        }
        if changed.is_closed() {
            return;
        }
    }
}

fn optional() -> impl Iterator<Item = &'static dyn Child> {
    crate::children::REGISTRY
        .into_iter()
        .filter(|child| child.kind().optional)
}

/// The optional kinds that the cluster serves, one small request a group.
async fn served(client: &Client) -> Result<BTreeSet<&'static str>, kube::Error> {
    let mut served = BTreeSet::new();
    for child in optional() {
        let kind = child.kind();
        match client.list_api_group_resources(&kind.api_version()).await {
            Ok(list) => {
                if list
                    .resources
                    .iter()
                    .any(|resource| resource.kind == kind.kind)
                {
                    served.insert(kind.kind);
                }
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(served)
}

/// The watches of a kind; they end when it is dropped.
struct Watches(Vec<JoinHandle<()>>);

impl Drop for Watches {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}
