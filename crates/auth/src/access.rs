//! What a request wants to do, in the terms policies and tokens speak.

use std::fmt;

use entrepot_oci::RepositoryName;

/// One thing that can be allowed in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Read manifests, blobs, tags and referrers.
    Pull,
    /// Upload blobs, put manifests, move tags.
    Push,
    /// Delete manifests, tags and blobs.
    Delete,
}

impl Action {
    /// Every action, in the order scopes list them.
    pub const ALL: [Action; 3] = [Action::Pull, Action::Push, Action::Delete];

    /// The word in a token's scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Pull => "pull",
            Action::Push => "push",
            Action::Delete => "delete",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Action::Pull => 1,
            Action::Push => 2,
            Action::Delete => 4,
        }
    }
}

/// A set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Actions(u8);

impl Actions {
    /// The set of `actions`.
    pub fn of(actions: &[Action]) -> Self {
        Self(actions.iter().fold(0, |bits, action| bits | action.bit()))
    }

    /// Whether `action` is in the set.
    pub const fn contains(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    /// Whether every action of `other` is in the set.
    pub const fn includes(self, other: Actions) -> bool {
        self.0 & other.0 == other.0
    }

    /// The actions of the set, in the order scopes list them.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.contains(*action))
    }
}

impl fmt::Display for Actions {
    /// `pull,push`, as scopes are written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, action) in self.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}", action.as_str())?;
        }
        Ok(())
    }
}

/// What one request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing but to be recognised: `GET /v2/`.
    Registry,
    /// To list the repositories.
    Catalog,
    /// All of `actions` in `repository`.
    Repository {
        /// Where.
        repository: RepositoryName,
        /// What.
        actions: Actions,
    },
}

impl Access {
    /// `actions` in `repository`.
    pub fn repository(repository: &RepositoryName, actions: &[Action]) -> Self {
        Access::Repository { repository: repository.clone(), actions: Actions::of(actions) }
    }

    /// The scope a token must have, in the words of the token specification; `None` where any valid
    /// credentials do.
    pub fn scope(&self) -> Option<String> {
        match self {
            Access::Registry => None,
            Access::Catalog => Some("registry:catalog:*".to_owned()),
            Access::Repository { repository, actions } => Some(format!("repository:{repository}:{actions}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_as_the_token_specification_wants_them() {
        let name = "library/alpine".parse().unwrap();

        let access = Access::repository(&name, &[Action::Push, Action::Pull]);

        assert_eq!(access.scope().as_deref(), Some("repository:library/alpine:pull,push"));
        assert_eq!(Access::Catalog.scope().as_deref(), Some("registry:catalog:*"));
        assert_eq!(Access::Registry.scope(), None);
    }

    #[test]
    fn a_set_includes_its_subsets_and_nothing_more() {
        let both = Actions::of(&[Action::Pull, Action::Push]);

        assert!(both.includes(Actions::of(&[Action::Push])));
        assert!(both.includes(Actions::default()));
        assert!(!both.includes(Actions::of(&[Action::Pull, Action::Delete])));
    }
}
