//! The list of layers.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::mem;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::builder::{OsStringValueParser, TypedValueParser};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};

/// As many lower layers as the kernel stacks (`OVL_MAX_STACK`).
pub const MOST: usize = 500;

/// Directories, the uppermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    paths: Vec<PathBuf>,
}

/// Reads `TOP:…:BOTTOM` on a command line.
#[must_use]
pub fn layers() -> impl TypedValueParser<Value = Layers> {
    OsStringValueParser::new().try_map(|text| Layers::parse(&text))
}

impl Layers {
    /// Takes `TOP:…:BOTTOM` apart. A backslash takes away the meaning of what follows it, as among
    /// the kernel's own options: a colon in a name is `\:`, and a backslash `\\`.
    pub fn parse(text: &OsStr) -> anyhow::Result<Layers> {
        let (mut names, mut name) = (Vec::new(), Vec::new());
        let mut bytes = text.as_bytes().iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b':' => names.push(mem::take(&mut name)),
                b'\\' => name.push(*bytes.next().context("nothing follows the last backslash")?),
                byte => name.push(byte),
            }
        }
        names.push(name);
        if names.iter().any(Vec::is_empty) {
            bail!("a layer has no name (a list of directories is TOP:…:BOTTOM)");
        }
        let path = |name| PathBuf::from(OsString::from_vec(name));
        Layers::new(names.into_iter().map(path).collect())
    }

    /// Takes directories, the uppermost first.
    pub fn new(paths: Vec<PathBuf>) -> anyhow::Result<Layers> {
        if paths.is_empty() {
            bail!("there is no layer");
        }
        if paths.len() > MOST {
            bail!("{} layers: the kernel stacks no more than {MOST}", paths.len());
        }
        Ok(Layers { paths })
    }

    /// The uppermost one.
    #[must_use]
    pub fn top(&self) -> &Path {
        &self.paths[0]
    }

    /// The same as text again, as [`Layers::parse`] reads it.
    #[must_use]
    pub fn text(&self) -> OsString {
        let mut text = Vec::new();
        for path in &self.paths {
            if !text.is_empty() {
                text.push(b':');
            }
            for &byte in path.as_os_str().as_bytes() {
                if b":\\".contains(&byte) {
                    text.push(b'\\');
                }
                text.push(byte);
            }
        }
        OsString::from_vec(text)
    }

    /// Opens them, in the mount namespace in which they will be mounted.
    pub(crate) fn open(&self) -> anyhow::Result<Vec<OwnedFd>> {
        let mut opened = Vec::new();
        let mut known: Vec<(u64, u64)> = Vec::new();
        for path in &self.paths {
            let shown = path.display();
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let layer = open(path, flags, Mode::empty())
                .with_context(|| format!("open the layer {shown}"))?;
            let stat = fstat(&layer).with_context(|| format!("stat the layer {shown}"))?;
            let file = (stat.st_dev, stat.st_ino);
            if let Some(place) = known.iter().position(|other| *other == file) {
                let other = self.paths[place].display();
                bail!("the layers {other} and {shown} are the same directory");
            }
            known.push(file);
            opened.push(layer);
        }
        Ok(opened)
    }
}

impl fmt::Display for Layers {
    /// For a message: a long list would bury the rest of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.paths.len() {
            ..=4 => self.text().display().fmt(f),
            count => write!(f, "{count} layers, {} upon the others", self.paths[0].display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;

    use super::Layers;

    fn parse(text: &str) -> Option<Vec<String>> {
        let layers = Layers::parse(OsStr::new(text)).ok()?;
        assert_eq!(Layers::parse(&layers.text()).unwrap(), layers, "{text}");
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        Some(layers.paths.iter().map(|path| text(path)).collect())
    }

    #[test]
    fn the_uppermost_comes_first() {
        assert_eq!(parse("/top:middle:/bottom").unwrap(), ["/top", "middle", "/bottom"]);
        assert_eq!(parse("/only").unwrap(), ["/only"]);
    }

    #[test]
    fn a_backslash_takes_the_meaning_away() {
        assert_eq!(parse(r"/a\:b:/c\\d").unwrap(), ["/a:b", r"/c\d"]);
        assert_eq!(parse(r"/a\b,c").unwrap(), ["/ab,c"]);
        assert!(parse(r"/a\").is_none());
    }

    #[test]
    fn a_list_with_a_gap_is_refused() {
        for text in ["", ":", "/a:", ":/a", "/a::/b"] {
            assert!(parse(text).is_none(), "{text}");
        }
        assert!(parse(&["/a"; 500].join(":")).is_some());
        assert!(parse(&["/a"; 501].join(":")).is_none());
    }
}
