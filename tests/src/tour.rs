//! `workshop tour`: every step and `cooper`, one after the other, on a root file system made on the
//! spot; what the host sees beside what the container sees, and what is new.

use std::env;
use std::fs;
use std::io::{self, Stdout, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::colour::{BOLD, Colour, DIM, GREEN};
use crate::judge::trial::Trial;
use crate::judge::verdict::Broken;
use crate::matrix::{Matrix, Row};
use crate::sandbox::lease::{Lease, remove_files};
use crate::steps::{STEPS, Step};
use crate::subject::Subject;
use crate::view::{self, Facet, State, View};
use crate::{programs, rootfs};

/// What `workshop tour` is told.
#[derive(Args)]
pub struct Options {
    /// Write the isolation matrix (isolation-matrix.svg and .txt) to this directory.
    #[arg(long, value_name = "DIR", default_value = "target/tour")]
    out: PathBuf,
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
}

/// Takes the tour.
pub fn run(options: &Options) -> Result<ExitCode> {
    let programs = programs::directory()?;
    let place = Lease::take(&env::temp_dir(), remove_files).context("make a directory")?;
    let root = place.path().join("rootfs");
    let made = rootfs::make(&root)?;

    let page = Page::new();
    page.line(&format!("The root file system: {made}."))?;
    page.line(
        "Every container below is started in a throw-away host; the left column is that host.",
    )?;
    let mut matrix = Matrix { facets: Vec::new(), rows: Vec::new() };
    let mut before: Option<View> = None;
    for stop in stops()? {
        let sight = stop.visit(&programs, &root)?;
        page.heading(&stop)?;
        page.listings(&stop, &sight)?;
        for (number, facet) in sight.view.facets.iter().enumerate() {
            let earlier = before.as_ref().map(|view| &view.facets[number]);
            page.facet(facet, is_new(facet, earlier))?;
        }
        matrix.facets = columns_of(&sight.view).map(|facet| facet.name.clone()).collect();
        matrix.rows.push(row(&stop, &sight.view));
        before = Some(sight.view);
    }
    page.heading_text("The isolation matrix")?;
    page.line(&matrix.to_text())?;
    let picture = write_matrix(&options.out, &matrix)?;
    page.line(&format!("The matrix as a picture: {}", picture.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn stops() -> Result<Vec<Stop>> {
    let mut stops = Vec::new();
    for step in STEPS {
        stops.push(Stop { step, title: step.title()?, words: vec![step.name()] });
    }
    let last = STEPS.last().context("there are no steps")?;
    let title = "the runtime that the steps add up to".to_owned();
    stops.push(Stop { step: last, title, words: vec!["cooper".into(), "run".into()] });
    Ok(stops)
}

impl Stop {
    fn name(&self) -> &str {
        &self.words[0]
    }

    fn visit(&self, programs: &Path, root: &Path) -> Result<Sight> {
        let program = programs.join(self.name());
        if !program.exists() {
            bail!(
                "{} is not there: run `cargo tour` in the clone, which builds it",
                program.display()
            );
        }
        let subject = Subject {
            step: self.step,
            program,
            prefix: self.words[1..].iter().map(Into::into).collect(),
            rootfs: Some(root.to_owned()),
            seed: 1,
        };
        let look = |trial: &Trial| Ok(look(trial).map_err(view::explain));
        let sight: Result<Sight, String> = subject.start(0, look)?.finish()?;
        sight.or_else(|reason| bail!("{}: {reason}", self.name()))
    }
}

fn look(trial: &Trial) -> Result<Sight, Broken> {
    let outside = trial.start().on_the_host("/bin/ls".as_ref()).command(["/"]).finish()?;
    let inside = trial.start().command(["ls", "/"]).finish()?;
    let names = |output: &[u8]| {
        let text = String::from_utf8_lossy(output);
        text.split_whitespace().filter(|name| *name != "checks").collect::<Vec<_>>().join(" ")
    };
    let listings = [names(&outside.stdout), names(&inside.stdout)];
    Ok(Sight { view: view::look(trial)?, listings })
}

fn is_new(facet: &Facet, before: Option<&Facet>) -> bool {
    let earlier = before.map_or(State::Shared, |facet| facet.state);
    facet.state != earlier
}

fn row(stop: &Stop, view: &View) -> Row {
    let cells = columns_of(view).map(|facet| facet.state).collect();
    Row { step: stop.name().to_owned(), cells }
}

/// The facets that tell the steps apart: no step takes the caller's descriptors away.
fn columns_of(view: &View) -> impl Iterator<Item = &Facet> {
    view.facets.iter().filter(|facet| facet.name != "descriptors")
}

fn write_matrix(dir: &Path, matrix: &Matrix) -> Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("make the directory {}", dir.display()))?;
    let picture = dir.join("isolation-matrix.svg");
    for (path, text) in
        [(picture.clone(), matrix.to_svg()), (dir.join("isolation-matrix.txt"), matrix.to_text())]
    {
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(picture)
}

/// Standard output, with colours where a person looks at it.
struct Page {
    out: Stdout,
    colour: Colour,
}

impl Page {
    fn new() -> Page {
        let out = io::stdout();
        let colour = Colour::on(&out);
        Page { out, colour }
    }

    fn line(&self, text: &str) -> Result<()> {
        writeln!(&self.out, "{text}").context("write to standard output")
    }

    fn painted(&self, text: &str, code: &str) -> Result<()> {
        self.line(&self.colour.paint(text, code))
    }

    fn heading_text(&self, text: &str) -> Result<()> {
        self.line("")?;
        self.painted(text, BOLD)
    }

    fn heading(&self, stop: &Stop) -> Result<()> {
        self.heading_text(&format!("{}: {}", stop.name(), stop.title))?;
        self.painted(&columns("", "on the host", "in the container"), DIM)
    }

    fn listings(&self, stop: &Stop, sight: &Sight) -> Result<()> {
        let [host, container] = &sight.listings;
        let rootfs = if stop.step.takes_rootfs() { "rootfs " } else { "" };
        self.line(&format!("  $ ls /\n      {host}"))?;
        self.line(&format!("  $ {} {rootfs}ls /\n      {container}", stop.words.join(" ")))
    }

    fn facet(&self, facet: &Facet, new: bool) -> Result<()> {
        let [host, container] = &facet.witness;
        let mark = if new { "> " } else { "  " };
        let text = columns(&format!("{mark}{}", facet.name), host, container);
        match (facet.state, new) {
            (_, true) => self.painted(&format!("{text}   <- {}", facet.state.meaning()), GREEN),
            (State::Shared, _) => self.painted(&text, DIM),
            _ => self.line(&text),
        }
    }
}

fn columns(name: &str, host: &str, container: &str) -> String {
    format!("{name:<18}{host:<34} {container}")
}
