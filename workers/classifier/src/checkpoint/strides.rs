//! The values of a tensor in the order of its indices, whatever their order in its storage.

use super::pickle::TensorView;

/// Row by row; none where the tensor does not fit the storage, or has more than `most` bytes.
pub fn contiguous(view: &TensorView, storage: Option<&[u8]>, most: usize) -> Option<Vec<u8>> {
    let (shape, strides, element) = (&view.shape, &view.strides, view.storage.element);
    if shape.len() != strides.len() {
        return None;
    }
    let count = shape.iter().try_fold(1usize, |count, length| count.checked_mul(*length))?;
    let bytes = count.checked_mul(element).filter(|bytes| *bytes <= most)?;
    if count == 0 {
        return Some(Vec::new());
    }
    let mut last = view.offset;
    for (length, stride) in shape.iter().zip(strides) {
        last = last.checked_add((length - 1).checked_mul(*stride)?)?;
    }
    let storage = storage?;
    storage.get(last.checked_mul(element)?..)?.get(..element)?;

    let mut values = Vec::with_capacity(bytes);
    let (mut index, mut place) = (vec![0; shape.len()], view.offset);
    for _ in 0..count {
        values.extend_from_slice(&storage[place * element..][..element]);
        for dimension in (0..shape.len()).rev() {
            index[dimension] += 1;
            place += strides[dimension];
            if index[dimension] < shape[dimension] {
                break;
            }
            place -= strides[dimension] * shape[dimension];
            index[dimension] = 0;
        }
    }
    Some(values)
}
