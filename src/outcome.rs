//! What became of each action.

use crate::{
    error::Failure,
    observe::{ApiState, ChildKey},
};

/// What became of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Kind and name of the child.
    pub key: ChildKey,
    /// What became of it.
    pub result: Done,
}

/// What became of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was in place.
    Kept,
    /// It was written.
    Written,
    /// It was deleted.
    Deleted,
    /// Somebody else's object is in the way and was left alone.
    Refused {
        /// Who it belongs to, as far as it says.
        manager: String,
    },
    /// It must wait.
    Waiting {
        /// For what.
        reason: String,
    },
    /// It waits for the database.
    Held,
    /// The API of its kind is missing or closed to us.
    Blocked(ApiState),
    /// A request failed.
    Failed(Failure),
}
