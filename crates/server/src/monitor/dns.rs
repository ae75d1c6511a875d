//! Asking one name server for the addresses of a name: one question in one datagram. What comes
//! back may be anything; it is read with bounds and without following pointers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

const A: u16 = 1;
const AAAA: u16 = 28;
const INTERNET: u16 = 1;
/// The longest answer that is read; servers send 512 bytes to those who do not ask for more.
const LONGEST: usize = 4096;
/// A question that is not answered is put again after this time.
const AGAIN: Duration = Duration::from_secs(1);
/// So many answers that are not to our question are left alone.
const MOST_STRAY: usize = 64;

/// The addresses of a name, of both families; asks until it is answered.
pub(super) async fn resolve(name: &str, server: &str) -> Result<BTreeSet<IpAddr>, String> {
    let server = if has_port(server) { server.to_owned() } else { format!("{server}:53") };
    let (v4, v6) = tokio::try_join!(ask(name, &server, A), ask(name, &server, AAAA))?;
    Ok(v4.into_iter().chain(v6).collect())
}

fn has_port(server: &str) -> bool {
    let bare_v6 = server.parse::<Ipv6Addr>().is_ok();
    !bare_v6 && server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

async fn ask(name: &str, server: &str, kind: u16) -> Result<Vec<IpAddr>, String> {
    let wrong = |e: std::io::Error| format!("asking {server}: {e}");
    let address = tokio::net::lookup_host(server).await.map_err(wrong)?.next();
    let address = address.ok_or_else(|| format!("{server} has no address"))?;
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Connected, so that only what comes from there is received.
    let socket = UdpSocket::bind((any, 0)).await.map_err(wrong)?;
    socket.connect(address).await.map_err(wrong)?;
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|e| format!("no random number: {e}"))?;
    let question = question(id, name, kind)?;
    let mut answer = vec![0; LONGEST];
    loop {
        socket.send(&question).await.map_err(wrong)?;
        let received = tokio::time::timeout(AGAIN, async {
            for _ in 0..MOST_STRAY {
                let count = socket.recv(&mut answer).await.map_err(wrong)?;
                if let Some(read) = read(&answer[..count], &question, kind) {
                    return read;
                }
            }
            Err(format!("{server} sends answers to other questions"))
        });
        // Without an answer it is asked again, until the time of the probe is over.
        if let Ok(read) = received.await {
            return read;
        }
    }
}

/// One question, with recursion asked for.
fn question(id: [u8; 2], name: &str, kind: u16) -> Result<Vec<u8>, String> {
    let mut bytes = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let bare = name.strip_suffix('.').unwrap_or(name);
    for label in bare.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|l| (1..=63).contains(l));
        let Some(length) = length.filter(|_| label.is_ascii() && bare.len() <= 253) else {
            return Err(format!("{name:?} is not a name that can be asked for"));
        };
        bytes.push(length);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&INTERNET.to_be_bytes());
    Ok(bytes)
}

/// Reads an answer; none, if it is to another question. Damaged records end the reading.
fn read(answer: &[u8], question: &[u8], kind: u16) -> Option<Result<Vec<IpAddr>, String>> {
    let header = answer.get(..12)?;
    let asked = answer.get(12..question.len())?;
    let is_answer = header[2] & 0x80 != 0 && header[4..6] == [0, 1];
    if header[..2] != question[..2] || !is_answer || !asked.eq_ignore_ascii_case(&question[12..]) {
        return None;
    }
    match header[3] & 0x0f {
        0 => {}
        3 => return Some(Err("there is no such name".to_owned())),
        code => return Some(Err(format!("the name server answers with error {code}"))),
    }
    let count = usize::from(u16::from_be_bytes([header[6], header[7]]));
    let mut found = Vec::new();
    let mut rest = &answer[question.len()..];
    // A record has 11 bytes at least, so the number it claims costs nothing.
    for _ in 0..count {
        let Some((address, after)) = record(rest, kind) else { break };
        found.extend(address);
        rest = after;
    }
    Some(Ok(found))
}

/// The address a record holds, if it is of that kind, and what follows it.
fn record(bytes: &[u8], wanted: u16) -> Option<(Option<IpAddr>, &[u8])> {
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            0 => break at += 1,
            length @ 1..=63 => at += usize::from(length) + 1,
            // A pointer ends a name; where it leads does not matter here.
            0xc0.. => break at += 2,
            _ => return None,
        }
    }
    let fixed: &[u8; 10] = bytes.get(at..)?.first_chunk()?;
    let number = |i: usize| u16::from_be_bytes([fixed[i], fixed[i + 1]]);
    let (kind, class, length) = (number(0), number(2), usize::from(number(8)));
    let data = bytes.get(at + 10..at + 10 + length)?;
    let address = match (kind, length) {
        (A, 4) => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
        (AAAA, 16) => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        _ => None,
    };
    Some((address.filter(|_| kind == wanted && class == INTERNET), &bytes[at + 10 + length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An alias and two addresses, as name servers write them.
    fn answer(question: &[u8]) -> Vec<u8> {
        let mut bytes = question.to_vec();
        bytes[2] = 0x81;
        bytes[3] = 0x80;
        bytes[7] = 3;
        bytes.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'x', 0xc0, 14]);
        for last in [1, 2] {
            bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, last]);
        }
        bytes
    }

    #[test]
    fn addresses_are_read_past_an_alias() {
        let asked = question([1, 2], "shop.Example.", A).unwrap();
        let mut told = answer(&asked);
        let found = read(&told, &asked, A).unwrap().unwrap();
        assert_eq!(found, ["10.0.0.1", "10.0.0.2"].map(|a| a.parse::<IpAddr>().unwrap()));
        assert!(read(&told, &asked, AAAA).is_some_and(|found| found == Ok(Vec::new())));
        told[3] = 0x83;
        assert!(read(&told, &asked, A).unwrap().is_err());
        told[1] = 9;
        assert!(read(&told, &asked, A).is_none(), "it is to another question");
    }

    #[test]
    fn damaged_answers_do_no_harm() {
        let asked = question([1, 2], "shop.example", A).unwrap();
        let whole = answer(&asked);
        for end in 0..whole.len() {
            assert!(read(&whole[..end], &asked, A) != read(&whole, &asked, A), "cut at {end}");
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 0x3f, 0x40, 0xc0, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                if let Some(Ok(found)) = read(&damaged, &asked, A) {
                    // The alias read as an address is one more; there are no more records.
                    assert!(found.len() <= 3, "{at} {byte}");
                }
            }
        }
        // A pointer that leads to itself, and more records than there are.
        let mut endless = whole[..asked.len()].to_vec();
        (endless[6], endless[7]) = (0xff, 0xff);
        endless.extend([0xc0, asked.len() as u8, 0, 1]);
        assert_eq!(read(&endless, &asked, A).unwrap().unwrap(), [] as [IpAddr; 0]);
    }

    #[test]
    fn names_that_cannot_be_asked_for_are_refused() {
        for name in ["", "a..b", &"x".repeat(64), &"abc.".repeat(80), "straße.example"] {
            assert!(question([0, 0], name, A).is_err(), "{name}");
        }
        assert!(has_port("10.0.0.1:53") && has_port("[::1]:53") && has_port("ns:5353"));
        assert!(!has_port("10.0.0.1") && !has_port("::1") && !has_port("ns"));
    }
}
