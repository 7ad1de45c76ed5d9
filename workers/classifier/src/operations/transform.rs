//! The matrices of Winograd's minimal filtering: Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks"
//! (2015), sections 4.1 to 4.3.

use crate::vectors::Vectors;

/// F(M x M, 3 x 3): M x M outputs from N x N inputs, N = M + 2, with N x N multiplications.
pub trait Transform<const N: usize, const M: usize> {
    /// G (N, 3), for the kernel.
    const KERNEL: [[f32; 3]; N];

    /// B^T (N, N) times a vector of inputs.
    fn input<S: Vectors>(simd: S, values: [S::Vector; N]) -> [S::Vector; N];

    /// A^T (M, N) times a vector of products.
    fn output<S: Vectors>(simd: S, products: [S::Vector; N]) -> [S::Vector; M];
}

/// 2 x 2 outputs with 16 multiplications in place of 36.
pub struct F2;

/// 4 x 4 outputs with 36 multiplications in place of 144.
pub struct F4;

impl Transform<4, 2> for F2 {
    const KERNEL: [[f32; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

    #[inline(always)]
    fn input<S: Vectors>(simd: S, [a, b, c, d]: [S::Vector; 4]) -> [S::Vector; 4] {
        [simd.subtract(a, c), simd.add(b, c), simd.subtract(c, b), simd.subtract(b, d)]
    }

    #[inline(always)]
    fn output<S: Vectors>(simd: S, [a, b, c, d]: [S::Vector; 4]) -> [S::Vector; 2] {
        let (sum, difference) = (simd.add(b, c), simd.subtract(b, c));
        [simd.add(a, sum), simd.subtract(difference, d)]
    }
}

impl Transform<6, 4> for F4 {
    const KERNEL: [[f32; 3]; 6] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];

    #[inline(always)]
    fn input<S: Vectors>(simd: S, [a, b, c, d, e, f]: [S::Vector; 6]) -> [S::Vector; 6] {
        let (even, odd) = (add_times(simd, -4.0, c, e), add_times(simd, -4.0, b, d));
        let (even_of_two, odd_of_two) = (simd.subtract(e, c), simd.subtract(d, b));
        [
            add_times(simd, 4.0, a, add_times(simd, -5.0, c, e)),
            simd.add(even, odd),
            simd.subtract(even, odd),
            add_times(simd, 2.0, odd_of_two, even_of_two),
            add_times(simd, -2.0, odd_of_two, even_of_two),
            add_times(simd, 4.0, b, add_times(simd, -5.0, d, f)),
        ]
    }

    #[inline(always)]
    fn output<S: Vectors>(simd: S, [a, b, c, d, e, f]: [S::Vector; 6]) -> [S::Vector; 4] {
        let (sum_of_one, difference_of_one) = (simd.add(b, c), simd.subtract(b, c));
        let (sum_of_two, difference_of_two) = (simd.add(d, e), simd.subtract(d, e));
        [
            simd.add(a, simd.add(sum_of_one, sum_of_two)),
            add_times(simd, 2.0, difference_of_two, difference_of_one),
            add_times(simd, 4.0, sum_of_two, sum_of_one),
            simd.add(f, add_times(simd, 8.0, difference_of_two, difference_of_one)),
        ]
    }
}

/// sum + factor x value
#[inline(always)]
fn add_times<S: Vectors>(simd: S, factor: f32, value: S::Vector, sum: S::Vector) -> S::Vector {
    simd.add_product(sum, simd.splat(factor), value)
}
