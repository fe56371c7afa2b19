//! `cooper`: a container runtime, assembled from the steps of the workshop.
//!
//! A mechanism is written once, in the step that teaches it; what is here is what a runtime needs
//! around them. In the middle stands the runtime configuration of the Open Container Initiative,
//! the `config.json` that runc and its kin read:
//!
//! | module | turns |
//! |---|---|
//! | [`run`] | the options of `cooper run` into a configuration |
//! | [`container`] | a configuration into a process |
//! | [`network`] | the configuration's network and its annotations into a network, and back |
//! | [`resources`] | the limits of options into the configuration, and from there into the group |
//! | [`root`] | the layers of options into the configuration, and from there into a root |
//! | [`images`] | what images there are; loading and removing them |
//! | [`created`] | how long ago that was |
//! | [`users`] | the configuration's id maps into users, and back |
//! | [`completion`] | the command line's own description into a shell's completion |

mod completion;
mod container;
mod created;
mod images;
mod network;
mod resources;
mod root;
mod run;
mod users;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Run containers
#[derive(Parser)]
#[command(name = "cooper", version, arg_required_else_help = false)]
struct Cooper {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Images(images::ImagesOptions),
    Load(images::LoadOptions),
    Rmi(images::RmiOptions),
    Run(Box<run::RunOptions>),
    Completion(completion::CompletionOptions),
}

fn main() -> ExitCode {
    fork_exec::main(|cooper: &Cooper| match &cooper.command {
        Command::Run(options) => run::run(options),
        Command::Images(options) => images::list(options),
        Command::Load(options) => images::load(options),
        Command::Rmi(options) => images::remove(options),
        Command::Completion(options) => completion::write::<Cooper>(options),
    })
}
