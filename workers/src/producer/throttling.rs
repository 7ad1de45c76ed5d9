//! How long this container was kept from running by its CPU limit.

use std::{fs, path::Path, time::Duration};

/// Where the control group of a container says so: in version 2 and, as two systems mount it, in version 1.
const FILES: [&str; 3] =
    ["/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat", "/sys/fs/cgroup/cpu,cpuacct/cpu.stat"];

/// How long it was, since the container was started; none if nobody says.
pub fn throttled() -> Option<Duration> {
    FILES.iter().find_map(|file| parse(&fs::read_to_string(Path::new(file)).ok()?))
}

/// The kernel's documentation: admin-guide/cgroup-v2 (`throttled_usec`) and scheduler/sched-bwc (`throttled_time`, in
/// nanoseconds).
fn parse(stat: &str) -> Option<Duration> {
    stat.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        match name {
            "throttled_usec" => Some(Duration::from_micros(value.parse().ok()?)),
            "throttled_time" => Some(Duration::from_nanos(value.parse().ok()?)),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups_are_read() {
        let second = "usage_usec 5\nnr_periods 9\nnr_throttled 2\nthrottled_usec 1500\n";
        assert_eq!(parse(second), Some(Duration::from_micros(1_500)));
        let first = "nr_periods 9\nnr_throttled 2\nthrottled_time 1500000\n";
        assert_eq!(parse(first), Some(Duration::from_micros(1_500)));
        assert_eq!(parse("usage_usec 5\n"), None, "a group without a CPU controller");
    }
}
