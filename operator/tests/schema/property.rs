//! The property, for every field of every kind.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use futures::{StreamExt, stream};
use kube::core::Status;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde_json::{Value, json};

use crate::{
    admission::Admission,
    examples::{example, put, spec_around},
    fields::{Field, Kind},
    made, support, values,
};

/// What is drawn is the same in each run, so that a fault is of the change that is tested; `TAILRACE_TEST_SEED` draws
/// others, as `make test-all` does.
const SEED: u64 = 13;
/// How many objects are drawn, once every field has had its example; `TAILRACE_TEST_CASES` says otherwise.
const CASES: u64 = 15_000;
/// How many objects are asked about at the same time.
const AT_ONCE: usize = 12;
/// What the API server says only of the objects that are made: the rules for whole numbers, and for keys that a term of
/// affinity has twice, have no room in its budget, and what its own annotations may say it alone knows. The operator
/// shows it in a condition.
const ENDS_IN_A_CONDITION: [&str; 3] = ["must be an integer", "exists in both", "spec.template.annotations["];
/// How many faults are told.
const MOST_TOLD: usize = 40;

/// An object with a value that was drawn.
struct Case {
    field: String,
    kind: Kind,
    name: String,
    spec: Value,
    /// What was put where.
    what: String,
}

/// What came of it.
enum Outcome {
    Admitted,
    Refused,
    Fault(String),
}

fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a whole number")))
}

/// The example of each field; of an object below it as well.
fn examples(schemas: &BTreeMap<&str, Value>, fields: &[Field]) -> Vec<Case> {
    let with_example = |field: &Field| {
        let value = if field.is_key() { json!("memory") } else { example(field.name(), &field.schema) };
        case(schemas, field, value, "first")
    };
    fields.iter().map(with_example).collect()
}

fn case(schemas: &BTreeMap<&str, Value>, field: &Field, value: Value, name: &str) -> Case {
    let mut spec = spec_around(field);
    let what = format!("{field} = {value}");
    put(&mut spec, &schemas[field.kind.plural()], &field.path, value);
    Case { field: field.to_string(), kind: field.kind, name: name.into(), spec, what }
}

/// The fields that are the same in all places of a type, such as those of all pod templates.
fn alike(fields: &[Field]) -> Vec<Vec<&Field>> {
    let mut alike: BTreeMap<String, Vec<&Field>> = BTreeMap::new();
    for field in fields {
        let key = format!("{} {} {:?}", field.name(), field.schema, field.path.last());
        alike.entry(key).or_default().push(field);
    }
    alike.into_values().collect()
}

/// A value for a random field, now and then for two, or a name.
fn drawn(schemas: &BTreeMap<&str, Value>, fields: &[Field], alike: &[Vec<&Field>], random: &mut ChaCha8Rng) -> Case {
    let places = &alike[random.random_range(0..alike.len())];
    let field = places[random.random_range(0..places.len())];
    let value = values::draw(random, field);
    let mut case = case(schemas, field, value, "first");
    match random.random_range(0..20) {
        0 => {
            case.name = values::name(random);
            case.what = format!("{} {:?} with {}", json!(field.kind.plural()), case.name, case.what);
        }
        1..5 => {
            let others: Vec<_> = fields.iter().filter(|other| other.kind == field.kind).collect();
            let other = others[random.random_range(0..others.len())];
            let value = values::draw(random, other);
            case.what = format!("{} and {other} = {value}", case.what);
            put(&mut case.spec, &schemas[field.kind.plural()], &other.path, value);
        }
        _ => {}
    }
    case
}

async fn outcome(admission: &Admission, case: &Case) -> Outcome {
    match admission.of(case.kind, &case.name, &case.spec).await {
        Ok(admitted) => match made::is_usable(admission, case.kind, admitted).await {
            Ok(()) => Outcome::Admitted,
            Err(told) if ENDS_IN_A_CONDITION.iter().any(|refusal| told.contains(refusal)) => Outcome::Admitted,
            Err(fault) => Outcome::Fault(format!("admitted: {} and then {fault}", case.what)),
        },
        Err(status) => match sentence(&status) {
            Ok(()) => Outcome::Refused,
            Err(fault) => Outcome::Fault(format!("{} is refused without a sentence: {fault}", case.what)),
        },
    }
}

/// That a refusal says what is wrong, and is not the failure of a rule alone.
fn sentence(status: &Status) -> Result<(), String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let texts: Vec<&str> = causes.map(|cause| cause.message.as_str()).collect();
    let of_rules = ["no such key", "no such overload", "evaluation error"];
    let says = |text: &str| !text.is_empty() && !of_rules.iter().any(|failure| text.contains(failure));
    let is_said = if texts.is_empty() { says(&status.message) } else { texts.iter().any(|text| says(text)) };
    match status.code {
        400 | 422 if is_said => Ok(()),
        code => Err(format!("{code} {}", status.message)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_admitted_is_read_and_made_and_what_is_not_is_refused_with_a_sentence() {
    let seed = number_in("TAILRACE_TEST_SEED").unwrap_or(SEED);
    println!("TAILRACE_TEST_SEED={seed}");
    let admission = Arc::new(Admission::new(support::api_server().await.namespace().await));
    let fields: Vec<Field> = Kind::ALL.into_iter().flat_map(Kind::fields).collect();
    let schemas: BTreeMap<_, _> = Kind::ALL.into_iter().map(|kind| (kind.plural(), kind.schema())).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let started = Instant::now();
    let alike = alike(&fields);
    let drawn =
        (0..number_in("TAILRACE_TEST_CASES").unwrap_or(CASES)).map(|_| drawn(&schemas, &fields, &alike, &mut random));
    let cases = examples(&schemas, &fields).into_iter().chain(drawn);

    let (mut never, mut faults) = (fields.iter().map(Field::to_string).collect::<BTreeSet<_>>(), BTreeSet::new());
    let (mut admitted, mut refused) = (0, 0);
    let mut outcomes = stream::iter(cases)
        .map(|case| {
            let admission = admission.clone();
            async move { (outcome(&admission, &case).await, case.field) }
        })
        .buffer_unordered(AT_ONCE);
    while let Some((outcome, field)) = outcomes.next().await {
        match outcome {
            Outcome::Admitted => {
                admitted += 1;
                never.remove(&field);
            }
            Outcome::Refused => refused += 1,
            Outcome::Fault(fault) => drop(faults.insert(fault)),
        }
    }
    println!(
        "{} fields, {} of them different: {admitted} objects admitted, {refused} refused in {:?}",
        fields.len(),
        alike.len(),
        started.elapsed()
    );
    let told: Vec<_> = faults.iter().take(MOST_TOLD).collect();
    assert!(faults.is_empty(), "{} faults, such as {told:#?}", faults.len());
    // No pod has devices to claim.
    never.retain(|field| !field.contains(".claims"));
    assert!(never.is_empty(), "no value was ever admitted for {never:#?}");
}
