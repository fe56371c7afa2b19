//! The layers of an image, several at once.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::error::ImageError;
use crate::flow::Watch;
use crate::image::Layer;
use crate::limits::Limits;
use crate::part::Part;
use crate::progress::Progress;
use crate::unpack::{Record, unpack};

/// The most layers that are unpacked at the same time, each with three threads. More would only
/// wait for the disk.
const MOST: usize = 4;

/// Unpacks all of `layers` into `part`, each under its diff id. The first failure ends them all.
/// The records come in no order.
///
/// # Panics
/// If one of the threads did.
pub fn unpack_all(
    layers: &[&Layer],
    part: &Part,
    limits: &Limits,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Record>, ImageError> {
    // The largest first, so that nobody waits for it at the end.
    let mut waiting = layers.to_vec();
    waiting.sort_by_key(|layer| layer.blob.size());
    let waiting = Mutex::new(waiting);
    let failure = Mutex::new(None);
    let records = Mutex::new(Vec::new());
    let given_up = AtomicBool::new(false);
    let work = || {
        while let Some(layer) = take(&waiting) {
            match unpack_into(layer, part, limits, progress, &given_up) {
                Ok(record) => records.lock().expect("nobody panics with it").push(record),
                Err(error) => {
                    given_up.store(true, Ordering::Relaxed);
                    take_down(&mut failure.lock().expect("nobody panics with it"), error);
                    return;
                }
            }
        }
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..processors.min(MOST).min(layers.len()) {
            scope.spawn(work);
        }
    });
    match failure.into_inner().expect("nobody panics with it") {
        Some(error) => Err(error),
        None => Ok(records.into_inner().expect("nobody panics with it")),
    }
}

fn take<'a>(waiting: &Mutex<Vec<&'a Layer>>) -> Option<&'a Layer> {
    waiting.lock().expect("nobody panics with it").pop()
}

/// Keeps the first failure; that others were given up is no news.
fn take_down(failure: &mut Option<ImageError>, error: ImageError) {
    if matches!(failure, None | Some(ImageError::GivenUp { .. })) {
        *failure = Some(error);
    }
}

fn unpack_into(
    layer: &Layer,
    part: &Part,
    limits: &Limits,
    progress: &(dyn Fn(Progress) + Sync),
    given_up: &AtomicBool,
) -> Result<Record, ImageError> {
    let diff_id = &layer.diff_id;
    progress(Progress::Started { layer: diff_id, size: layer.blob.size() });
    let name = diff_id.digest();
    part.directory(name)?;
    let root = part.directory(&format!("{name}/diff"))?;
    let aside = part.directory(&format!("{name}.aside"))?;
    let read = |bytes| progress(Progress::Read { layer: diff_id, bytes });
    let watch = Watch { progress: &read, given_up };
    let record = unpack(layer, root, aside, limits, watch)?;
    let path = part.path().join(name).join("layer.json");
    let text =
        serde_json::to_vec(&record).map_err(|error| ImageError::damaged("a record", error))?;
    fs::write(&path, text).map_err(ImageError::io(format!("write {}", path.display())))?;
    progress(Progress::Verified { layer: diff_id });
    Ok(record)
}
