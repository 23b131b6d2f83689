//! What a refused client is told to bring: the value of one `WWW-Authenticate`.

use std::fmt;

/// An authentication scheme with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: &'static str,
    parameters: Vec<(&'static str, String)>,
}

impl Challenge {
    /// User name and password.
    pub fn basic(realm: impl Into<String>) -> Self {
        Self { scheme: "Basic", parameters: vec![("realm", realm.into())] }
    }

    /// A token from the service at `realm`.
    pub fn bearer(realm: impl Into<String>, service: impl Into<String>) -> Self {
        Self { scheme: "Bearer", parameters: vec![("realm", realm.into()), ("service", service.into())] }
    }

    /// Names the scope the token must have.
    #[must_use]
    pub fn scope(mut self, scope: Option<String>) -> Self {
        self.parameters.extend(scope.map(|scope| ("scope", scope)));
        self
    }

    /// Says what was wrong with the token that was presented (RFC 6750, section 3.1).
    #[must_use]
    pub fn error(mut self, error: &'static str) -> Self {
        self.parameters.push(("error", error.to_owned()));
        self
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme)?;
        for (place, (name, value)) in self.parameters.iter().enumerate() {
            let separator = if place == 0 { " " } else { "," };
            write!(f, "{separator}{name}=\"{}\"", Quoted(value))?;
        }
        Ok(())
    }
}

/// A quoted-string (RFC 9110, section 5.6.4); control characters have no place in one.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().filter(|character| !character.is_control()) {
            if matches!(character, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{character}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_challenge_lists_realm_service_and_scope() {
        let challenge = Challenge::bearer("https://auth.example/token", "registry")
            .scope(Some("repository:a:pull".into()));

        assert_eq!(
            challenge.to_string(),
            r#"Bearer realm="https://auth.example/token",service="registry",scope="repository:a:pull""#
        );
    }

    #[test]
    fn a_value_cannot_break_out_of_its_quotes() {
        let challenge = Challenge::basic("a\"b\\c\r\nX-Evil: 1");

        assert_eq!(challenge.to_string(), r#"Basic realm="a\"b\\cX-Evil: 1""#);
    }
}
