//! Whether a policy can be what it is meant to be: its expressions are read before it is taken.

use atoll_model::Policy;
use atoll_model::name::Problem;

use super::vote::Ready;

/// What is wrong with the expressions of a policy, with fields below `spec`.
pub(crate) fn problems(policy: &Policy) -> Vec<Problem> {
    let wrong = Ready::read(policy).err();
    let problem = |(path, message): (&str, String)| Problem { path: path.to_owned(), message };
    wrong.map(problem).into_iter().collect()
}
