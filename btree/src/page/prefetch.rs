//! Cache lines that will be needed soon, asked for before they are.

#![allow(unsafe_code, reason = "a prefetch takes a pointer")]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// The length of a cache line. Pages begin at the start of one.
pub(crate) const LINE: usize = 64;

/// Lets some lines from `at` on come near. Reads nothing, so that any address will do.
#[inline(always)]
pub(crate) fn prefetch(at: *const u8, lines: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..lines {
        // SAFETY: a prefetch is a hint: it has no effect on what the program can see, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(line * LINE).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, lines);
}
