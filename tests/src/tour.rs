//! `workshop tour`: every step and `cooper`, one after the other, on a root file system made on the
//! spot; what the host sees beside what the container sees, and what is new.

mod page;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use page::Page;

use crate::executables::candidates;
use crate::judge::trial::Trial;
use crate::judge::verdict::Broken;
use crate::matrix::{Matrix, Row};
use crate::programs;
use crate::rootfs;
use crate::sandbox::lease::{Lease, remove_files};
use crate::steps::{STEPS, Step};
use crate::subject::Subject;
use crate::view::{self, Facet, State, View};

/// What `workshop tour` is told.
#[derive(Args)]
pub struct Options {
    /// Write the isolation matrix (isolation-matrix.svg and .txt) to this directory and not to
    /// target/tour.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// One program on the tour.
struct Stop {
    step: &'static Step,
    title: String,
    /// The program, and what comes before the root file system.
    words: Vec<String>,
}

/// What one program showed.
#[derive(Serialize, Deserialize)]
struct Sight {
    view: View,
    /// What `ls /` said on the host and in the container.
    listings: [String; 2],
    /// The options that limited it.
    limits: Vec<String>,
}

/// Takes the tour.
pub fn run(options: &Options) -> Result<ExitCode> {
    let programs = programs::directory()?;
    // Before all else: who has no place for the picture learns it now.
    let out = options.out.clone().unwrap_or_else(|| programs.with_file_name("tour"));
    fs::create_dir_all(&out)
        .with_context(|| format!("make the directory {} (--out names another)", out.display()))?;
    let place = Lease::take(&env::temp_dir(), remove_files).context("make a directory")?;
    let root = place.path().join("rootfs");
    let made = rootfs::make(&root)?;

    let page = Page::new();
    let stops = stops()?;
    page.paragraph(&welcome(&stops, &made))?;
    let mut matrix = Matrix { facets: Vec::new(), rows: Vec::new() };
    let mut before: Option<View> = None;
    for stop in stops {
        let sight = stop.visit(&programs, &root)?;
        stop.describe(&page, &sight, before.as_ref())?;
        matrix.facets = columns(&sight.view).map(|facet| facet.name.clone()).collect();
        let cells = columns(&sight.view).map(|facet| facet.state).collect();
        matrix.rows.push(Row { step: stop.name().to_owned(), cells });
        before = Some(sight.view);
    }
    page.heading("The isolation matrix: all of it at a glance")?;
    page.line(&matrix.to_text())?;
    page.line(&farewell(&write_matrix(&out, &matrix)?))?;
    Ok(ExitCode::SUCCESS)
}

fn welcome(stops: &[Stop], made: &rootfs::Made) -> String {
    let names: Vec<&str> = stops.iter().map(Stop::name).collect();
    format!(
        "This tour runs {}. Each starts a command in a container, and you see what the kernel says \
         of it: how much of this machine is the container's own (`>` marks what a step adds), and how \
         much still the host's. That host is a throw-away one: nothing of the tour stays here. The \
         root file system is made on the spot: {made}.",
        names.join(", ")
    )
}

fn farewell(picture: &Path) -> String {
    format!(
        "As a picture: {}\n\n\
         What next?\n  \
           cargo book build         builds the book and says where to open it\n  \
           cargo workshop sandbox   is a shell in a throw-away host: break what you like",
        picture.display()
    )
}

fn stops() -> Result<Vec<Stop>> {
    let mut stops = Vec::new();
    for step in STEPS {
        let words = [step.name()].into_iter().chain(users(step)).collect();
        stops.push(Stop { step, title: step.title()?, words });
    }
    let last = STEPS.last().context("there are no steps")?;
    let title = "the runtime that the steps add up to".to_owned();
    let words = ["cooper".into(), "run".into()].into_iter().chain(users(last)).collect();
    stops.push(Stop { step: last, title, words });
    Ok(stops)
}

/// After step 08 root gets users of his own if he asks for them. The tour shows all that there is.
fn users(step: &Step) -> Option<String> {
    (step.number > 8).then(|| "--userns".to_owned())
}

impl Stop {
    fn name(&self) -> &str {
        &self.words[0]
    }

