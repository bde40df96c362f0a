//! The same code for two kinds of processor.

/// Which instructions the kernels may use. Results do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instructions {
    avx2: bool,
}

impl Instructions {
    /// What every processor of the target has.
    pub(super) const BASELINE: Self = Self { avx2: false };

    /// The widest that this processor has.
    pub(super) fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        let avx2 = std::arch::is_x86_feature_detected!("avx2");
        #[cfg(not(target_arch = "x86_64"))]
        let avx2 = false;
        Self { avx2 }
    }

    /// Whether this processor has AVX2: there is no other way to a `true`.
    pub(super) fn avx2(self) -> bool {
        self.avx2
    }
}

/// Compiles a function for the baseline and for AVX2; [`Instructions`], the first argument, chooses.
macro_rules! compiled_twice {
    ($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        pub(super) fn $name(instructions: super::instructions::Instructions, $($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn portable($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn wide($($arg: $type),*) $(-> $result)? {
                portable($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            if instructions.avx2() {
                // SAFETY: the processor has AVX2, or there were no such `Instructions`.
                return unsafe { wide($($arg),*) };
            }
            portable($($arg),*)
        }
    };
}

pub(super) use compiled_twice;
