//! How full the volume of a broker is.
//!
//! Kafka's client has no call for it, and this is the whole of the request: DescribeLogDirs (key 35, version 4,
//! KIP-827), for no topic at all, so that only the directories are described. Without TLS and SASL: for the broker that
//! the operator made.
//! Source: <https://kafka.apache.org/protocol.html>.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use tailrace_crds::pipeline::VolumeUse;

const LIMIT: Duration = Duration::from_secs(5);
/// Of an answer without topics. The longest path of a directory has 4096 bytes.
const MOST_BYTES: u32 = 64 << 10;
/// The request without its length: key, version, correlation, a client without a name, no tags; no topic, no tags.
const REQUEST: [u8; 13] = [0, 35, 0, 4, 0, 0, 0, 1, 0xff, 0xff, 0, 1, 0];

/// Asks the broker at this address.
///
/// # Errors
/// When it cannot be reached, or answers otherwise than a Kafka of version 3.3 or later.
pub fn volume(address: &str) -> io::Result<VolumeUse> {
    let addresses: Vec<_> = address.to_socket_addrs()?.collect();
    let first = addresses.first().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(first, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(&[&(REQUEST.len() as u32).to_be_bytes()[..], &REQUEST].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MOST_BYTES {
        return Err(unreadable());
    }
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer)?;
    read(&answer).ok_or_else(unreadable)
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the broker's answer says nothing of its volume")
}

/// Correlation, tags, throttle time, error, and the directories. Several on one broker are summed.
fn read(mut answer: &[u8]) -> Option<VolumeUse> {
    let answer = &mut answer;
    let (_correlation, _tags, _throttled, error) =
        (take::<4>(answer)?, take::<1>(answer)?, take::<4>(answer)?, take(answer)?);
    if i16::from_be_bytes(error) != 0 {
        return None;
    }
    // Lengths are one more than what they count, so that zero can mean none.
    let directories = varint(answer)?.checked_sub(1)?;
    let (mut used, mut capacity) = (0, 0);
    for _ in 0..directories {
        let error = i16::from_be_bytes(take(answer)?);
        let path = varint(answer)?.checked_sub(1)?;
        *answer = answer.get(path..)?;
        let topics = varint(answer)?;
        let [total, usable] = [take(answer)?, take(answer)?].map(i64::from_be_bytes);
        if (error, topics) != (0, 1) || take::<1>(answer)? != [0] || !(0..=total).contains(&usable) {
            return None;
        }
        (used, capacity) = (used + total - usable, capacity + total);
    }
    (directories > 0).then_some(VolumeUse { used_bytes: used, capacity_bytes: Some(capacity) })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

/// Seven bits a byte, the lowest first.
fn varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in [0, 7, 14, 21] {
        let [byte] = take(bytes)?;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(total: i64, usable: i64) -> Vec<u8> {
        let head = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 5];
        [&head[..], b"/log", &[1], &total.to_be_bytes(), &usable.to_be_bytes(), &[0, 0]].concat()
    }

    #[test]
    fn a_volume_is_as_full_as_the_broker_says() {
        let full = VolumeUse { used_bytes: 700, capacity_bytes: Some(1000) };
        assert_eq!(read(&answer(1000, 300)), Some(full));
        // What a broker does not know is -1.
        assert_eq!(read(&answer(-1, -1)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_volume_or_nothing(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&bytes);
            let sound = answer(1000, 300);
            let length = bytes.len().min(sound.len());
            bytes[..length / 2].copy_from_slice(&sound[..length / 2]);
            let _ = read(&bytes);
        }
    }
}
