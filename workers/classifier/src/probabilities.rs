//! How likely each class is.

use crate::{Classifier, ClassifyError, Pixels};

/// The softmax of the network's outputs for one image: one number from 0 to 1 a class, their sum 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Probabilities(Vec<f32>);

impl Classifier {
    /// The probabilities of each image, in the order of the images.
    ///
    /// # Errors
    /// [`ClassifyError`] when a tensor operation fails.
    pub fn probabilities(&self, images: &[Pixels]) -> Result<Vec<Probabilities>, ClassifyError> {
        Ok(self.logits(images)?.iter().map(|logits| Probabilities::softmax(logits)).collect())
    }
}

impl Probabilities {
    /// The largest logit is taken off first, so that no exponential overflows.
    fn softmax(logits: &[f32]) -> Self {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
        let sum: f32 = powers.iter().sum();
        Self(powers.into_iter().map(|power| power / sum).collect())
    }

    /// In the order of the network's outputs.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// The classes with their probabilities, the likeliest first; of two that are equal, the one with the smaller
    /// index.
    #[must_use]
    pub fn best_first(&self) -> Vec<(usize, f32)> {
        let mut classes: Vec<_> = self.0.iter().copied().enumerate().collect();
        classes.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_class_comes_first_with_its_softmax() {
        let classes = Probabilities::softmax(&[0.0, 2.0, 1.0]).best_first();
        assert_eq!(classes.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 0]);
        assert!((classes[0].1 - 0.665_241).abs() < 1e-5, "{classes:?}");
    }

    #[test]
    fn probabilities_add_up_to_one_whatever_the_logits() {
        for logits in [[1000.0, -1000.0, 0.0], [-3.0, -3.0, -3.0]] {
            let sum: f32 = Probabilities::softmax(&logits).as_slice().iter().sum();
            assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        }
    }
}
