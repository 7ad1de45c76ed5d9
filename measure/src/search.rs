//! The highest rate that holds: doubling until one does not, bisection down to the resolution, and more runs on both sides
//! of the boundary, since one run may be good or bad luck.
//!
//! What to do next is a function of the runs so far and of nothing else, so a search can be stopped and gone on with at any
//! point.

use std::collections::BTreeMap;

/// What is looked for, and how carefully. Rates are whole numbers in whatever unit the caller counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// The first rate that is tried, and the lowest.
    pub lowest: u64,
    /// The highest rate that is tried.
    pub highest: u64,
    /// The search ends when the lowest rate that did not hold is at most so many percent above the highest that did, or
    /// next to it.
    pub resolution_percent: u64,
    /// How many runs decide about a rate at most: it holds if more than half of so many held.
    pub confirmations: usize,
    /// How many runs there are at most.
    pub most_runs: usize,
}

/// What one run said about its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rate was kept up.
    Held,
    /// It was not.
    Missed,
    /// Those who sent were the limit, so nothing is known about who had to answer.
    Limited,
}

/// One run that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The rate.
    pub rate: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// One run at this rate.
    Run(u64),
    /// Nothing: this is the answer.
    End(Answer),
}

/// How a search has ended. The rates are in its [`Boundary`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The boundary lies between two rates about which enough runs agree.
    Found,
    /// Even the highest rate held.
    AllHeld,
    /// Not even the lowest rate held.
    NoneHeld,
    /// At this rate those who sent were the limit.
    Limited(u64),
    /// The runs contradict each other so much that their number did not suffice.
    Undecided,
}

/// Between which rates the highest one lies, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boundary {
    /// The highest rate that held without a lower one that did not.
    pub held: Option<u64>,
    /// The lowest rate that did not hold.
    pub missed: Option<u64>,
    /// A rate above `missed` that held nevertheless: the outcomes are not monotone.
    pub held_above: Option<u64>,
}

/// What the runs at one rate say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// More runs would change nothing.
    Decided(Outcome),
    /// All runs so far agree, and they are too few.
    Leaning(Outcome),
    /// The runs so far do not agree, or say nothing.
    Contested,
}

impl Standing {
    fn is(self, outcome: Outcome) -> bool {
        matches!(self, Self::Decided(found) | Self::Leaning(found) if found == outcome)
    }
}

impl Search {
    /// What to do after these runs, in whatever order they were made.
    ///
    /// Each rate is run at most `confirmations` times, and a rate that was not run before lies between the highest that held
    /// and the lowest that did not, so a search ends; `most_runs` bounds it though every run should contradict the others.
    pub fn next(&self, runs: &[Run]) -> Next {
        let standings = self.standings(runs);
        if let Some(rate) = at(&standings, Standing::Decided(Outcome::Limited)) {
            return Next::End(Answer::Limited(rate));
        }
        let next = match at(&standings, Standing::Contested) {
            Some(rate) => Next::Run(rate),
            None => self.narrow(&standings),
        };
        match next {
            Next::Run(_) if runs.len() >= self.most_runs => Next::End(Answer::Undecided),
            next => next,
        }
    }

    /// How far these runs have come.
    pub fn boundary(&self, runs: &[Run]) -> Boundary {
        boundary(&self.standings(runs))
    }

    fn narrow(&self, standings: &BTreeMap<u64, Standing>) -> Next {
        let Boundary { held, missed, .. } = boundary(standings);
        match (held, missed) {
            (Some(held), None) if held >= self.highest => confirmed(standings, &[held], Answer::AllHeld),
            (Some(held), None) => Next::Run(held.saturating_mul(2).min(self.highest)),
            (None, Some(missed)) if missed <= self.lowest => confirmed(standings, &[missed], Answer::NoneHeld),
            (None, _) => Next::Run(self.lowest),
            (Some(held), Some(missed)) if missed - held > self.resolution(held) => {
                Next::Run(held + (missed - held) / 2)
            }
            (Some(held), Some(missed)) => confirmed(standings, &[held, missed], Answer::Found),
        }
    }

    /// How far above a rate that held the one that did not may be.
    fn resolution(&self, held: u64) -> u64 {
        (held.saturating_mul(self.resolution_percent) / 100).max(1)
    }

