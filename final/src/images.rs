//! `cooper images`, `cooper load` and `cooper rmi`, as Docker has them.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use image::{ImageOptions, Reference, Removed, Store, StoreOptions, among};
use oci_spec::image::Digest;
use user_ns::UserOptions;

use crate::created::ago;

/// List images
#[derive(clap::Args)]
pub struct ImagesOptions {
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    user: UserOptions,
    /// Show whole ids
    #[arg(long)]
    no_trunc: bool,
    /// Only show ids
    #[arg(short, long)]
    quiet: bool,
}

/// Load an image from an archive or a layout
#[derive(clap::Args)]
pub struct LoadOptions {
    #[command(flatten)]
    store: ImageOptions,
    #[command(flatten)]
    user: UserOptions,
    /// The docker-archive or OCI layout, directory or tar, and which image in it
    #[arg(short, long, value_name = "PATH[:TAG]")]
    input: String,
}

/// Remove one or more images
#[derive(clap::Args)]
pub struct RmiOptions {
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    user: UserOptions,
    /// Names or ids
    #[arg(required = true)]
    images: Vec<String>,
}

/// Writes the table.
pub fn list(options: &ImagesOptions) -> anyhow::Result<ExitCode> {
    let store = options.store.open(&options.user.users()?)?;
    let mut text = String::new();
    if !options.quiet {
        text = row("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE");
    }
    for (name, id) in named(&store)? {
        let shown = if options.no_trunc { id.as_ref() } else { &id.digest()[..12] };
        if options.quiet {
            text += shown;
            text.push('\n');
            continue;
        }
        let (repository, tag) = name.rsplit_once(':').unwrap_or(("<none>", "<none>"));
        let configuration = store.configuration(&id)?;
        let created = configuration.created().as_deref().and_then(ago);
        let layers = store.layers_of(&id)?;
        let size = size(layers.iter().map(|layer| layer.record.bytes).sum());
        text += &row(repository, tag, shown, created.as_deref().unwrap_or("N/A"), &size);
    }
    write(&text)
}

fn row(repository: &str, tag: &str, id: &str, created: &str, size: &str) -> String {
    format!("{repository:<24} {tag:<12} {id:<12}   {created:<16} {size}\n")
}

/// Every image by each of its names, and those without one.
fn named(store: &Store) -> anyhow::Result<Vec<(String, Digest)>> {
    let names = store.names()?;
    let mut all: Vec<(String, Digest)> = names.into_iter().collect();
    for id in store.images()? {
        if all.iter().all(|(_, other)| *other != id) {
            all.push((String::new(), id));
        }
    }
    Ok(all)
}

/// Bytes in Docker's units, which are powers of 1000, with three digits.
fn size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // Three digits of it are shown.
    let mut number = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if number < 1000.0 {
            let digits = if unit == "B" || number >= 100.0 {
                0
            } else if number >= 10.0 {
                1
            } else {
                2
            };
            return format!("{number:.digits$}{unit}");
        }
        number /= 1000.0;
    }
    format!("{number:.1}TB")
}

/// Loads an image, and says what it is called.
pub fn load(options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let users = options.user.users()?;
    let image = options.store.unpack(&Reference::parse(&options.input), &users)?;
    let names = options.store.store.open(&users)?.names()?;
    let called = names.iter().filter(|(_, id)| **id == image.id);
    let lines: Vec<String> = called.map(|(name, _)| format!("Loaded image: {name}\n")).collect();
    write(&lines.concat())
}

/// Removes images, as many as it can.
pub fn remove(options: &RmiOptions) -> anyhow::Result<ExitCode> {
    let users = options.user.users()?;
    let store = options.store.open(&users)?;
    let mut failure = Ok(ExitCode::SUCCESS);
    for word in &options.images {
        // Among other users there is nobody here to whom the child could tell more than that.
        if let Err(error) = among(&users, || tell(&store.remove(word)?)) {
            match failure {
                Ok(_) => failure = Err(error),
                Err(first) => failure = Err(anyhow!("{first:#}; {error:#}")),
            }
        }
    }
    failure
}

fn tell(removed: &Removed) -> anyhow::Result<()> {
    let text = match removed {
        Removed::Name(name) => format!("Untagged: {name}\n"),
        Removed::Image(None, id) => format!("Deleted: {id}\n"),
        Removed::Image(Some(name), id) => format!("Untagged: {name}\nDeleted: {id}\n"),
    };
    write(&text).map(drop)
}

fn write(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_three_digits() {
        assert_eq!(size(999), "999B");
        assert_eq!(size(1500), "1.50kB");
        assert_eq!(size(178_900_000), "179MB");
        assert_eq!(size(2_345_000_000), "2.35GB");
    }
}
