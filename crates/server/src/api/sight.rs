//! What whoever asks may see of one object: the last question before anything is answered about it.
//! What a right is worth is the gate's to say.

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::object::Stored;
use atoll_model::{Any, Kind, Object, Snapshot};
use atoll_plan::permission::Permissions;
use std::sync::Arc;

use super::error::{Answer, ApiError};
use crate::Server;

/// One world, and what somebody may do in it.
#[derive(Debug)]
pub struct Sight {
    /// The world, with everything in it.
    pub world: Snapshot,
    /// What they may.
    pub may: Permissions,
}

impl Server {
    /// The present world, as somebody may see it.
    pub fn sight(&self, actor: &Actor) -> Sight {
        let world = self.cache.world();
        let may = Permissions::of(&world, actor);
        Sight { world, may }
    }

    /// The present world without what somebody may not read, where more than one object is asked
    /// for at once.
    pub fn seen(&self, actor: &Actor) -> Snapshot {
        let sight = self.sight(actor);
        sight.may.seen(&sight.world)
    }
}

impl Sight {
    /// Whether they may see an object.
    pub fn sees(&self, any: &Any) -> bool {
        self.may.allows(&self.world, Verb::Read, any)
    }

    /// The object, if it is there and they may do that to it.
    ///
    /// # Errors
    /// There is none, or they may not.
    pub fn find(&self, verb: Verb, kind: Kind, name: &str) -> Answer<Any> {
        let Some(any) = self.world.find(kind, name) else {
            self.may.check_kind(&self.world, verb, kind).map_err(ApiError::denied)?;
            return Err(ApiError::not_found(format!("{}/{name}", kind.lower())));
        };
        self.may.check(&self.world, verb, &any).map_err(ApiError::denied)?;
        Ok(any)
    }

    /// The same of a kind that is known.
    ///
    /// # Errors
    /// As [`Sight::find`].
    pub fn get<S: Stored>(&self, verb: Verb, name: &str) -> Answer<Arc<Object<S>>> {
        let any = self.find(verb, S::KIND, name)?;
        any.of::<S>().cloned().ok_or_else(|| ApiError::not_found(name))
    }
}
