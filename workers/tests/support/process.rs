//! A process that ends with its test, however the test ends.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Sender, channel},
    thread,
    time::Duration,
};

use super::eventually;

pub struct Process {
    child: Child,
    log: PathBuf,
    /// The kernel kills the child when the thread that started it ends: this keeps that thread.
    _keeper: Sender<()>,
}

impl Process {
    /// Starts the command; what it writes goes to the file `log`.
    pub fn start(command: &Command, log: &Path) -> Self {
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            guarded.env(name, value.unwrap_or_default());
        }
        let output = File::create(log).unwrap();
        guarded.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);

        let (keeper, kept) = channel();
        let (sender, started) = channel();
        thread::spawn(move || {
            sender.send(guarded.spawn()).unwrap();
            // Until the keeper is dropped.
            let _ = kept.recv();
        });
        let child = started.recv().unwrap().expect("setpriv of util-linux starts the process");
        Self { child, log: log.to_owned(), _keeper: keeper }
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// SIGKILL: it has no time for anything.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and how it ends.
    pub fn terminate(&mut self, limit: Duration) -> ExitStatus {
        self.ask_to_stop();
        self.wait(limit)
    }

    /// SIGTERM.
    pub fn ask_to_stop(&self) {
        self.signal("TERM");
    }

    /// Any signal, such as STOP and CONT: it does not run between them.
    pub fn signal(&self, name: &str) {
        let signalled = Command::new("kill").args(["-s", name, &self.id().to_string()]).status().unwrap();
        assert!(signalled.success());
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ends.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let status = eventually("the end of a process", limit, || self.child.try_wait().unwrap());
        assert_eq!(status.signal(), None, "killed by a signal: {}", self.log());
        status
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
