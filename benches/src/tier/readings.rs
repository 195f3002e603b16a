//! Readings of sensors: a hundred bytes each, of which some repeat, some creep and some are noise, as in what sensors send.

/// Sensors that send one reading a round.
pub const SENSORS: u64 = 1_000;
/// Days in a full run; the last is what is asked for all the time.
pub const DAYS: u64 = 35;

/// A reading, a function of its number.
pub struct Reading {
    /// Ascends; every other number is left out.
    pub id: i64,
    /// Seconds.
    pub at: i64,
    /// Which sensor sent it.
    pub sensor: i64,
    /// Degrees.
    pub temperature: f64,
    /// Percent.
    pub humidity: f64,
    /// Hectopascals.
    pub pressure: f64,
    /// Volts.
    pub battery: f64,
    /// What the sensor says of itself.
    pub status: &'static str,
    /// Where it hangs.
    pub place: String,
}

/// A well mixed function of `x` (splitmix64).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// From 0 to 1, in thousandths.
fn thousandths(noise: u64) -> f64 {
    (noise % 1_000) as f64 / 1_000.0
}

impl Reading {
    /// The `n`th that came.
    pub fn new(n: u64) -> Reading {
        let (round, sensor, noise) = (n / SENSORS, n % SENSORS, mix(n));
        let status = match noise >> 57 {
            0 => "calibrating",
            1 | 2 => "weak signal",
            _ => "ok",
        };
        Reading {
            id: Reading::id_of(n),
            at: 1_700_000_000 + round as i64 * 300,
            sensor: sensor as i64,
            temperature: 18.0 + sensor as f64 / 100.0 + thousandths(noise),
            humidity: 40.0 + thousandths(noise >> 10) * 10.0,
            pressure: 1_000.0 + thousandths(noise >> 20) * 20.0,
            battery: 3.0 + thousandths(noise >> 30),
            status,
            place: format!(
                "site {}, hall {}, rack {:03}, device {:016x}",
                sensor / 250,
                sensor / 50,
                sensor % 50,
                mix(sensor)
            ),
        }
    }

    /// The number of the `n`th; those one above are nobody's.
    pub fn id_of(n: u64) -> i64 {
        n as i64 * 2
    }

    /// As a key of bytes that ascends with the number.
    pub fn key_of(n: u64) -> [u8; 8] {
        (n * 2).to_be_bytes()
    }

    /// A key that no reading has, after that of the `n`th.
    pub fn absent_key(n: u64) -> [u8; 8] {
        (n * 2 + 1).to_be_bytes()
    }

    /// All but the number, as one writes it for a map of bytes.
    pub fn value(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(112);
        for number in [self.at, self.sensor] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.temperature, self.humidity, self.pressure, self.battery] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for text in [self.status, &self.place] {
            bytes.push(text.len() as u8);
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

/// So many readings a run of this scale has: ten million at 1.
pub fn rows_at(scale: f64) -> u64 {
    ((10_000_000.0 * scale) as u64 / SENSORS * SENSORS).max(20 * SENSORS)
}

/// The `i`th number of a sequence that visits `0..n` in no order.
pub fn pick(i: u64, n: u64) -> u64 {
    ((u128::from(mix(i)) * u128::from(n)) >> 64) as u64
}
