//! What images are called.
//!
//! ```text
//! STORE/names.json    {"debian:12": "sha256:…", …}
//! ```
//!
//! A name is Docker's `REPOSITORY:TAG`. It belongs to one image; when another one gets it, the
//! first has one name less. The file is replaced as a whole by a rename, under the lock of the
//! store.

use std::collections::BTreeMap;
use std::fs;

use oci_spec::image::Digest;

use crate::error::ImageError;
use crate::image::{Image, parse};
use crate::part::Part;
use crate::reference::Reference;
use crate::store::Store;

/// Which image is meant by a name.
pub type Names = BTreeMap<String, Digest>;

/// Repository and tag as Docker shows them: `docker.io/library/debian` is `debian`, and the tag of
/// a name without one is `latest`.
#[must_use]
pub fn plain(name: &str) -> String {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let has_tag = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if has_tag { name.to_owned() } else { format!("{name}:latest") }
}

/// What an image is called in the store: as it says itself, and else after its file.
///
/// An OCI layout often has only a tag for a name. Then the file is the repository.
#[must_use]
pub fn names_of(image: &Image, reference: &Reference) -> Vec<String> {
    let stem = reference.path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    if image.names.is_empty() {
        return vec![plain(&stem)];
    }
    let full = |name: &String| {
        if name.contains([':', '/']) { plain(name) } else { format!("{stem}:{name}") }
    };
    image.names.iter().map(full).collect()
}

impl Store {
    /// All names.
    pub fn names(&self) -> Result<Names, ImageError> {
        let path = self.names_file();
        let what = path.display().to_string();
        match fs::read(&path) {
            Ok(bytes) => parse(&what, &bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Names::new()),
            Err(error) => Err(ImageError::io(format!("read {what}"))(error)),
        }
    }

    /// Gives names to an image.
    pub fn name(&self, id: &Digest, names: &[String]) -> Result<(), ImageError> {
        self.change_names(|all| all.extend(names.iter().map(|name| (name.clone(), id.clone()))))
    }

    /// Changes the names, unless that changes nothing.
    pub fn change_names(&self, change: impl FnOnce(&mut Names)) -> Result<(), ImageError> {
        let _alone = self.lock_names()?;
        let before = self.names()?;
        let mut names = before.clone();
        change(&mut names);
        if names == before {
            return Ok(());
        }
        let part = Part::make(&self.parts())?;
        let (from, to) = (part.path().join("names.json"), self.names_file());
        let text = serde_json::to_vec_pretty(&names)
            .map_err(|error| ImageError::damaged("the names", error))?;
        fs::write(&from, text).map_err(ImageError::io(format!("write {}", from.display())))?;
        fs::rename(&from, &to).map_err(ImageError::io(format!("replace {}", to.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_name_is_as_docker_shows_it() {
        assert_eq!(plain("docker.io/library/debian:12"), "debian:12");
        assert_eq!(plain("localhost:5000/a"), "localhost:5000/a:latest");
        assert_eq!(plain("debian"), "debian:latest");
        assert_eq!(plain("ghcr.io/a/b:c"), "ghcr.io/a/b:c");
    }
}
