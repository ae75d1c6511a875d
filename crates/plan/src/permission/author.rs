//! What somebody may who is not there to ask: whoever wrote what begins by itself. Their rights are
//! those of the moment at which it begins, and never more than they had when they wrote it.

use atoll_model::access::{Actor, Author, Level};
use atoll_model::{Object, Reason, Snapshot, Timestamp, Token, User};

use super::Permissions;

/// Whether a token is worth anything: it has not ended, the user it speaks for is there, and
/// neither they nor whom it was made for are disabled.
pub fn is_good(world: &Snapshot, token: &Object<Token>, now: Timestamp) -> bool {
    let user = |name: &String| world.get::<User>(name);
    let speaks = match &token.spec.user {
        Some(name) => user(name).is_some_and(|user| !user.spec.disabled),
        None => true,
    };
    let owner = token.spec.owner.as_ref().and_then(user);
    speaks && !token.spec.expired(now) && owner.is_none_or(|owner| !owner.spec.disabled)
}

impl Permissions {
    /// What an author may now. A user outlives the session they wrote it in; a token that speaks
    /// for no user is worth nothing once it has ended.
    ///
    /// # Errors
    /// That they may nothing any more.
    pub fn of_author(
        world: &Snapshot,
        author: &Author,
        now: Timestamp,
    ) -> Result<Permissions, Reason> {
        let name = &author.name;
        if let Some(user) = &author.user {
            match world.get::<User>(user) {
                None => return Err(gone(format!("there is no user {user} any more"))),
                Some(known) if known.spec.disabled => {
                    return Err(gone(format!("user/{user} is disabled")));
                }
                Some(_) => {}
            }
        }
        let mut actor = Actor::from(author);
        let token = author.token.as_ref().map(|token| world.get::<Token>(token));
        let good = token.is_none_or(|token| token.is_some_and(|token| is_good(world, token, now)));
        if !good && author.user.is_none() {
            return Err(gone(format!("the token {name} wrote it with is worth nothing any more")));
        }
        if !good {
            (actor.level, actor.token) = (Level::Member, None);
            actor.roles.clear();
        }
        Ok(Permissions::of(world, &actor))
    }
}

fn gone(message: String) -> Reason {
    let hint = "somebody who may do it writes it anew: change its spec and apply it";
    Reason::new("denied", message).hint(hint)
}
