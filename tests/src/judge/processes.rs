//! Which processes there are.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use nix::unistd::Pid;

use super::kernel::{Process, list};
use crate::sandbox::Host;

impl Host {
    /// The process ids that exist inside, besides PID 1, by their inner numbers.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let pids = pids(&self.inner_proc).context("list /proc of the sandbox")?;
        Ok(pids.into_iter().map(Pid::as_raw).filter(|pid| *pid != 1).collect())
    }

    /// The processes of the outer process-id namespace that this process may look at.
    fn outer_pids(&self) -> Result<Vec<Pid>> {
        pids(&self.outer_proc).context("list /proc")
    }

    /// Every process of this host that runs a program with the content `program`, wherever it lies,
    /// and bears `word` among its arguments.
    pub fn running(&self, program: &[u8], word: &str) -> Result<Vec<Process<'_>>> {
        let mut found = Vec::new();
        for pid in self.outer_pids()? {
            // A process may end while we look at it.
            let Ok(process) = Process::of(self, pid) else { continue };
            let bears_word = process
                .arguments()
                .is_ok_and(|arguments| arguments.iter().any(|argument| argument == word));
            let is_ours = bears_word && process.is_on_this_host().unwrap_or(false);
            if is_ours && process.runs(program).unwrap_or(false) {
                found.push(process);
            }
        }
        Ok(found)
    }

    /// The processes that have `ancestor` above them, by the parents that the kernel names.
    pub fn descendants(&self, ancestor: Pid) -> Result<Vec<Process<'_>>> {
        let mut family = vec![ancestor.as_raw()];
        let mut others: Vec<Process> =
            self.outer_pids()?.into_iter().filter_map(|pid| Process::of(self, pid).ok()).collect();
        let mut found = Vec::new();
        loop {
            let (children, rest): (Vec<_>, Vec<_>) = others
                .into_iter()
                .partition(|process| process.parent().is_some_and(|pid| family.contains(&pid)));
            if children.is_empty() {
                return Ok(found);
            }
            family.extend(children.iter().map(|process| process.pid.as_raw()));
            found.extend(children);
            others = rest;
        }
    }
}

fn pids(proc: &OwnedFd) -> nix::Result<Vec<Pid>> {
    let names = list(proc, ".")?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).map(Pid::from_raw).collect())
}
