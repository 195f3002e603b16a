//! Cache lines that will be needed soon, asked for before they are.

#![allow(unsafe_code, reason = "a prefetch takes a pointer")]

/// The length of a cache line. Pages begin at the start of one.
pub(crate) const LINE: usize = 64;

/// Lets some lines from `at` on come into a cache behind the nearest, which has little room.
#[inline]
pub(crate) fn prefetch_far(at: *const u8, lines: usize) {
    // SAFETY: as below.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        for line in 0..lines {
            _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(line * LINE).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, lines);
}

/// Lets some lines from `at` on come near. Reads nothing, so that any address will do.
#[inline(always)]
pub(crate) fn prefetch(at: *const u8, lines: usize) {
    // SAFETY: a prefetch is a hint: it has no effect on what the program can see, whatever the address.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        for line in 0..lines {
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(line * LINE).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, lines);
}
