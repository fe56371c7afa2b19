//! What the library must do, seen from the disk. Every test runs as root and as an ordinary user.

mod archive;
mod confined;
mod formats;
mod fuzz;
mod hostile;
mod layers;
mod layout;
mod references;
mod removal;
mod whole;
