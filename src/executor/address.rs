//! Which addresses are never called.
//!
//! Link-local addresses are where clouds hand out a machine's credentials to whoever asks from that
//! machine, and a client of Ksana must not ask through it. The same IPv4 address written in IPv6 is
//! the same address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata services that clouds put at a unique-local IPv6 address: AWS's and Google's.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// The addresses that may be called, in order; an error where there are only others.
pub(super) fn allowed(host: &str, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, String> {
    let callable: Vec<_> = addresses.iter().copied().filter(|&address| !is_refused(address)).collect();
    match (callable.is_empty(), addresses.first()) {
        (true, Some(&first)) => Err(refusal(host, first)),
        _ => Ok(callable),
    }
}

/// Why a host is not called.
pub(super) fn refusal(host: &str, address: IpAddr) -> String {
    format!("refused: {host} is at {address}, and link-local and metadata addresses are not called")
}

/// Whether an address is link-local or a metadata service, in whatever spelling.
pub(super) fn is_refused(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || METADATA_V6.contains(&v6)
                || embedded_v4(v6).is_some_and(|v4| v4.is_link_local())
        }
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, translated (NAT64, with its
/// local-use prefix) or 6to4.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [s0, s1, s2, .., s6, s7] = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..]
        | [0x64, 0xff9b, 1, ..] => Some(v4(s6, s7)),
        _ if s0 == 0x2002 => Some(v4(s1, s2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_is_refused_in_every_spelling() {
        let check = |text: &str, refused: bool| {
            assert_eq!(is_refused(text.parse().expect(text)), refused, "{text}");
        };
        check("169.254.169.254", true);
        check("169.254.0.0", true);
        check("169.254.255.255", true);
        check("169.253.255.255", false);
        check("169.255.0.0", false);
        check("127.0.0.1", false);
        check("10.0.0.1", false);
        check("fe80::1", true);
        check("febf::1", true);
        check("fec0::1", false);
        check("::1", false);
        check("::", false);
        check("::ffff:169.254.169.254", true);
        check("::ffff:127.0.0.1", false);
        check("::169.254.169.254", true);
        check("::ffff:0:169.254.169.254", true);
        check("64:ff9b::a9fe:a9fe", true);
        check("64:ff9b::a00:1", false);
        check("64:ff9b:1::a9fe:a9fe", true);
        check("2002:a9fe:a9fe::1", true);
        check("2002:a00:1::1", false);
        check("fd00:ec2::254", true);
        check("fd00:ec2::253", false);
        check("fd20:ce::254", true);
        check("2001:db8::a9fe:a9fe", false);
    }

    #[test]
    fn a_name_is_refused_only_if_all_its_addresses_are() {
        let [good, bad]: [IpAddr; 2] = ["10.0.0.1", "169.254.169.254"].map(|text| text.parse().expect(text));
        assert_eq!(allowed("h", &[bad, good]), Ok(vec![good]));
        assert_eq!(allowed("h", &[]), Ok(vec![]));
        let error = allowed("h", &[bad, bad]).expect_err("all are link-local");
        assert!(error.starts_with("refused: h is at 169.254.169.254"), "{error}");
    }
}