    fn standings(&self, runs: &[Run]) -> BTreeMap<u64, Standing> {
        let mut outcomes = BTreeMap::<u64, Vec<Outcome>>::new();
        for run in runs {
            outcomes.entry(run.rate).or_default().push(run.outcome);
        }
        outcomes.into_iter().map(|(rate, outcomes)| (rate, self.standing(&outcomes))).collect()
    }

    fn standing(&self, outcomes: &[Outcome]) -> Standing {
        let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        let (held, missed, limited) = (count(Outcome::Held), count(Outcome::Missed), count(Outcome::Limited));
        if 2 * held > self.confirmations {
            Standing::Decided(Outcome::Held)
        } else if 2 * missed >= self.confirmations {
            Standing::Decided(Outcome::Missed)
        } else if 2 * limited >= self.confirmations {
            Standing::Decided(Outcome::Limited)
        } else if outcomes.len() >= self.confirmations {
            Standing::Decided(if limited >= missed { Outcome::Limited } else { Outcome::Missed })
        } else if held == outcomes.len() {
            Standing::Leaning(Outcome::Held)
        } else if missed == outcomes.len() {
            Standing::Leaning(Outcome::Missed)
        } else {
            Standing::Contested
        }
    }
}

fn boundary(standings: &BTreeMap<u64, Standing>) -> Boundary {
    let at = |wanted| move |(rate, standing): (&u64, &Standing)| standing.is(wanted).then_some(*rate);
    let missed = standings.iter().find_map(at(Outcome::Missed));
    Boundary {
        held: standings.range(..missed.unwrap_or(u64::MAX)).rev().find_map(at(Outcome::Held)),
        missed,
        held_above: missed.and_then(|missed| standings.range(missed..).rev().find_map(at(Outcome::Held))),
    }
}

/// The lowest rate of that standing.
fn at(standings: &BTreeMap<u64, Standing>, wanted: Standing) -> Option<u64> {
    standings.iter().find(|(_, standing)| **standing == wanted).map(|(rate, _)| *rate)
}

