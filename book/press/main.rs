//! `cargo book`: builds the book, and runs its transcripts.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use book::{pages, plan, print, root, shell, source, transcript};
use clap::Parser;

/// Build the book, and hold it to its sources
#[derive(Parser)]
#[command(name = "cargo book")]
enum Command {
    /// Build the book into target/book, and check its pages and links
    Build,
    /// Run the transcripts of the pages in the sandbox, and compare what they print with what the
    /// pages show
    Test {
        /// Write what was printed into the pages
        #[arg(long)]
        bless: bool,
        /// Only these pages, such as 03-pivot-root
        pages: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Build => build(),
        Command::Test { bless, pages } => test(bless, &pages),
    };
    if let Err(error) = done {
        eprintln!("cargo book: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn build() -> anyhow::Result<()> {
    let into = root().join("target/book");
    print::print(&root().join("book"), root(), &into)?;
    let mut faults = plan::unlisted_pages(&source())?;
    faults.extend(plan::strays(root())?);
    faults.extend(plan::misnamed(root())?);
    faults.extend(pages::faults(&into)?);
    ensure!(faults.is_empty(), "the book has faults:\n  {}", faults.join("\n  "));
    println!("file://{}", into.join("index.html").display());
    Ok(())
}

fn test(bless: bool, names: &[String]) -> anyhow::Result<()> {
    shell::build_programs(root())?;
    if let Some(reason) = shell::no_sandbox()? {
        bail!("there is no sandbox to run the transcripts in: {reason}");
    }
    let has_groups = shell::has_groups()?;
    let mut differ = 0;
    for page in chosen(names)? {
        let name = page.file_name().unwrap_or_default().display();
        let text = fs::read_to_string(&page).with_context(|| format!("read {name}"))?;
        let mut exchanges = transcript::exchanges(&text).with_context(|| name.to_string())?;
        let all = exchanges.len();
        exchanges.retain(|each| has_groups || !each.needs_groups);
        if exchanges.len() < all {
            println!("{name}: {} commands need control groups: not run", all - exchanges.len());
        }
        if exchanges.is_empty() {
            continue;
        }
        let outputs =
            shell::run(shell::sandbox(root())?, &exchanges).with_context(|| name.to_string())?;
        let differences = transcript::differences(&text, &exchanges, &outputs);
        println!("{name}: {} commands, {} differ", exchanges.len(), differences.len());
        for difference in &differences {
            println!("{difference}\n");
        }
        if bless {
            fs::write(&page, transcript::rewrite(&text, &exchanges, &outputs))?;
        } else {
            differ += differences.len();
        }
    }
    if differ > 0 {
        bail!(
            "{differ} outputs are not what the pages show (`cargo book test --bless` writes them there)"
        );
    }
    Ok(())
}

/// The pages of these names, or all.
fn chosen(names: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let page = |name: &String| {
        let page = source().join(name).with_extension("md");
        if page.is_file() { Ok(page) } else { Err(anyhow::anyhow!("no page is called {name}")) }
    };
    if names.is_empty() { plan::pages(&source()) } else { names.iter().map(page).collect() }
}
