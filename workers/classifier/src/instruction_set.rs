//! Which of the processor's vector instructions compute.

use std::fmt;
use std::sync::OnceLock;

use pulp::{Simd, WithSimd};

use crate::LoadError;
use crate::vectors::{Found, Portable, Vectors};

/// The environment variable that forces an instruction set: `avx512`, `avx2` or `portable`.
pub const INSTRUCTION_SET_VARIABLE: &str = "TAILRACE_INSTRUCTION_SET";

/// The vector instructions that compute, chosen once for a process.
#[derive(Clone, Copy, Debug)]
pub enum InstructionSet {
    /// 16 numbers a vector, 32 registers.
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    /// 8 numbers a vector, 16 registers, fused multiplication and addition.
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    /// What each processor of the architecture has: on x86-64 SSE2, 4 numbers a vector.
    Portable,
}

impl InstructionSet {
    /// The one in use: what [`INSTRUCTION_SET_VARIABLE`] says, or else the best that the processor has.
    ///
    /// # Errors
    /// [`LoadError::InstructionSet`] when the variable has an unknown value or one that the processor lacks.
    pub fn in_use() -> Result<Self, LoadError> {
        static CHOSEN: OnceLock<Result<InstructionSet, String>> = OnceLock::new();
        let chosen = CHOSEN.get_or_init(|| match std::env::var(INSTRUCTION_SET_VARIABLE) {
            Ok(name) => Self::named(&name).ok_or(name),
            Err(_) => Ok(Self::available().remove(0)),
        });
        chosen.clone().map_err(|found| LoadError::InstructionSet { found, available: Self::names() })
    }

    /// Those that this processor has, the best first.
    pub(crate) fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            sets.extend(pulp::x86::V4::try_new().map(Self::Avx512));
            sets.extend(pulp::x86::V3::try_new().map(Self::Avx2));
        }
        sets.push(Self::Portable);
        sets
    }

    fn named(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|set| set.name() == name)
    }

    fn names() -> String {
        Self::available().iter().map(|set| set.name()).collect::<Vec<_>>().join(", ")
    }

    /// As [`INSTRUCTION_SET_VARIABLE`] has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Numbers in a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => pulp::x86::V4::F32_LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => pulp::x86::V3::F32_LANES,
            Self::Portable => Portable::LANES,
        }
    }

    /// Vectors that are kept in registers.
    pub(crate) fn registers(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => pulp::x86::V4::REGISTER_COUNT,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => pulp::x86::V3::REGISTER_COUNT,
            Self::Portable => Portable::REGISTERS,
        }
    }

    /// Runs a kernel, compiled for this instruction set.
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => Simd::vectorize(simd, WithFound(kernel)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => Simd::vectorize(simd, WithFound(kernel)),
            Self::Portable => kernel.run(Portable),
        }
    }
}

/// A computation that is compiled once for each instruction set. All that it calls must be inlined into it.
pub(crate) trait Kernel {
    fn run<S: Vectors>(self, simd: S);
}

struct WithFound<K>(K);

impl<K: Kernel> WithSimd for WithFound<K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.run(Found(simd));
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_name_that_forces_it() {
        for set in InstructionSet::available() {
            assert_eq!(InstructionSet::named(set.name()).unwrap().name(), set.name());
        }
    }

    #[test]
    fn an_unknown_name_is_none() {
        assert!(InstructionSet::named("AVX2").is_none());
    }
}
