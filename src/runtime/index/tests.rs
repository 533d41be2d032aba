//! Whatever the order in which events, answers and lists come: in the end the index knows what there is.

use kube::runtime::watcher::Event;
use proptest::{prelude::*, sample::Index as Choice};
use serde_json::json;

use super::Index;
use crate::{
    children::{Child, by_kind, live::Live},
    runtime::queue::{PortalKey, Queue},
};

const NAMES: [&str; 3] = ["portal-a", "portal-b", "portal-c"];

fn child() -> &'static dyn Child {
    by_kind("Service").unwrap()
}

fn service(name: &str, uid: u64, version: u64) -> Live {
    serde_json::from_value(json!({"metadata": {
        "name": name, "namespace": "team", "uid": uid.to_string(), "resourceVersion": version.to_string(),
        "labels": {"portalplatform.dev/name": "portal"},
    }}))
    .unwrap()
}

fn index() -> Index {
    let index = Index::new(Queue::default());
    list(&index, &[]);
    index
}

fn list(index: &Index, objects: &[Live]) {
    index.child_event(child(), None, Event::Init);
    for object in objects {
        index.child_event(child(), None, Event::InitApply(object.clone()));
    }
    index.child_event(child(), None, Event::InitDone);
}

/// Names and uids of what the index knows.
fn known(index: &Index) -> Vec<(String, String)> {
    let world = index.world(&PortalKey::new("team", "portal"));
    let known = world.children.iter();
    known
        .map(|((_, name), child)| (name.clone(), child.uid.to_string()))
        .collect()
}

#[test]
fn an_answer_before_its_event_is_known_at_once() {
    let index = index();
    index.written(child(), &service("portal-a", 1, 5), index.ended_lists());
    assert_eq!(known(&index), [("portal-a".into(), "1".into())]);
}

#[test]
fn an_answer_after_the_event_of_the_deletion_brings_nothing_back_whatever_the_watch_covers() {
    for scope in [None, Some("team")] {
        let index = index();
        let asked = index.ended_lists();
        index.child_event(child(), scope, Event::Apply(service("portal-a", 1, 5)));
        index.child_event(child(), scope, Event::Delete(service("portal-a", 1, 6)));
        index.written(child(), &service("portal-a", 1, 5), asked);
        assert_eq!(known(&index), [], "{scope:?}");
    }
}

#[test]
fn an_answer_after_a_list_without_the_object_brings_nothing_back() {
    let index = index();
    let asked = index.ended_lists();
    list(&index, &[]);
    index.written(child(), &service("portal-a", 1, 5), asked);
    assert_eq!(known(&index), []);
}

#[test]
fn what_a_list_does_not_hold_is_gone_though_we_have_just_written_it() {
    let index = index();
    index.child_event(child(), None, Event::Init);
    index.written(child(), &service("portal-a", 1, 5), index.ended_lists());
    index.child_event(child(), None, Event::InitDone);
    assert_eq!(known(&index), []);
}

/// What happens, in the cluster and on the way from it.
#[derive(Clone, Debug)]
enum Step {
    /// We write an object; the answer is on its way.
    Write(usize),
    /// Somebody deletes an object.
    Delete(usize),
    /// An answer arrives, any of those under way.
    Answer(Choice),
    /// The next event arrives.
    Event,
    /// The watch breaks off; a list is read, which brings what there is now.
    BeginList,
    /// A list that was read arrives.
    EndList,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..NAMES.len()).prop_map(Step::Write),
        2 => (0..NAMES.len()).prop_map(Step::Delete),
        4 => any::<Choice>().prop_map(Step::Answer),
        6 => Just(Step::Event),
        1 => Just(Step::BeginList),
        1 => Just(Step::EndList),
    ]
}

/// A server with one kind of object, and what is on its way to the index.
#[derive(Default)]
struct Cluster {
    version: u64,
    objects: [Option<Live>; NAMES.len()],
    events: std::collections::VecDeque<Event<Live>>,
    answers: Vec<(Live, u64)>,
    list: Option<Vec<Live>>,
}

impl Cluster {
    fn step(&mut self, step: &Step, index: &Index) {
        self.version += 1;
        match step {
            Step::Write(which) => {
                let uid = self.objects[*which]
                    .as_ref()
                    .and_then(|live| live.metadata.uid.as_ref()?.parse().ok())
                    .unwrap_or(self.version);
                let live = service(NAMES[*which], uid, self.version);
                self.events.push_back(Event::Apply(live.clone()));
                self.answers.push((live.clone(), index.ended_lists()));
                self.objects[*which] = Some(live);
            }
            Step::Delete(which) => {
                if let Some(mut live) = self.objects[*which].take() {
                    live.metadata.resource_version = Some(self.version.to_string());
                    self.events.push_back(Event::Delete(live));
                }
            }
            Step::Answer(which) => {
                if !self.answers.is_empty() {
                    let which = which.index(self.answers.len());
                    let (live, asked) = self.answers.remove(which);
                    index.written(child(), &live, asked);
                }
            }
            Step::Event => {
                if self.list.is_none()
                    && let Some(event) = self.events.pop_front()
                {
                    index.child_event(child(), None, event);
                }
            }
            Step::BeginList => {
                if self.list.is_none() {
                    index.child_event(child(), None, Event::Init);
                    self.events.clear();
                    self.list = Some(self.objects.iter().flatten().cloned().collect());
                }
            }
            Step::EndList => {
                let Some(listed) = self.list.take() else {
                    return;
                };
                for live in listed {
                    index.child_event(child(), None, Event::InitApply(live));
                }
                index.child_event(child(), None, Event::InitDone);
            }
        }
    }

    /// Everything under way arrives, in any order.
    fn settle(&mut self, answer: Choice, index: &Index) {
        self.step(&Step::EndList, index);
        while !self.answers.is_empty() || !self.events.is_empty() {
            self.step(&Step::Answer(answer), index);
            self.step(&Step::Event, index);
        }
    }

    fn known(&self) -> Vec<(String, String)> {
        let objects = self.objects.iter().flatten();
        objects
            .map(|live| {
                let metadata = live.metadata.clone();
                (
                    metadata.name.unwrap_or_default(),
                    metadata.uid.unwrap_or_default(),
                )
            })
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_the_end_the_index_knows_what_there_is(
        steps in proptest::collection::vec(steps(), 1..60),
        answer in any::<Choice>(),
    ) {
        let index = index();
        let mut cluster = Cluster::default();
        for step in &steps {
            cluster.step(step, &index);
        }
        cluster.settle(answer, &index);
        prop_assert_eq!(known(&index), cluster.known());
    }
}
