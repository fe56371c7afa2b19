//! Unpacks an image into a store and says what is there: `unpack IMAGE STORE`.
//!
//! The tests and the benchmark beside this file run it.

use std::path::Path;
use std::process::ExitCode;

use image::{Image, ImageError, Limits, Reference, Store};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, store] = &arguments[..] else {
        eprintln!("usage: unpack IMAGE STORE");
        return ExitCode::from(125);
    };
    match unpack(image, store) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unpack: {error}: {:?}", std::error::Error::source(&error));
            ExitCode::from(125)
        }
    }
}

fn unpack(image: &str, store: &str) -> Result<(), ImageError> {
    let image = Image::open(&Reference::parse(image))?;
    let (layers, notices) =
        Store::open(Path::new(store))?.unpack(&image, &Limits::default(), &|_| {})?;
    for layer in layers {
        println!("{}", layer.path.display());
    }
    if notices != image::Notices::default() {
        eprintln!("unpack: {notices}");
    }
    Ok(())
}
