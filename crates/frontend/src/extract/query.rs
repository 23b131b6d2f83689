//! Query parameters. Order, escaping and repetition are the client's business: containerd sorts and
//! re-escapes the query of a `Location` before it uses it.

use std::borrow::Cow;

/// The parameters of one request, unescaped, in their order.
#[derive(Debug)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Reads the text after `?`. Never fails: what cannot be unescaped stays as it is.
    pub(crate) fn parse(text: &'a str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(unescape_pair).collect())
    }

    /// The first value of `parameter`.
    pub(crate) fn get(&self, parameter: entrepot_api::parameter::Parameter) -> Option<&str> {
        self.all(parameter).next()
    }

    /// Every value of `parameter`.
    pub(crate) fn all(&self, parameter: entrepot_api::parameter::Parameter) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == parameter.name).map(|(_, value)| &**value)
    }

    /// The only value of `parameter`: `None` if it is absent, an error if there are several different
    /// ones, because nobody can tell which is meant.
    pub(crate) fn only(
        &self,
        parameter: entrepot_api::parameter::Parameter,
    ) -> Result<Option<&str>, Ambiguous> {
        let mut values = self.all(parameter);
        let first = values.next();
        if values.any(|value| Some(value) != first) { Err(Ambiguous) } else { Ok(first) }
    }

    /// All parameters, for repeating them in a link.
    pub(crate) fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value)).collect()
    }
}

/// A parameter that may be given once was given several times.
#[derive(Debug)]
pub(crate) struct Ambiguous;

fn unescape_pair<'a>((key, value): (&'a str, &'a str)) -> (Cow<'a, str>, Cow<'a, str>) {
    (unescape(key), unescape(value))
}

/// Undoes percent escapes. A plus stays a plus: no value in this API contains a space, but media types
/// contain plusses that people write as they are.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = escaped(rest).unwrap_or((*first, tail));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = text else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let value = digit(high)? * 16 + digit(low)?;
    Some((u8::try_from(value).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use entrepot_api::parameter::{ARTIFACT_TYPE, LAST, STATE, UPLOAD_DIGEST};

    use super::*;

    #[test]
    fn order_and_escaping_do_not_matter() {
        for text in [
            "digest=sha256:ab&_state=x.y-z",
            "_state=x%2Ey%2Dz&digest=sha256%3Aab",
            "&&_state=x.y-z&&digest=sha256%3aab",
        ] {
            let query = Query::parse(text);
            assert_eq!(query.get(STATE), Some("x.y-z"), "{text}");
            assert_eq!(query.get(UPLOAD_DIGEST), Some("sha256:ab"), "{text}");
        }
    }

    #[test]
    fn a_parameter_may_be_repeated_where_that_means_something() {
        let query = Query::parse("artifactType=a/b+c&artifactType=d/e%2Bf");

        assert_eq!(query.all(ARTIFACT_TYPE).collect::<Vec<_>>(), ["a/b+c", "d/e+f"]);
    }

    #[test]
    fn two_different_values_of_a_single_parameter_are_ambiguous() {
        assert!(Query::parse("digest=a&digest=b").only(UPLOAD_DIGEST).is_err());
        assert_eq!(Query::parse("digest=a&digest=a").only(UPLOAD_DIGEST).unwrap(), Some("a"));
        assert_eq!(Query::parse("").only(UPLOAD_DIGEST).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_unescaped_stays_as_it_is() {
        for text in ["%", "%4", "%zz", "%ff", "%+1"] {
            assert_eq!(Query::parse(&format!("last={text}")).get(LAST), Some(text));
        }
    }
}