    /// What comes before the command on the step's command line.
    fn call<'s>(&'s self, limits: &'s [String]) -> Vec<&'s str> {
        let rootfs = self.step.takes_rootfs().then_some("rootfs");
        self.words.iter().chain(limits).map(String::as_str).chain(rootfs).collect()
    }

    fn visit(&self, programs: &Path, root: &Path) -> Result<Sight> {
        let subject = Subject {
            step: self.step,
            program: programs::find(programs, self.name(), "tour")?,
            prefix: self.words[1..].iter().map(Into::into).collect(),
            rootfs: Some(root.to_owned()),
            seed: 1,
        };
        let look = |trial: &Trial| Ok(look(trial).map_err(view::explain));
        let sight: Result<Sight, String> = subject.start(0, look)?.finish()?;
        sight.or_else(|reason| bail!("{}: {reason}", self.name()))
    }

    fn describe(&self, page: &Page, sight: &Sight, before: Option<&View>) -> Result<()> {
        page.heading(&format!("{}: {}", self.name(), self.title))?;
        let [host, container] = &sight.listings;
        if before.is_none() {
            page.command(&["ls", "/"], host)?;
        }
        let same = if host == container { "the same, as on the host" } else { container };
        page.command(&[self.call(&sight.limits), vec!["ls", "/"]].concat(), same)?;
        page.line("")?;

        let is_new = |facet: &Facet| facet.state != state_before(before, &facet.name);
        // All of it once; then what is not the host's any more, and what became the host's again.
        let shown =
            |facet: &&Facet| before.is_none() || facet.state != State::Shared || is_new(facet);
        let (shown, rest): (Vec<&Facet>, Vec<_>) = sight.view.facets.iter().partition(shown);
        page.facets(&shown, is_new)?;
        let names: Vec<&str> = rest.iter().map(|facet| facet.name.as_str()).collect();
        if names.is_empty() { Ok(()) } else { page.aside("still the host's", &names) }
    }
}

/// The state of a facet one step earlier; before the first, everything is the host's.
fn state_before(view: Option<&View>, name: &str) -> State {
    let facet = view.and_then(|view| view.facets.iter().find(|facet| facet.name == name));
    facet.map_or(State::Shared, |facet| facet.state)
}

/// Looks at the container twice: with the reader's eyes, and with the kernel's.
fn look(trial: &Trial) -> Result<Sight, Broken> {
    let hosts_ls = candidates("ls").into_iter().next().context("find ls on this host")?;
    let inside_ls = if trial.takes_rootfs() { Path::new("/bin/ls") } else { &hosts_ls };
    let outside = trial.start().on_the_host(&hosts_ls).command(["/"]).finish()?;
    let limits = view::limits::options(trial)?;
    let inside = trial.start().options(&limits).command([inside_ls, Path::new("/")]).finish()?;
    let names = |output: &[u8]| {
        let text = String::from_utf8_lossy(output);
        // What the judge has put there is none of the reader's business.
        text.split_whitespace().filter(|name| *name != "checks").collect::<Vec<_>>().join(" ")
    };
    let listings = [names(&outside.stdout), names(&inside.stdout)];
    let limits = limits.into_iter().map(String::from).collect();
    Ok(Sight { view: view::look(trial)?, listings, limits })
}

/// The facets that tell the steps apart: no step takes the caller's descriptors away.
fn columns(view: &View) -> impl Iterator<Item = &Facet> {
    view.facets.iter().filter(|facet| facet.name != "descriptors")
}

/// Writes the matrix as a picture and as text; returns the path of the picture.
fn write_matrix(dir: &Path, matrix: &Matrix) -> Result<PathBuf> {
    let picture = dir.join("isolation-matrix.svg");
    let text = dir.join("isolation-matrix.txt");
    for (path, drawn) in [(&picture, matrix.to_svg()), (&text, matrix.to_text())] {
        fs::write(path, drawn).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(picture)
}
