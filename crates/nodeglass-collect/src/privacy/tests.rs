//! Each kind is kept, hashed or left out, everywhere it stands, and only that kind.

use nodeglass_model::sample::{ContainerMetrics, DiskMetrics, ProcessEntry, TaskProcessMetrics};
use nodeglass_model::system::{DiskInfo, NetworkInterface, SystemHardware, SystemSoftware};

use super::*;

const KEY: &str = "key";

fn privacy(treatment: Treatment) -> Privacy {
    let privacy = Privacy::new(PrivacyRules {
        addresses: treatment,
        host_names: treatment,
        mac_addresses: treatment,
        user_names: treatment,
        command_lines: treatment,
    });
    privacy.set_key(KEY);
    privacy
}

fn sample() -> Sample {
    let mut sample = Sample::default();
    sample.processes.top.push(ProcessEntry {
        pid: 42,
        name: "db".into(),
        command: "db --run".into(),
        user: "alice".into(),
        ..Default::default()
    });
    sample.processes.task_processes.push(TaskProcessMetrics {
        task_id: "nightly".into(),
        command: "backup /home".into(),
        ..Default::default()
    });
    for device in [
        "/dev/sda1",
        "nas.lan:/export",
        "10.1.2.3:/export",
        "//nas-07/share",
    ] {
        sample.disks.push(DiskMetrics {
            device: device.into(),
            ..Default::default()
        });
    }
    for image in ["registry.lan:5000/app:1", "app:1", "library/app"] {
        sample.containers.push(ContainerMetrics {
            image: image.into(),
            ..Default::default()
        });
    }
    sample
}

fn system() -> SystemInfo {
    SystemInfo {
        hardware: Some(SystemHardware {
            disks: vec![DiskInfo {
                device: "nas.lan:/export".into(),
                ..Default::default()
            }],
            ..Default::default()
        }),
        software: Some(SystemSoftware {
            hostname: "web-01".into(),
            ..Default::default()
        }),
        network_interfaces: Some(vec![NetworkInterface {
            name: "eth0".into(),
            mac_address: Some("02:fc:00:00:00:01".into()),
            ip_addresses: vec!["10.9.8.7".into(), "fe80::1".into()],
            ..Default::default()
        }]),
        ..Default::default()
    }
}

const TEXTS: [&str; 9] = [
    "alice",
    "db --run",
    "backup",
    "nas.lan",
    "10.1.2.3",
    "nas-07",
    "registry.lan",
    "web-01",
    "10.9.8.7",
];

fn shown(privacy: &Privacy) -> (Sample, SystemInfo, String) {
    let (mut sample, mut system) = (sample(), system());
    privacy.treat(&mut sample);
    privacy.treat_system(&mut system);
    let text = format!("{sample:?} {system:?}");
    (sample, system, text)
}

#[test]
fn what_is_kept_is_as_it_was() {
    let (treated, described, _) = shown(&privacy(Treatment::Keep));
    assert_eq!((treated, described), (sample(), system()));
}

#[test]
fn what_is_left_out_is_nowhere() {
    let (sample, system, text) = shown(&privacy(Treatment::Omit));
    for gone in TEXTS.into_iter().chain(["02:fc", "fe80"]) {
        assert!(!text.contains(gone), "{gone} in {text}");
    }
    let devices: Vec<_> = sample.disks.iter().map(|disk| &*disk.device).collect();
    assert_eq!(devices, ["/dev/sda1", ":/export", ":/export", "///share"]);
    let images: Vec<_> = sample
        .containers
        .iter()
        .map(|container| &*container.image)
        .collect();
    assert_eq!(images, ["app:1", "app:1", "library/app"]);
    let interfaces = system.network_interfaces.unwrap();
    assert_eq!(
        (&interfaces[0].mac_address, interfaces[0].ip_addresses.len()),
        (&None, 0)
    );
    assert_eq!(
        sample.processes.top[0].name, "db",
        "a program's name is not what was asked for"
    );
}

#[test]
fn hashes_are_equal_for_equal_texts_under_one_key_and_tell_nothing() {
    let hashing = privacy(Treatment::Hash);
    let (sample, system, text) = shown(&hashing);
    for gone in TEXTS.into_iter().chain(["02:fc", "fe80"]) {
        assert!(!text.contains(gone), "{gone} in {text}");
    }
    let nas = hashing.show(Personal::HostName, "nas.lan").unwrap();
    assert_eq!(sample.disks[1].device, format!("{nas}:/export"));
    assert_eq!(system.hardware.unwrap().disks[0].device, sample.disks[1].device);
    // By openssl: printf 'host name\0nas.lan' | openssl dgst -sha256 -hmac key
    assert_eq!(nas, "#0d9fbf0151e234f5");
    let other = privacy(Treatment::Hash);
    assert_eq!(other.show(Personal::HostName, "nas.lan").unwrap(), nas);
    assert_ne!(other.show(Personal::UserName, "nas.lan").unwrap(), nas);
    assert!(other.set_key("another") && !other.set_key("another"));
    assert_ne!(other.show(Personal::HostName, "nas.lan").unwrap(), nas);
}

#[test]
fn without_a_key_what_is_to_be_hashed_is_left_out() {
    let keyless = Privacy::new(PrivacyRules {
        user_names: Treatment::Hash,
        ..Default::default()
    });
    assert!(keyless.needs_key() && !privacy(Treatment::Omit).needs_key());
    let (sample, _, text) = shown(&keyless);
    assert!(sample.processes.top[0].user.is_empty());
    assert!(
        text.contains("web-01") && text.contains("db --run"),
        "other kinds are kept"
    );
}

#[test]
fn treating_twice_is_treating_once() {
    let hashing = privacy(Treatment::Hash);
    let (once, described, _) = shown(&hashing);
    let (mut twice, mut again) = (once.clone(), described.clone());
    hashing.treat(&mut twice);
    hashing.treat_system(&mut again);
    assert_eq!((twice, again), (once, described));
    assert!(!format!("{hashing:?}").contains(KEY));
}

#[test]
fn devices_of_every_form_are_told_apart() {
    let omitting = privacy(Treatment::Omit);
    for (device, wanted) in [
        ("tmpfs", "tmpfs"),
        ("/dev/mapper/a:/b", "/dev/mapper/a:/b"),
        ("[fe80::1]:/export", ":/export"),
        ("bob@shell.lan:", "@:"),
        ("bob@shell.lan:/home", "@:/home"),
        ("//10.0.0.1/c$", "///c$"),
        ("//nas-07", "//"),
        ("tank/data:old", "tank/data:old"),
        ("10.0.0.1:6789,10.0.0.2:6789:/", ":6789,:6789:/"),
        ("[fe80::1]:6789,[fe80::2]:6789:/", ":6789,:6789:/"),
        ("10.0.0.1@tcp:10.0.0.2@o2ib1:/fs", "@tcp:@o2ib1:/fs"),
        ("admin@cluster.fs=/", "@=/"),
    ] {
        let mut treated = device.to_owned();
        omitting.treat_device(&mut treated);
        assert_eq!(treated, wanted, "{device}");
    }
}
