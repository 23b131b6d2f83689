//! The table of keys as a tree, for everything that walks a document along it.

use std::sync::LazyLock;

use super::keys::{self, Fate, Key, Kind};

/// One level of the tree: a key and the keys below it.
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// `None` only at the root.
    pub(super) key: Option<&'static Key>,
    pub(super) children: Vec<Shape>,
}

/// The whole table.
pub(super) fn root() -> &'static Shape {
    static ROOT: LazyLock<Shape> = LazyLock::new(build);
    &ROOT
}

fn build() -> Shape {
    let mut root = Shape { name: "", key: None, children: Vec::new() };
    for key in keys::all() {
        let mut parts: Vec<_> = key.parts().collect();
        let Some(name) = parts.pop() else { continue };
        let parent = parts
            .into_iter()
            .try_fold(&mut root, |shape, part| shape.children.iter_mut().find(|child| child.name == part));
        let parent = parent.expect("a section stands before its keys in the table");
        parent.children.push(Shape { name, key: Some(key), children: Vec::new() });
    }
    root
}

impl Shape {
    pub(super) fn child(&self, name: &str) -> Option<&Shape> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(super) fn kind(&self) -> Kind {
        self.key.map_or(Kind::Section, |key| key.kind)
    }

    pub(super) fn fate(&self) -> Fate {
        self.key.map_or(Fate::Works, |key| key.fate)
    }

    /// The sections of which this one holds at most one.
    pub(super) fn members(&self) -> impl Iterator<Item = &Shape> {
        let choice = self.kind() == Kind::Choice;
        self.children.iter().filter(move |child| choice && child.kind() == Kind::Optional)
    }

    pub(super) fn is_member(&self, child: &Shape) -> bool {
        self.kind() == Kind::Choice && child.kind() == Kind::Optional
    }

    /// The path of a key below this one.
    pub(super) fn below(path: &str, name: &str) -> String {
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    }
}

/// The path the writer of an unknown key most likely meant, if any comes near.
///
/// Keys beside the unknown one come first; then a key of exactly that name elsewhere, because the
/// commonest slip after a typing error is a wrong indentation.
pub(super) fn nearest(beside: &Shape, path: &str, name: &str) -> Option<String> {
    let sibling = beside
        .children
        .iter()
        .map(|child| (strsim::damerau_levenshtein(child.name, &name.to_lowercase()), child))
        .filter(|(distance, child)| *distance <= allowance(child.name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, child)| Shape::below(path, child.name));
    sibling.or_else(|| {
        keys::all()
            .filter(|key| key.name() == name && key.outcome().0 == Fate::Works)
            .min_by_key(|key| key.parts().count())
            .map(|key| key.path.to_owned())
    })
}

/// How many slips still count as the same word.
fn allowance(name: &str) -> usize {
    (name.len() / 3).max(1)
}

/// The path nearest to a whole path that nobody knows, for `config explain`.
pub(super) fn nearest_path(path: &str) -> Option<&'static str> {
    let wanted = path.to_lowercase();
    keys::all()
        .map(|key| (strsim::damerau_levenshtein(key.path, &wanted), key.path))
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
        .or_else(|| {
            let name = wanted.rsplit('.').next()?;
            keys::all().find(|key| key.name() == name).map(|key| key.path)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_the_key_beside_it() {
        let http = root().child("http").expect("listed");

        assert_eq!(nearest(http, "http", "adr").as_deref(), Some("http.addr"));
        assert_eq!(nearest(http, "http", "drain_timeout").as_deref(), Some("http.draintimeout"));
    }

    #[test]
    fn a_wrong_indentation_finds_the_key_elsewhere() {
        assert_eq!(nearest(root(), "", "rootdirectory").as_deref(), Some("storage.filesystem.rootdirectory"));
        assert_eq!(nearest(root(), "", "certificate").as_deref(), Some("http.tls.certificate"));
    }

    #[test]
    fn nonsense_finds_nothing() {
        assert_eq!(nearest(root(), "", "xyzzyplugh"), None);
        assert_eq!(nearest_path("xyzzy.plugh"), None);
    }

    #[test]
    fn a_whole_path_is_matched_too() {
        assert_eq!(nearest_path("http.tls.minimumtsl"), Some("http.tls.minimumtls"));
    }
}
