//! Cache lines that will be needed soon, asked for before they are.

#![allow(unsafe_code, reason = "a prefetch takes a pointer")]

/// The length of a cache line. Pages begin at the start of one.
pub(crate) const LINE: usize = 64;

/// Lets some lines from `at` on come near. Reads nothing, so that any address will do.
#[inline(always)]
pub(crate) fn prefetch(at: *const u8, lines: usize) {
    #[cfg(target_arch = "x86_64")]
    ask::<{ std::arch::x86_64::_MM_HINT_T0 }>(at, lines);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, lines);
}

/// As [`prefetch`], into a cache behind the nearest, which has little room.
#[inline]
pub(crate) fn prefetch_far(at: *const u8, lines: usize) {
    #[cfg(target_arch = "x86_64")]
    ask::<{ std::arch::x86_64::_MM_HINT_T1 }>(at, lines);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, lines);
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn ask<const HINT: i32>(at: *const u8, lines: usize) {
    for line in 0..lines {
        // SAFETY: a prefetch is a hint: it has no effect on what the program can see, whatever the address.
        unsafe { std::arch::x86_64::_mm_prefetch::<HINT>(at.wrapping_add(line * LINE).cast()) };
    }
}
