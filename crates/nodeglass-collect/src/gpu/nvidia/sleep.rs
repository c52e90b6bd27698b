//! Which NVIDIA GPUs are in runtime suspend, where a call to the driver would wake them.

use std::fmt;
use std::fs;
use std::path::Path;

/// Where a GPU is on the PCI bus. Its function is always 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PciAddress {
    pub(super) domain: u32,
    pub(super) bus: u32,
    pub(super) device: u32,
}

impl PciAddress {
    /// Reads `0000:01:00.0`; `None` for anything else.
    fn parse(text: &str) -> Option<Self> {
        let (address, _function) = text.split_once('.')?;
        let mut numbers = address
            .split(':')
            .map(|digits| u32::from_str_radix(digits, 16).ok());
        let (domain, bus, device) = (numbers.next()??, numbers.next()??, numbers.next()??);
        numbers.next().is_none().then_some(Self { domain, bus, device })
    }
}

/// As NVML writes it.
impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}:{:02X}:{:02X}.0", self.domain, self.bus, self.device)
    }
}

/// The GPUs that the driver has, by whether they sleep. Both are empty where the host does not show it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Bus {
    pub(super) awake: Vec<PciAddress>,
    pub(super) asleep: Vec<PciAddress>,
}

/// Source: `/sys/bus/pci/drivers/nvidia/*/power/runtime_status`, which the kernel answers without waking anything. A GPU
/// whose state can't be read counts as awake.
pub(super) fn read_bus(host_root: &Path) -> Bus {
    let mut bus = Bus::default();
    let Ok(entries) = fs::read_dir(host_root.join("sys/bus/pci/drivers/nvidia")) else {
        return bus;
    };
    for entry in entries.flatten() {
        let Some(address) = entry.file_name().to_str().and_then(PciAddress::parse) else {
            continue;
        };
        let state = fs::read(entry.path().join("power/runtime_status")).unwrap_or_default();
        // One that is on its way to sleep would be called back.
        if matches!(state.trim_ascii(), b"suspended" | b"suspending") {
            bus.asleep.push(address);
        } else {
            bus.awake.push(address);
        }
    }
    bus
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(domain: u32, bus: u32, device: u32) -> PciAddress {
        PciAddress { domain, bus, device }
    }

    #[test]
    fn addresses_are_read_and_written() {
        assert_eq!(PciAddress::parse("0000:c1:1f.0"), Some(address(0, 0xc1, 0x1f)));
        assert_eq!(PciAddress::parse("10000:01:00.0"), Some(address(0x10000, 1, 0)));
        assert_eq!(address(0x10000, 0xc1, 0x1f).to_string(), "00010000:C1:1F.0");
        for other in [
            "module",
            "uevent",
            "new_id",
            "0000:01",
            "0000:01:00",
            "0:0:0:0.0",
            "x:y:z.0",
        ] {
            assert_eq!(PciAddress::parse(other), None, "{other}");
        }
    }

    #[test]
    fn gpus_are_told_apart_by_their_state() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(
            read_bus(root.path()),
            Bus::default(),
            "no driver is not a sleeping one"
        );
        let driver = root.path().join("sys/bus/pci/drivers/nvidia");
        for (device, state) in [
            ("0000:01:00.0", "suspended\n"),
            ("0000:02:00.0", "active\n"),
            ("0000:03:00.0", "suspending\n"),
        ] {
            fs::create_dir_all(driver.join(device).join("power")).unwrap();
            fs::write(driver.join(device).join("power/runtime_status"), state).unwrap();
        }
        fs::create_dir_all(driver.join("0000:04:00.0")).unwrap();
        fs::write(driver.join("new_id"), "").unwrap();
        let mut bus = read_bus(root.path());
        bus.awake.sort_by_key(|address| address.bus);
        bus.asleep.sort_by_key(|address| address.bus);
        assert_eq!(bus.awake, [address(0, 2, 0), address(0, 4, 0)]);
        assert_eq!(bus.asleep, [address(0, 1, 0), address(0, 3, 0)]);
    }

    proptest! {
        #[test]
        fn any_name_can_be_parsed(name: String) {
            let _ = PciAddress::parse(&name);
        }
    }
}
