//! What the API server does not take of a Pipeline.

use kube::{Resource, ResourceExt};
use tailrace_crds::conditions::types;

use super::reasons;
use crate::{
    labels::{COMPONENT, Component},
    ownership::Holder,
    writer::Error,
};

/// An object that is not as it should be, since the API server refuses it or its name is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The part that it belongs to, as in its labels.
    pub component: String,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, in one sentence.
    pub message: String,
}

impl Refused {
    /// Why an object of that part could not be written, if the same would happen again.
    pub fn of(component: &str, error: &Error) -> Option<Self> {
        let reason = match error.taken() {
            // It goes by itself, as in every `kubectl replace --force`.
            Some(taken) if taken.holder == Holder::Leaving => reasons::STARTING,
            Some(_) => reasons::NAME_TAKEN,
            None if error.is_refusal() => reasons::REFUSED,
            None => return None,
        };
        Some(Self { component: component.to_owned(), reason, message: error.to_string() })
    }

    fn is_of(&self, components: &[Component]) -> bool {
        components.iter().any(|component| self.component == component.as_str())
    }
}

/// What was refused of the part that the condition `type_` is about.
pub fn of_part<'a>(type_: &str, refused: &'a [Refused]) -> Option<&'a Refused> {
    let components: &[Component] = match type_ {
        types::KAFKA_READY => &[Component::Kafka],
        types::TOPICS_READY => &[Component::Topics],
        types::DATABASE_READY => &[Component::Database],
        types::INFERENCE_READY => &[Component::Inference, Component::InferenceServer, Component::InferenceConsumer],
        types::ARCHIVE_READY => &[Component::Archive],
        _ => &[],
    };
    refused.iter().find(|refused| refused.is_of(components))
}

/// What needs somebody's attention comes before what only has to go away.
pub fn worst(refused: &[Refused]) -> Option<&Refused> {
    refused.iter().find(|refused| !reasons::is_calm(refused.reason)).or_else(|| refused.first())
}

/// All that was not taken, and the first error of it, for which all is tried again.
#[derive(Debug, Default)]
pub struct Refusals {
    /// In the order in which it was tried.
    pub list: Vec<Refused>,
    first: Option<Error>,
}

impl Refusals {
    /// The object as it was written, or nothing if it was refused.
    ///
    /// # Errors
    /// One after which nothing else can be written either.
    pub fn sort_out<K: Resource>(&mut self, object: &K, written: Result<K, Error>) -> Result<Option<K>, Error> {
        let error = match written {
            Ok(object) => return Ok(Some(object)),
            Err(error) => error,
        };
        let component = object.labels().get(COMPONENT).map(String::as_str).unwrap_or_default();
        let Some(refused) = Refused::of(component, &error) else { return Err(error) };
        self.list.push(refused);
        self.first.get_or_insert(error);
        Ok(None)
    }

    /// # Errors
    /// The first of them.
    pub fn into_result(self) -> Result<(), Error> {
        self.first.map_or(Ok(()), Err)
    }
}
