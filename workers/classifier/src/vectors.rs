//! The few operations on vectors of numbers that the kernels are written with.

use pulp::Simd;

/// An instruction set's vectors of 32-bit floats.
pub trait Vectors: Copy {
    /// [`Self::LANES`] numbers.
    type Vector: Copy;
    /// Numbers in a vector.
    const LANES: usize;
    /// Vectors that the processor keeps in registers.
    const REGISTERS: usize;

    /// The numbers as vectors; those that do not fill one at the end are left out.
    fn vectors(values: &[f32]) -> &[Self::Vector];
    /// As [`Self::vectors`].
    fn vectors_mut(values: &mut [f32]) -> &mut [Self::Vector];
    /// The same number in each lane.
    fn splat(self, value: f32) -> Self::Vector;
    /// left + right
    fn add(self, left: Self::Vector, right: Self::Vector) -> Self::Vector;
    /// left - right
    fn subtract(self, left: Self::Vector, right: Self::Vector) -> Self::Vector;
    /// sum + left x right, in one rounding or two.
    fn add_product(self, sum: Self::Vector, left: Self::Vector, right: Self::Vector) -> Self::Vector;
    /// The larger of both.
    fn maximum(self, left: Self::Vector, right: Self::Vector) -> Self::Vector;
}

/// Vectors of an instruction set that was found at run time.
#[derive(Clone, Copy)]
pub struct Found<S>(pub S);

impl<S: Simd> Vectors for Found<S> {
    type Vector = S::f32s;
    const LANES: usize = S::F32_LANES;
    const REGISTERS: usize = S::REGISTER_COUNT;

    #[inline(always)]
    fn vectors(values: &[f32]) -> &[S::f32s] {
        S::as_simd_f32s(values).0
    }

    #[inline(always)]
    fn vectors_mut(values: &mut [f32]) -> &mut [S::f32s] {
        S::as_mut_simd_f32s(values).0
    }

    #[inline(always)]
    fn splat(self, value: f32) -> S::f32s {
        self.0.splat_f32s(value)
    }

    #[inline(always)]
    fn add(self, left: S::f32s, right: S::f32s) -> S::f32s {
        self.0.add_f32s(left, right)
    }

    #[inline(always)]
    fn subtract(self, left: S::f32s, right: S::f32s) -> S::f32s {
        self.0.sub_f32s(left, right)
    }

    #[inline(always)]
    fn add_product(self, sum: S::f32s, left: S::f32s, right: S::f32s) -> S::f32s {
        self.0.mul_add_e_f32s(left, right, sum)
    }

    #[inline(always)]
    fn maximum(self, left: S::f32s, right: S::f32s) -> S::f32s {
        self.0.max_f32s(left, right)
    }
}

/// Four numbers, for what the compiler makes of them on any processor: on x86-64 a register of SSE2.
#[derive(Clone, Copy)]
pub struct Portable;

impl Vectors for Portable {
    type Vector = [f32; 4];
    const LANES: usize = 4;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn vectors(values: &[f32]) -> &[[f32; 4]] {
        values.as_chunks().0
    }

    #[inline(always)]
    fn vectors_mut(values: &mut [f32]) -> &mut [[f32; 4]] {
        values.as_chunks_mut().0
    }

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    fn add(self, [a, b, c, d]: [f32; 4], [e, f, g, h]: [f32; 4]) -> [f32; 4] {
        [a + e, b + f, c + g, d + h]
    }

    #[inline(always)]
    fn subtract(self, [a, b, c, d]: [f32; 4], [e, f, g, h]: [f32; 4]) -> [f32; 4] {
        [a - e, b - f, c - g, d - h]
    }

    #[inline(always)]
    fn add_product(self, [a, b, c, d]: [f32; 4], [e, f, g, h]: [f32; 4], [i, j, k, l]: [f32; 4]) -> [f32; 4] {
        [a + e * i, b + f * j, c + g * k, d + h * l]
    }

    #[inline(always)]
    fn maximum(self, left: [f32; 4], right: [f32; 4]) -> [f32; 4] {
        let mut larger = left;
        for lane in 0..4 {
            larger[lane] = if left[lane] > right[lane] { left[lane] } else { right[lane] };
        }
        larger
    }
}
