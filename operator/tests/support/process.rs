//! Child processes that do not outlive the tests.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

/// A process that is killed as soon as this one ends, however it ends: a shell waits for the end of its standard input,
/// the other end of which only this process holds.
pub struct Process {
    /// Holds the pipe; statics are never dropped, the kernel closes it.
    shell: Child,
}

impl Process {
    /// Starts `program`; what it writes goes to `<folder>/<name>.log`.
    pub fn start(folder: &Path, program: &Path, arguments: &[String]) -> Self {
        let name = program.file_name().unwrap().to_str().unwrap();
        let log = folder.join(format!("{name}.log"));
        Self::shell(r#"log=$1; shift; "$@" >"$log" 2>&1 & trap "kill -9 $! 2>/dev/null; wait" EXIT; cat"#, |shell| {
            shell.arg(log).arg(program).args(arguments);
        })
    }

    /// Kills it, and returns when it is gone.
    pub fn kill(mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().unwrap();
    }

    /// Removes `folder` after the end of this process.
    pub fn remove_at_end(folder: &Path) -> Self {
        Self::shell(r#"trap 'sleep 1; rm -rf "$folder"' EXIT; folder=$1; cat"#, |shell| {
            shell.arg(folder);
        })
    }

    fn shell(script: &str, arguments: impl FnOnce(&mut Command)) -> Self {
        let mut shell = Command::new("bash");
        shell.args(["-c", script, "bash"]);
        arguments(&mut shell);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { shell: shell.spawn().unwrap() }
    }
}
