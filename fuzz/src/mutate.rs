//! Changes an input a little: bits, bytes, numbers at the ends of their ranges, pieces moved, words of SQL.

use fastrand::Rng;

/// The longest input.
const MAX: usize = 8 << 10;

const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// A changed copy. `other` is another input, to take pieces from; `words` are put in, where there are any.
pub fn mutate(random: &mut Rng, input: &[u8], other: &[u8], words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 << random.u32(..4) {
        change(random, &mut bytes, other, words);
    }
    bytes.truncate(MAX);
    bytes
}

fn change(random: &mut Rng, bytes: &mut Vec<u8>, other: &[u8], words: &[Vec<u8>]) {
    let at = random.usize(..=bytes.len());
    let len = random.usize(..16).min(bytes.len() - at);
    match random.u8(..if words.is_empty() { 9 } else { 14 }) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.u8(..8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.u8(..);
            }
        }
        2 => drop(bytes.drain(at..at + len)),
        3 => {
            let piece = bytes[at..at + len].to_vec();
            let to = random.usize(..=bytes.len());
            bytes.splice(to..to, piece);
        }
        4 => {
            let number = NUMBERS[random.usize(..NUMBERS.len())].to_le_bytes();
            let width = (1 << random.u32(..4)).min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&number[..width]);
        }
        5 if !other.is_empty() => {
            let from = random.usize(..other.len());
            let piece = &other[from..(from + random.usize(..64)).min(other.len())];
            bytes.splice(at..at, piece.iter().copied());
        }
        6 => bytes.truncate(at),
        7 => {
            let many = random.usize(..64);
            let byte = random.u8(..);
            bytes.splice(at..at, std::iter::repeat_n(byte, many));
        }
        8 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = byte.wrapping_add(random.u8(..5)).wrapping_sub(2);
            }
        }
        // There is no other input to take a piece of.
        5 => {}
        _ => {
            let word = &words[random.usize(..words.len())];
            bytes.splice(at..at + len.min(random.usize(..8)), word.iter().copied());
        }
    }
}