/// The answer, once enough runs agree about each of these rates.
fn confirmed(standings: &BTreeMap<u64, Standing>, rates: &[u64], answer: Answer) -> Next {
    let open = rates.iter().find(|rate| !matches!(standings.get(rate), Some(Standing::Decided(_))));
    open.map_or(Next::End(answer), |rate| Next::Run(*rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Held, Limited, Missed};

    const SEARCH: Search =
        Search { lowest: 10, highest: 1_000, resolution_percent: 10, confirmations: 3, most_runs: 100 };

    /// The rates in the order in which they were run, the answer and its rates. `outcome` has the rate and how often it was run before.
    fn searched(search: Search, outcome: impl Fn(u64, usize) -> Outcome) -> (Vec<u64>, Answer, Boundary) {
        let mut runs = Vec::<Run>::new();
        loop {
            match search.next(&runs) {
                Next::End(answer) => {
                    return (runs.iter().map(|run| run.rate).collect(), answer, search.boundary(&runs));
                }
                Next::Run(rate) => {
                    let before = runs.iter().filter(|run| run.rate == rate).count();
                    runs.push(Run { rate, outcome: outcome(rate, before) });
                }
            }
        }
    }

    fn up_to(limit: u64) -> impl Fn(u64, usize) -> Outcome {
        move |rate, _| if rate <= limit { Held } else { Missed }
    }

    fn between(held: u64, missed: u64) -> Boundary {
        Boundary { held: Some(held), missed: Some(missed), held_above: None }
    }

    #[test]
    fn rates_are_doubled_then_bisected_and_both_sides_of_the_boundary_run_again() {
        let (rates, answer, boundary) = searched(SEARCH, up_to(117));
        assert_eq!(rates, [10, 20, 40, 80, 160, 120, 100, 110, 110, 120]);
        assert_eq!((answer, boundary), (Answer::Found, between(110, 120)));
    }

    #[test]
    fn a_rate_that_holds_up_to_the_bound_is_said_to_be_no_more_than_that() {
        let (rates, answer, boundary) = searched(Search { highest: 70, ..SEARCH }, up_to(1_000));
        assert_eq!((rates, answer), (vec![10, 20, 40, 70, 70], Answer::AllHeld));
        assert_eq!((boundary.held, boundary.missed), (Some(70), None));
    }

    #[test]
    fn nothing_is_tried_below_the_lowest_rate() {
        let (rates, answer, boundary) = searched(SEARCH, up_to(9));
        assert_eq!((rates, answer), (vec![10, 10], Answer::NoneHeld));
        assert_eq!((boundary.held, boundary.missed), (None, Some(10)));
    }

    #[test]
    fn a_rate_about_which_runs_disagree_is_run_until_most_of_them_agree() {
        // The first run at 80 is bad luck: it is approached from below, run again, and found to hold after all.
        let unlucky = |rate, before| if rate == 80 && before == 0 { Missed } else { up_to(117)(rate, before) };
        let (rates, answer, boundary) = searched(SEARCH, unlucky);
        assert_eq!(rates[..4], [10, 20, 40, 80]);
        assert_eq!(rates.iter().filter(|rate| **rate == 80).count(), 3);
        assert_eq!((answer, boundary), (Answer::Found, between(110, 120)));
    }

    #[test]
    fn of_two_runs_both_must_hold_and_one_decides_alone() {
        let second_fails = |rate, before| if rate >= 80 && before == 1 { Missed } else { up_to(117)(rate, before) };
        let (_, answer, boundary) = searched(Search { confirmations: 2, ..SEARCH }, second_fails);
        assert_eq!(answer, Answer::Found);
        assert!(boundary.held < Some(80), "{boundary:?}");
        let (rates, answer, boundary) = searched(Search { confirmations: 1, ..SEARCH }, second_fails);
        assert_eq!(rates, [10, 20, 40, 80, 160, 120, 100, 110]);
        assert_eq!((answer, boundary), (Answer::Found, between(110, 120)));
    }

    #[test]
    fn a_search_whose_senders_are_the_limit_is_given_up_with_what_is_known() {
        let limited = |rate, _| if rate > 50 { Limited } else { Held };
        let (rates, answer, boundary) = searched(SEARCH, limited);
        assert_eq!((rates, answer), (vec![10, 20, 40, 80, 80], Answer::Limited(80)));
        assert_eq!((boundary.held, boundary.missed), (Some(40), None));
    }

    #[test]
    fn senders_that_were_the_limit_once_are_no_reason_to_give_up() {
        let once = |rate, before| if rate == 80 && before == 0 { Limited } else { up_to(117)(rate, before) };
        let (rates, answer, boundary) = searched(SEARCH, once);
        assert_eq!(rates[..6], [10, 20, 40, 80, 80, 80], "the rate is run again at once");
        assert_eq!((answer, boundary), (Answer::Found, between(110, 120)));
    }

    #[test]
    fn runs_of_which_none_has_the_majority_say_that_the_senders_were_the_limit() {
        let mixed = |rate, before| if rate == 80 { [Limited, Held, Missed][before] } else { Held };
        assert_eq!(searched(SEARCH, mixed).1, Answer::Limited(80));
    }

    #[test]
    fn a_higher_rate_that_held_above_one_that_did_not_is_told_and_not_believed() {
        let runs = [(10, Held), (20, Held), (40, Held), (80, Held), (160, Missed), (60, Missed), (60, Missed)];
        let more = [(50, Missed), (45, Missed), (42, Missed), (42, Missed), (40, Held)];
        let run = |(rate, outcome): &(u64, Outcome)| Run { rate: *rate, outcome: *outcome };
        let runs: Vec<_> = runs.iter().chain(&more).map(run).collect();
        assert_eq!(SEARCH.next(&runs), Next::End(Answer::Found));
        assert_eq!(SEARCH.boundary(&runs), Boundary { held_above: Some(80), ..between(40, 42) });
    }

    #[test]
    fn a_search_that_does_not_come_to_an_end_is_ended() {
        let (rates, answer, boundary) = searched(Search { most_runs: 4, ..SEARCH }, up_to(1_000));
        assert_eq!((rates.len(), answer, boundary.held), (4, Answer::Undecided, Some(80)));
    }
}
