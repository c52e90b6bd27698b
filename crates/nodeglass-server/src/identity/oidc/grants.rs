//! What a provider's groups may do: lines of the configuration such as `ops: admin` and `web-team: viewer web-* env=web`.

use std::str::FromStr;

use nodeglass_store::Role;

use crate::access::{Selector, SelectorError};

/// What one group may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The group; `*` is everybody whom the provider lets in.
    group: String,
    /// What it may do.
    pub role: Role,
    /// Which agents it may see.
    pub agents: Selector,
}

/// A line that grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// It has another form.
    #[error("{0:?} is not GROUP: ROLE or GROUP: ROLE AGENTS, with the role viewer, operator or admin")]
    Form(String),
    /// Its agents can't be read.
    #[error("{0:?}: {1}")]
    Agents(String, #[source] SelectorError),
}

impl Grant {
    /// Whether it is for somebody of these groups.
    pub fn is_for(&self, groups: &[&str]) -> bool {
        self.group == "*" || groups.contains(&self.group.as_str())
    }
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let form = || GrantError::Form(text.to_owned());
        // Groups may have colons in their names.
        let (group, rest) = text.rsplit_once(": ").ok_or_else(form)?;
        let mut words = rest.split_whitespace();
        let role = words.next().and_then(Role::from_name).ok_or_else(form)?;
        let agents: Vec<&str> = words.collect();
        let agents = if agents.is_empty() {
            Selector::all()
        } else {
            Selector::of(agents).map_err(|error| GrantError::Agents(text.to_owned(), error))?
        };
        let group = group.trim();
        if group.is_empty() {
            return Err(form());
        }
        Ok(Self {
            group: group.to_owned(),
            role,
            agents,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_grants_a_role_on_some_agents() {
        let grant: Grant = "urn:ops team: admin".parse().unwrap();
        assert_eq!((grant.role, grant.agents.is_all()), (Role::Admin, true));
        assert!(grant.is_for(&["x", "urn:ops team"]) && !grant.is_for(&["ops", "urn:ops teams"]));
        let grant: Grant = "web: viewer web-* env=web".parse().unwrap();
        assert_eq!(grant.agents.entries().unwrap(), ["web-*", "env=web"]);
        let everybody: Grant = "*: viewer".parse().unwrap();
        assert!(everybody.is_for(&[]));
        for wrong in ["", "ops", "ops:admin", "ops: root", ": admin", "ops: "] {
            assert!(
                matches!(wrong.parse::<Grant>(), Err(GrantError::Form(_))),
                "{wrong}"
            );
        }
        assert!(matches!(
            "ops: viewer a/b".parse::<Grant>(),
            Err(GrantError::Agents(..))
        ));
    }
}
