//! What this host is called by those who connect to it.

use std::net::{IpAddr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nodeglass_runtime::tls::authority::Names;
use tracing::debug;

/// `localhost` and the loopback addresses, the host's name, the host that agents are told, and the address that is
/// listened on, which may be all of the host's.
pub(super) fn of_this_host(listen: SocketAddr, public_host: Option<&str>) -> Names {
    let mut names = Names::local();
    let mut add = |name: &str| {
        if let Err(error) = names.add(name) {
            debug!(%error, "left out of the certificate");
        }
    };
    public_host.into_iter().for_each(&mut add);
    add(&rustix::system::uname().nodename().to_string_lossy());
    let listen = listen.ip().to_canonical();
    if listen.is_unspecified() {
        addresses().for_each(|address| add(&address.to_string()));
    } else {
        add(&listen.to_string());
    }
    names
}

/// The addresses of this host's interfaces by which other hosts may know it.
fn addresses() -> impl Iterator<Item = IpAddr> {
    let interfaces = getifaddrs().inspect_err(|error| debug!(%error, "the host's addresses are not known"));
    interfaces.into_iter().flatten().filter_map(|interface| {
        let address = interface.address?;
        let address = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(v4), _) => IpAddr::V4(v4.ip()),
            (None, Some(v6)) => IpAddr::V6(v6.ip()),
            (None, None) => return None,
        };
        let is_of_one_link = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        (!address.is_loopback() && !is_of_one_link).then_some(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_this_host_is_among_them() {
        let named = |listen: &str, public| format!("{:?}", of_this_host(listen.parse().unwrap(), public));
        let all = named("0.0.0.0:1", Some("monitor.example.org"));
        for address in addresses() {
            assert!(all.contains(&address.to_string()), "{address} in {all}");
        }
        for name in ["localhost", "127.0.0.1", "::1", "monitor.example.org"] {
            assert!(all.contains(name), "{name} in {all}");
        }
        assert!(named("192.0.2.9:1", None).contains("192.0.2.9"));
        assert!(named("[::ffff:192.0.2.9]:1", None).contains("\"192.0.2.9\""));
    }
}
