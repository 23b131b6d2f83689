//! Long lists, written into a store beside the server's back: one by one they would take hours, most of it
//! syncing. What is written is what the server would have written, and whoever calls these counts through
//! the API what came of it.

use std::fs;
use std::io;
use std::path::Path;

use entrepot_oci::Digest;

use super::instance::Instance;
use super::product::Product;

/// The name of a tag. The first has been pushed.
pub(super) fn tag(number: usize) -> String {
    format!("t{number:06}")
}

/// The name of a repository. The first has been pushed to.
pub(super) fn repository(number: usize) -> String {
    format!("catalog/r{number:06}")
}

/// Tags a repository's one image so many times.
pub(super) fn tags(
    instance: &Instance,
    repository: &str,
    count: usize,
    image: &Digest,
) -> Result<(), String> {
    let data = instance.data();
    let names = (1..count).map(tag);
    let written = match instance.recipe.product {
        Product::Entrepot => {
            let directory = data.join("tags").join(repository.replace('/', "!"));
            copy_records(&directory, &tag(0), names)
        }
        Product::DockerRegistry => {
            let directory = distribution(&data).join(repository).join("_manifests/tags");
            names.into_iter().try_for_each(|name| link_tag(&directory.join(name), image))
        }
    };
    written.map_err(|error| format!("tags cannot be written: {error}"))
}

/// Repositories for the catalog, with nothing in them.
pub(super) fn repositories(instance: &Instance, count: usize) -> Result<(), String> {
    let data = instance.data();
    let mut names = (1..count).map(repository);
    let written = match instance.recipe.product {
        Product::Entrepot => {
            let segments = names.map(|name| name.replace('/', "!"));
            copy_records(&data.join("repositories"), &repository(0).replace('/', "!"), segments)
        }
        // A repository is what has this directory.
        Product::DockerRegistry => {
            names.try_for_each(|name| fs::create_dir_all(distribution(&data).join(name).join("_layers")))
        }
    };
    written.map_err(|error| format!("repositories cannot be written: {error}"))
}

/// A record says what it names, not what it is named; so each is like the first.
fn copy_records(directory: &Path, first: &str, names: impl Iterator<Item = String>) -> io::Result<()> {
    let record = fs::read(directory.join(first))?;
    if record.windows(first.len()).any(|part| part == first.as_bytes()) {
        return Err(io::Error::other(format!("the record of {first} names itself, so no other is like it")));
    }
    let mut names = names;
    names.try_for_each(|name| fs::write(directory.join(name), &record))
}

fn distribution(data: &Path) -> std::path::PathBuf {
    data.join("docker/registry/v2/repositories")
}

/// Without the index of what the tag named before, which only a delete reads.
fn link_tag(tag: &Path, image: &Digest) -> io::Result<()> {
    let current = tag.join("current");
    fs::create_dir_all(&current)?;
    fs::write(current.join("link"), image.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_copied_under_other_names() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("first"), "{}").unwrap();

        copy_records(directory.path(), "first", ["a".to_owned(), "b".to_owned()].into_iter()).unwrap();

        assert_eq!(fs::read(directory.path().join("b")).unwrap(), b"{}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_record_that_names_itself_is_not_copied() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("first"), "{\"name\":\"first\"}").unwrap();

        assert!(copy_records(directory.path(), "first", ["a".to_owned()].into_iter()).is_err());
    }
}
