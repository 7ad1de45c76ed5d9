//! What a model makes of the first 40 images of CIFAR-10's test set, before anybody relies on it.
//!
//! Not everything about a network is in its tensors: with another mean, other labels or max pooling that nobody
//! mentioned it computes as well, and answers wrong.

use anyhow::Context;
use tailrace_classifier::{Classifier, Model, decode};
use tailrace_wire::PNG;

macro_rules! sample {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../models/sample/", $name, ".png")).as_slice())),*]
    };
}

/// Files with their names, each a number and a class.
const SAMPLE: [(&str, &[u8]); 40] = sample![
    "0000-cat",
    "0001-ship",
    "0002-ship",
    "0003-airplane",
    "0004-frog",
    "0005-frog",
    "0006-automobile",
    "0007-frog",
    "0008-cat",
    "0009-automobile",
    "0010-airplane",
    "0011-truck",
    "0012-dog",
    "0013-horse",
    "0014-truck",
    "0015-ship",
    "0016-dog",
    "0017-horse",
    "0018-ship",
    "0019-frog",
    "0020-horse",
    "0021-airplane",
    "0022-deer",
    "0023-truck",
    "0024-dog",
    "0025-bird",
    "0026-deer",
    "0027-airplane",
    "0028-truck",
    "0029-frog",
    "0030-frog",
    "0031-dog",
    "0032-deer",
    "0033-dog",
    "0034-truck",
    "0035-bird",
    "0036-deer",
    "0037-automobile",
    "0038-truck",
    "0039-dog",
];
/// With fewer images of classes that a model knows, its share says nothing.
const FEWEST: usize = 20;

/// So many are looked at together.
const TOGETHER: usize = 4;

/// How many of the images a model knows, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Images of classes that the model has.
    pub shown: usize,
    /// How many of them were looked at: no more than show on which side of a half it is.
    pub asked: usize,
    /// Whose label is right.
    pub right: usize,
}

impl Known {
    /// Half of the images or more are known. A model of CIFAR-10 knows nine of ten, and one that guesses every tenth.
    fn is_fine(self) -> bool {
        2 * self.right >= self.shown
    }

    /// Fewer than half of the images are known.
    #[must_use]
    pub fn is_suspicious(self) -> bool {
        self.shown >= FEWEST && 2 * (self.asked - self.right) > self.shown
    }
}

/// Classifies the images whose classes the model has, until it is clear whether it knows half of them.
///
/// # Errors
/// When they cannot be computed.
pub fn known(classifier: &Classifier) -> anyhow::Result<Known> {
    let labels = classifier.model().labels();
    let shown: Vec<_> = SAMPLE.iter().filter(|(name, _)| labels.iter().any(|label| **label == *class(name))).collect();
    let mut known = Known { shown: shown.len(), asked: 0, right: 0 };
    for some in shown.chunks(TOGETHER) {
        let images: Result<Vec<_>, _> = some.iter().map(|(_, file)| decode(PNG, file)).collect();
        let answers = classifier.classify(&images.context("a sample image cannot be decoded")?)?;
        known.asked += some.len();
        known.right += some.iter().zip(answers).filter(|((name, _), answer)| *answer.label == *class(name)).count();
        if known.is_fine() || known.is_suspicious() {
            break;
        }
    }
    Ok(known)
}

/// Warns of a model that looks as if it were not computed as it was trained.
///
/// # Errors
/// When it cannot be computed.
pub fn run(classifier: &Classifier) -> anyhow::Result<()> {
    let known = known(classifier)?;
    let Known { asked, right, shown } = known;
    if known.is_suspicious() {
        tracing::warn!(
            "the model knows fewer than half of the {shown} sample images of CIFAR-10, {right} of the first {asked}: if it \
             was trained on them, it is not computed as it was trained. See --mean and --std, the order of --labels, and \
             --max-pool"
        );
    } else {
        tracing::debug!("the model knows {right} of the first {asked} of {shown} sample images of CIFAR-10");
    }
    beside(classifier.model());
    Ok(())
}

/// Names what the file has and the network does not use.
fn beside(model: &Model) {
    if !model.unused().is_empty() {
        let names: Vec<_> = model.unused().iter().take(10).map(String::as_str).collect();
        tracing::warn!("the model's file has tensors beside the network, which are not used: {}", names.join(", "));
    }
}

/// The class in a file's name.
fn class(name: &str) -> &str {
    name.split_once('-').map_or("", |(_, class)| class)
}
