//! The texts of the columns of `kubectl get`.

use tailrace_crds::load_test::{Arrivals, ClosedLoad, Display, Load, OpenLoad};
use tailrace_measure::{display, summary::Summary};

use super::observation::Observation;

/// The column texts that are known before there is any number.
pub fn load_column(seen: &Observation) -> Display {
    let Load { open, closed } = &seen.load_test.spec.load;
    let load = match open {
        Some(OpenLoad { rate_per_producer, arrivals: Arrivals::Constant }) => format!("open {rate_per_producer}/s"),
        Some(OpenLoad { rate_per_producer, arrivals: Arrivals::Poisson }) => format!("poisson {rate_per_producer}/s"),
        None => closed_column(&closed.clone().unwrap_or_default()),
    };
    Display { load, ..Display::default() }
}

/// `closed`, with what differs from the default.
fn closed_column(ClosedLoad { outstanding, think_time }: &ClosedLoad) -> String {
    let outstanding = if *outstanding == 1 { String::new() } else { format!(" {outstanding}") };
    let think_time = if think_time.get().is_zero() { String::new() } else { format!(", think {think_time}") };
    format!("closed{outstanding}{think_time}")
}

/// Those of a result.
pub fn percentiles(seen: &Observation, latency: &Summary) -> Display {
    Display {
        p50: Some(shown(seen, latency.p50)),
        p90: Some(shown(seen, latency.p90)),
        p95: Some(shown(seen, latency.p95)),
        p99: Some(shown(seen, latency.p99)),
        ..load_column(seen)
    }
}

/// A percentile, or that it is longer than anybody waited.
fn shown(seen: &Observation, micros: Option<u64>) -> String {
    micros.map_or_else(|| display::unbounded(seen.load_test.spec.drain_timeout.get()), display::micros)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::load_test::fixtures::new_test;

    #[test]
    fn a_column_says_which_load_it_was() {
        let column = |load: serde_json::Value| {
            let mut seen = new_test();
            seen.load_test.spec.load = serde_json::from_value(load).unwrap();
            load_column(&seen).load
        };
        assert_eq!(column(json!({ "open": { "ratePerProducer": 20 } })), "open 20/s");
        assert_eq!(column(json!({ "open": { "ratePerProducer": 20, "arrivals": "Poisson" } })), "poisson 20/s");
        assert_eq!(column(json!({ "closed": {} })), "closed");
        assert_eq!(column(json!({ "closed": { "outstanding": 4, "thinkTime": "100ms" } })), "closed 4, think 100ms");
    }
}
