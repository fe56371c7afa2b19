//! What a person at a terminal sees of it, on standard error.

use std::collections::HashMap;
use std::sync::Mutex;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::image::Image;
use crate::progress::Progress;

/// One bar for each layer that is being unpacked. Where standard error is no terminal there are
/// none.
pub struct Bars {
    all: MultiProgress,
    open: Mutex<HashMap<String, ProgressBar>>,
    count: usize,
}

impl Bars {
    /// For this image.
    #[must_use]
    pub fn new(image: &Image) -> Bars {
        let count = image.layers.len();
        Bars { all: MultiProgress::new(), open: Mutex::default(), count }
    }

    /// Shows what has happened.
    ///
    /// # Panics
    /// If somebody else did with it.
    pub fn show(&self, progress: Progress) {
        let mut bars = self.open.lock().expect("nobody panics with it");
        match progress {
            Progress::Shared { .. } => {}
            Progress::Started { layer, size } => {
                let bar = self.all.add(ProgressBar::new(size).with_style(style()));
                bar.set_prefix(format!("{:.12}", layer.digest()));
                bar.set_message(format!("of {} layers", self.count));
                bars.insert(layer.to_string(), bar);
            }
            Progress::Read { layer, bytes } => {
                if let Some(bar) = bars.get(layer.as_ref()) {
                    bar.inc(bytes);
                }
            }
            Progress::Verified { layer } => {
                if let Some(bar) = bars.remove(layer.as_ref()) {
                    bar.finish_and_clear();
                }
            }
        }
    }

    /// Takes away what is still there.
    pub fn finish(&self) {
        // If that fails, some characters stay on a terminal.
        let _ = self.all.clear();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} {msg} [{bar:30}] {binary_bytes}/{binary_total_bytes}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
