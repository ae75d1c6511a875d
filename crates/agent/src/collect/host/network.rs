//! Network devices and sockets, from the texts of the kernel.

use super::Put;

const RECEIVE: [&str; 4] = ["bytes", "packets", "errs", "drop"];

/// `/proc/net/dev`.
pub fn devices(text: &str, put: &mut Put<'_>) {
    let mut name = String::new();
    for line in text.lines() {
        let Some((device, rest)) = line.rsplit_once(':') else { continue };
        let device = device.trim();
        // Eight columns of what is received, then as many of what is sent.
        for (i, word) in rest.split_ascii_whitespace().take(16).enumerate() {
            let way = if i < 8 { "receive" } else { "transmit" };
            let Some(what) = RECEIVE.get(i % 8) else { continue };
            let Ok(value) = word.parse() else { continue };
            name.clear();
            for part in ["node_network_", way, "_", what, "_total"] {
                name.push_str(part);
            }
            put(&name, &[("device", device)], value);
        }
    }
}

/// `/proc/net/sockstat`.
pub fn sockets(text: &str, put: &mut Put<'_>) {
    let mut name = String::new();
    for line in text.lines() {
        let Some((protocol, rest)) = line.split_once(':') else { continue };
        if !matches!(protocol, "sockets" | "TCP" | "UDP") {
            continue;
        }
        let mut words = rest.split_ascii_whitespace();
        while let (Some(what), Some(value)) = (words.next(), words.next()) {
            let Ok(value) = value.parse() else { continue };
            name.clear();
            for part in ["node_sockstat_", protocol, "_", what] {
                name.push_str(part);
            }
            put(&name, &[], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::host::tests::told;

    #[test]
    fn devices_are_told_in_both_directions() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n\
                    \x20 eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
        let lines = told(|put| devices(text, put));
        assert_eq!(lines.len(), 8);
        assert_eq!(lines[0], "node_network_receive_bytes_total{device=eth0} 1");
        assert_eq!(lines[3], "node_network_receive_drop_total{device=eth0} 4");
        assert_eq!(lines[4], "node_network_transmit_bytes_total{device=eth0} 9");
    }

    #[test]
    fn sockets_are_told() {
        let text = "sockets: used 290\nTCP: inuse 10 orphan 0 tw 3\nRAW: inuse 1\n";
        assert_eq!(
            told(|put| sockets(text, put)),
            [
                "node_sockstat_sockets_used{} 290",
                "node_sockstat_TCP_inuse{} 10",
                "node_sockstat_TCP_orphan{} 0",
                "node_sockstat_TCP_tw{} 3",
            ]
        );
    }
}
