//! mdBook's run over the pages.
//!
//! mdBook logs what it finds doubtful, an HTML tag that is never closed or a footnote defined
//! twice, and carries on. A page that looks wrong is wrong, so here any warning fails the build.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};

use anyhow::{Context, ensure};
use mdbook_driver::MDBook;
use mdbook_driver::book::Book;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::quote;

/// Builds the book whose `book.toml` lies in `book` into the folder `into`. Quoted paths start at
/// `root`.
pub fn print(book: &Path, root: &Path, into: &Path) -> anyhow::Result<()> {
    let (sender, warnings) = channel();
    tracing::subscriber::with_default(Warnings(sender), || -> anyhow::Result<()> {
        let mut book = MDBook::load(book)?;
        book.config.build.build_dir = into.to_path_buf();
        book.with_preprocessor(Quote(root.to_path_buf()));
        book.build()
    })?;
    let warnings: Vec<String> = warnings.try_iter().collect();
    ensure!(
        warnings.is_empty(),
        "mdBook warns:
  {}",
        warnings.join(
            "
  "
        )
    );
    Ok(())
}

/// [`quote::expand`] in mdBook's terms.
struct Quote(PathBuf);

impl Preprocessor for Quote {
    fn name(&self) -> &'static str {
        "quote"
    }

    fn run(&self, _: &PreprocessorContext, mut book: Book) -> anyhow::Result<Book> {
        let mut result = Ok(());
        book.for_each_chapter_mut(|chapter| {
            let page = chapter.path.as_deref().unwrap_or(Path::new("SUMMARY.md")).display();
            match quote::expand(&self.0, &chapter.content) {
                Ok(expanded) => chapter.content = expanded,
                Err(error) if result.is_ok() => result = Err(error).context(page.to_string()),
                Err(_) => {}
            }
        });
        result.map(|()| book)
    }
}

/// Receives what mdBook logs, and keeps the warnings and errors.
struct Warnings(Sender<String>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        // `print` listens until mdBook is done.
        let _ = self.0.send(message.0);
    }

    // Spans group what is logged. mdBook opens none, and for the messages they do not matter.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").expect("a string takes everything");
        }
    }
}
