//! The probe, running as the container's command, and the orders that it takes.

use std::ffi::{OsStr, OsString};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::errno::Errno;

use super::kernel::Process;
use super::run::{Ending, Run};
use super::start::Start;
use super::trial::{PROBE, Trial};
use super::verdict::{Broken, broken};
use crate::patience::patience;

/// A container whose command is the probe, waiting for orders.
pub struct Agent<'t> {
    /// The step that started it.
    pub run: Run,
    /// The probe itself, as the kernel sees it from outside.
    pub command: Process<'t>,
}

/// A container whose command is the probe, on its way.
pub struct Starting<'t> {
    run: Run,
    trial: &'t Trial<'t>,
    nonce: String,
}

impl<'t> Start<'t> {
    /// Starts the step with the probe as its command, and does not wait.
    pub fn begin(self) -> Result<Starting<'t>> {
        let probe = self.trial().inside("probe").into_os_string();
        self.begin_probe::<&str>(vec![probe], &[])
    }

    /// Starts the step with the probe as its command, and waits until the probe runs.
    pub fn agent(self) -> Result<Agent<'t>, Broken> {
        self.agent_with::<&str>(&[])
    }

    /// The same, with further arguments for the probe.
    pub fn agent_with<A: AsRef<OsStr>>(self, arguments: &[A]) -> Result<Agent<'t>, Broken> {
        let probe = self.trial().inside("probe").into_os_string();
        self.begin_probe(vec![probe], arguments)?.ready()
    }

    /// Starts the probe as an ordinary process of the host, to compare with.
    pub fn agent_on_the_host(self) -> Result<Agent<'t>, Broken> {
        let probe = self.trial().outside("checks/probe");
        self.on_the_host(&probe).begin_probe::<&str>(Vec::new(), &[])?.ready()
    }

    fn begin_probe<A: AsRef<OsStr>>(
        self,
        mut words: Vec<OsString>,
        arguments: &[A],
    ) -> Result<Starting<'t>> {
        let trial = self.trial();
        let nonce = trial.word();
        words.push(nonce.clone().into());
        words.extend(arguments.iter().map(|argument| argument.as_ref().to_owned()));
        Ok(Starting { run: self.command(words).spawn()?, trial, nonce })
    }
}

impl<'t> Starting<'t> {
    /// Whether within `limit` the command says that it runs, or the step ends.
    pub fn stirs(&self, limit: Duration) -> Result<bool> {
        self.run.stdout.stirs(limit)
    }

    /// Whether all processes sleep that the step has started.
    pub fn sleeps(&self) -> Result<bool> {
        let started = self.trial.host.descendants(self.run.pid())?;
        Ok(started.iter().all(|process| matches!(process.state(), Some('S') | None)))
    }

    /// Waits until the probe runs.
    pub fn ready(self) -> Result<Agent<'t>, Broken> {
        let Starting { mut run, trial, nonce } = self;
        // A step may be a script that calls many tools before it comes to the command.
        let ready = run.first_line(patience() * 2)?;
        if ready.as_deref() != Some(format!("ready {nonce}").as_str()) {
            return never_ran(&mut run, ready.as_deref());
        }
        let mut processes = trial.host.running(PROBE, &nonce)?;
        match processes.pop() {
            Some(command) if processes.is_empty() => Ok(Agent { run, command }),
            Some(_) => broken(
                "the step runs the command once",
                format!("{} processes run it", processes.len() + 1),
            ),
            None => broken(
                "the step runs the command that it was given",
                "the output of that command came, but no process of this host runs its program",
            ),
        }
    }
}

fn never_ran<'t>(run: &mut Run, line: Option<&str>) -> Result<Agent<'t>, Broken> {
    let expected = "the step runs the command, with its standard output";
    run.close_stdin();
    let said = match line {
        Some(line) => format!("the first line of standard output was {line:?}"),
        None => {
            format!("nothing came on standard output; on standard error: {:?}", run.stderr.rest()?)
        }
    };
    match run.end(Duration::from_millis(500)) {
        Ok(ending) => broken(expected, format!("{said}; it ended with status {}", ending.status)),
        Err(_) => broken(expected, format!("{said}; it still runs")),
    }
}

impl Agent<'_> {
    /// Gives an order and returns the answer: the text after `ok`, or the kernel's reason.
    pub fn order(&mut self, order: &str) -> Result<Result<String, Errno>, Broken> {
        self.run.write_line(order)?;
        let deadline = Instant::now() + patience();
        while let Some(line) = self.next_line(deadline)? {
            if let Some(number) = line.strip_prefix("errno ") {
                return Ok(Err(Errno::from_raw(number.parse().unwrap_or(0))));
            }
            if let Some(text) = line.strip_prefix("ok") {
                return Ok(Ok(text.trim_start().to_owned()));
            }
        }
        broken(
            "the command's standard input and output are the caller's",
            format!("no answer to the order `{order}`: {:?}", self.run.stderr.rest()?),
        )
    }

    /// Gives an order that must succeed for the check to make sense.
    pub fn must(&mut self, order: &str) -> Result<String, Broken> {
        let answer = self.order(order)?;
        answer.or_else(|errno| {
            broken(format!("`{order}` succeeds inside"), format!("the kernel said {errno}"))
        })
    }

    /// Waits for the line `text`; false if it does not come.
    pub fn hears(&mut self, text: &str, limit: Duration) -> Result<bool, Broken> {
        let deadline = Instant::now() + limit;
        while let Some(line) = self.next_line(deadline)? {
            if line == text {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Orders the command to exit with `status`, and waits for the end of the step.
    pub fn exit(mut self, status: i32) -> Result<Ending, Broken> {
        self.run.write_line(&format!("exit {status}"))?;
        self.ending()
    }

    /// Waits for the end of the step, which must come.
    pub fn ending(&mut self) -> Result<Ending, Broken> {
        self.run.end(patience()).or_else(|error| {
            broken("the step ends when its command has ended", format!("{error:#}"))
        })
    }

    fn next_line(&mut self, deadline: Instant) -> Result<Option<String>> {
        self.run.stdout.line(deadline.saturating_duration_since(Instant::now()))
    }
}
