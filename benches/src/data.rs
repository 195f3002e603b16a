//! The data of every run: keys and values that are functions of a number, so that whoever reads can check what it read.

/// Bytes of a key.
pub const KEY_LEN: usize = 24;
/// Bytes of a value: they look random, so that no engine gains by compressing them.
pub const VALUE_LEN: usize = 150;

/// A key.
pub type Key = [u8; KEY_LEN];
/// A value.
pub type Value = [u8; VALUE_LEN];

/// A well mixed function of `x` (splitmix64).
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn fill(bytes: &mut [u8], seed: u64) {
    for (i, chunk) in bytes.chunks_mut(8).enumerate() {
        let word = mix(seed.wrapping_add(i as u64)).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}

/// The key of entry `i`; keys of different `i` stand in no order.
pub fn key(i: u64) -> Key {
    let mut key = [0; KEY_LEN];
    fill(&mut key, mix(i ^ 0x6B65_7900_0000_0000));
    key
}

/// A key that no entry has.
pub fn absent(i: u64) -> Key {
    key(i | 1 << 40)
}

/// The key of entry `i` where keys ascend with `i`.
pub fn sorted_key(i: u64) -> Key {
    let mut key = key(i);
    key[..8].copy_from_slice(&i.to_be_bytes());
    key
}

/// The value of entry `i` after its `generation`th overwriting.
pub fn value(i: u64, generation: u64) -> Value {
    let mut value = [0; VALUE_LEN];
    fill(&mut value, mix(i.wrapping_add(generation << 48)));
    value
}

/// What is summed up over values read, so that the reads can neither be skipped nor go wrong unseen.
pub fn digest(value: &[u8]) -> u64 {
    match value.first_chunk::<8>() {
        Some(head) => u64::from_le_bytes(*head) ^ u64::from(value[value.len() - 1]),
        None => value.len() as u64,
    }
}

/// The `i`th number of a sequence that visits `0..n` in no order, with repetitions.
pub fn pick(i: u64, n: u64) -> u64 {
    ((u128::from(mix(i)) * u128::from(n)) >> 64) as u64
}
