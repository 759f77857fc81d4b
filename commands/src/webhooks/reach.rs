//! Which addresses webhooks may have.
//!
//! Whoever may subscribe makes HishamOS send requests from inside a company's network. So only addresses of the open
//! internet are reached, unless the configuration names others, and every address is looked at right before it is
//! connected to (the part that connects asks [`Reach::allows`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// Where webhooks may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Whether `http` is allowed beside `https`.
    pub insecure_http: bool,
    /// Networks that are allowed although they are not of the open internet.
    pub networks: Vec<IpNet>,
}

/// IPv4 that is not of the open internet: IANA's special-purpose registry, multicast, and what is reserved.
static CLOSED_V4: LazyLock<Vec<Ipv4Net>> = LazyLock::new(|| {
    let nets = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 4),
        ([240, 0, 0, 0], 4),
    ];
    nets.map(|(address, length)| Ipv4Net::new_assert(Ipv4Addr::from(address), length)).into()
});

/// Of IPv6 only 2000::/3 is in use; these parts of it are not of the open internet, or lead into IPv4.
static CLOSED_V6: LazyLock<Vec<Ipv6Net>> = LazyLock::new(|| {
    let nets: [(u16, u16, u8); 5] =
        [(0x2001, 0, 23), (0x2001, 0xdb8, 32), (0x2002, 0, 16), (0x3fff, 0, 20), (0x2620, 0x4f, 48)];
    let net = |(first, second, length)| {
        let third = if first == 0x2620 { 0x8000 } else { 0 };
        Ipv6Net::new_assert(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0), length)
    };
    nets.map(net).into()
});

impl Reach {
    /// Checks a URL as far as that is possible without asking anybody for its address.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn check(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|error| format!("`url` is no URL: {error}"))?;
        match url.scheme() {
            "https" => {}
            "http" if self.insecure_http => {}
            "http" => {
                return Err(
                    "`url` must begin with https://; `webhooks.insecure_http` of the configuration allows http \
                            for tests"
                        .to_owned(),
                );
            }
            other => return Err(format!("`url` must begin with https://, not with {other}:")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("`url` must hold no name and no password; what is sent is signed instead".to_owned());
        }
        if url.fragment().is_some() {
            return Err("`url` must have no part behind `#`; it would not be sent".to_owned());
        }
        let address = match url.host() {
            None => return Err("`url` must name a host".to_owned()),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        };
        match address {
            Some(address) if !self.allows(address) => Err(closed(address)),
            _ => Ok(url),
        }
    }

    /// Whether an address may be connected to.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = plain(address);
        self.networks.iter().any(|net| net.contains(&address)) || is_open(address)
    }
}

/// Why an address is not connected to.
#[must_use]
pub fn closed(address: IpAddr) -> String {
    format!(
        "{address} is not an address of the open internet; `webhooks.networks` of the configuration names further \
         networks that may be reached"
    )
}

/// IPv4 in the clothes of IPv6 counts as what it is.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
    }
}

fn is_open(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !CLOSED_V4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) => {
            // RFC 6052: a translator leads from here to the IPv4 address in the last four bytes.
            let [a, b, c, d, e, f, high, low] = v6.segments();
            if [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] {
                let [[w, x], [y, z]] = [high.to_be_bytes(), low.to_be_bytes()];
                return is_open(IpAddr::V4(Ipv4Addr::new(w, x, y, z)));
            }
            (a & 0xe000) == 0x2000 && !CLOSED_V6.iter().any(|net| net.contains(&v6))
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn open(text: &str) -> bool {
        Reach::default().allows(text.parse().unwrap())
    }

    #[test]
    fn only_the_open_internet_is_reached() {
        for address in
            ["1.1.1.1", "93.184.216.34", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101"]
        {
            assert!(open(address), "{address}");
        }
        let closed = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for address in closed {
            assert!(!open(address), "{address}");
        }
    }

    #[test]
    fn named_networks_are_reached_in_every_notation() {
        let reach = Reach { networks: vec!["127.0.0.0/8".parse().unwrap()], ..Reach::default() };
        assert!(reach.allows("127.0.0.1".parse().unwrap()));
        assert!(reach.allows("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!reach.allows("10.0.0.1".parse().unwrap()) && !reach.allows("::1".parse().unwrap()));
    }

    #[test]
    fn urls_are_checked_before_anybody_is_asked() {
        let strict = Reach::default();
        assert!(strict.check("https://hooks.example/x?y=1").is_ok());
        let refused = [
            ("http://hooks.example/", "https://"),
            ("ftp://hooks.example/", "not with ftp:"),
            ("hooks.example", "no URL"),
            ("https://u:p@hooks.example/", "no name and no password"),
            ("https://hooks.example/#part", "behind `#`"),
            ("https://127.0.0.1/", "open internet"),
            ("https://2130706433/", "127.0.0.1 is not"),
            ("https://0x7f.1/", "127.0.0.1 is not"),
            ("https://[::1]/", "open internet"),
            ("https://[::ffff:10.0.0.1]/", "open internet"),
        ];
        for (url, what) in refused {
            let error = strict.check(url).unwrap_err();
            assert!(error.contains(what), "{url}: {error}");
        }
        let lax = Reach { insecure_http: true, networks: vec!["127.0.0.0/8".parse().unwrap()] };
        assert!(lax.check("http://127.0.0.1:9999/x").is_ok());
    }
}
