//! What a host is, and what it takes for the time: `uname`, `os`, `dmi`, `time` and `timex`.

use nodeglass_model::{Clock, SystemClock, UnixMillis};
use tz::TimeZone;

use super::tree::Tree;
use super::{NoData, Outcome};
use crate::exposition::text::Exposition;
use crate::exposition::text::FamilyKind::{Counter, Gauge};
use crate::linux::clock::read_timex;
use crate::privacy::Personal;

const MILLISECONDS: f64 = 1e3;

/// What `uname` says, from where the kernel shows it, so that a container tells of its host.
pub(super) fn write_uname(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let own = rustix::system::uname();
    let mut kernel = |name: &str| tree.text(&format!("proc/sys/kernel/{name}"));
    let labels = [
        kernel("domainname"),
        kernel("arch").or_else(|| Some(own.machine().to_string_lossy().into_owned())),
        kernel("hostname"),
        kernel("osrelease"),
        kernel("ostype"),
        kernel("version"),
    ];
    let [
        Some(domain),
        Some(machine),
        Some(node),
        Some(release),
        Some(system),
        Some(version),
    ] = labels
    else {
        return Err(NoData);
    };
    let shown = |name| tree.privacy.show(Personal::HostName, name).unwrap_or_default();
    let labels = [
        ("domainname", &*shown(&domain)),
        ("machine", &machine),
        ("nodename", &shown(&node)),
        ("release", &release),
        ("sysname", &system),
        ("version", &version),
    ];
    let help = "Labeled system information as provided by the uname system call.";
    out.family("node_uname_info", Gauge, help).series(&labels, 1.0);
    Ok(())
}

/// The distribution: `os-release`.
pub(super) fn write_os(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    const LABELS: [&str; 12] = [
        "build_id",
        "id",
        "id_like",
        "image_id",
        "image_version",
        "name",
        "pretty_name",
        "variant",
        "variant_id",
        "version",
        "version_codename",
        "version_id",
    ];
    let release = tree
        .text("etc/os-release")
        .or_else(|| tree.text("usr/lib/os-release"))
        .ok_or(NoData)?;
    let value = |label: &str| {
        let key = label.to_ascii_uppercase();
        let value = release
            .lines()
            .find_map(|line| line.strip_prefix(&key)?.strip_prefix('='));
        unquote(value.unwrap_or_default())
    };
    let values = LABELS.map(value);
    let labels: Vec<(&str, &str)> = LABELS
        .into_iter()
        .zip(values.iter().map(String::as_str))
        .collect();
    let help = "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, name, \
                pretty_name, variant, variant_id, version, version_codename, version_id.";
    out.family("node_os_info", Gauge, help).series(&labels, 1.0);

    let end = UnixMillis::parse(&format!("{}T00:00:00Z", value("support_end")), SystemClock.now());
    out.family(
        "node_os_support_end_timestamp_seconds",
        Gauge,
        "Metric containing the end-of-life date timestamp of the OS.",
    )
    .series_if(&[], end.ok().map(|end| end.seconds() as f64));
    let version = major_minor(&value("version_id")).filter(|version| *version > 0.0);
    out.family(
        "node_os_version",
        Gauge,
        "Metric containing the major.minor part of the OS version.",
    )
    .series_if(&[labels[1], labels[2], labels[5]], version);
    Ok(())
}

/// A value of `os-release`: bare, or within quotes, where a backslash stands before what is meant literally.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = inner('\'') {
        return literal.to_owned();
    }
    let mut text = String::new();
    let mut characters = inner('"').unwrap_or(value).chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' {
            characters.next()
        } else {
            Some(character)
        });
    }
    text
}

/// The number at the beginning of a version: 22.04 of `22.04.3`.
fn major_minor(version: &str) -> Option<f64> {
    let mut dots = 0;
    let end = version.find(|character: char| {
        dots += u32::from(character == '.');
        dots > 1 || !(character.is_ascii_digit() || character == '.')
    });
    version[..end.unwrap_or(version.len())].parse().ok()
}

/// What the firmware says of the machine; some of it only root may read.
pub(super) fn write_dmi(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    /// Labels with their files, where these have another name.
    const LABELS: [(&str, &str); 20] = [
        ("bios_date", "bios_date"),
        ("bios_release", "bios_release"),
        ("bios_vendor", "bios_vendor"),
        ("bios_version", "bios_version"),
        ("board_asset_tag", "board_asset_tag"),
        ("board_name", "board_name"),
        ("board_serial", "board_serial"),
        ("board_vendor", "board_vendor"),
        ("board_version", "board_version"),
        ("chassis_asset_tag", "chassis_asset_tag"),
        ("chassis_serial", "chassis_serial"),
        ("chassis_vendor", "chassis_vendor"),
        ("chassis_version", "chassis_version"),
        ("product_family", "product_family"),
        ("product_name", "product_name"),
        ("product_serial", "product_serial"),
        ("product_sku", "product_sku"),
        ("product_uuid", "product_uuid"),
        ("product_version", "product_version"),
        ("system_vendor", "sys_vendor"),
    ];
    let mut values = Vec::new();
    for (label, file) in LABELS {
        if let Some(value) = tree.text(&format!("sys/class/dmi/id/{file}")) {
            values.push((label, value));
        }
    }
    if values.is_empty() {
        return Err(NoData);
    }
    let labels: Vec<(&str, &str)> = values.iter().map(|(label, value)| (*label, &**value)).collect();
    let help = "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, bios_version, \
                board_asset_tag, board_name, board_serial, board_vendor, board_version, chassis_asset_tag, \
                chassis_serial, chassis_vendor, chassis_version, product_family, product_name, product_serial, \
                product_sku, product_uuid, product_version, system_vendor if provided by DMI.";
    out.family("node_dmi_info", Gauge, help).series(&labels, 1.0);
    Ok(())
}

/// The time, its zone, and the counters that it is read from.
#[expect(clippy::unnecessary_wraps, reason = "collectors have one shape")]
pub(super) fn write_time(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    const SOURCES: &str = "sys/devices/system/clocksource";
    let mut sources = Vec::new();
    for device in tree.numbered(SOURCES, "clocksource").unwrap_or_default() {
        let mut read = |file: &str| tree.text(&format!("{SOURCES}/clocksource{device}/{file}"));
        sources.push((
            device.to_string(),
            read("available_clocksource"),
            read("current_clocksource"),
        ));
    }
    let mut available = out.family(
        "node_time_clocksource_available_info",
        Gauge,
        "Available clocksources read from '/sys/devices/system/clocksource'.",
    );
    for (device, names, _) in &sources {
        for name in names.iter().flat_map(|names| names.split_whitespace()) {
            available.series(&[("clocksource", name), ("device", device)], 1.0);
        }
    }
    let mut current = out.family(
        "node_time_clocksource_current_info",
        Gauge,
        "Current clocksource read from '/sys/devices/system/clocksource'.",
    );
    for (device, _, name) in &sources {
        if let Some(name) = name {
            current.series(&[("clocksource", name), ("device", device)], 1.0);
        }
    }
    let now = SystemClock.now();
    out.single(
        "node_time_seconds",
        Gauge,
        "System time in seconds since epoch (1970).",
        now.0 as f64 / MILLISECONDS,
    );
    let zone = read_zone(tree);
    if let Ok(zone) = zone.find_local_time_type(now.seconds()) {
        out.family(
            "node_time_zone_offset_seconds",
            Gauge,
            "System time zone offset in seconds.",
        )
        .series(
            &[("time_zone", zone.time_zone_designation())],
            f64::from(zone.ut_offset()),
        );
    }
    Ok(())
}

/// The host's time zone: UTC where it has set none.
fn read_zone(tree: &Tree) -> TimeZone {
    let local = tree.root.path("etc/localtime");
    // The link names a file of the host, wherever its root is seen.
    let path = match std::fs::read_link(&local) {
        Ok(target) if target.is_absolute() => tree.root.host_path(&target.to_string_lossy()),
        _ => local,
    };
    let zone = std::fs::read(path)
        .ok()
        .and_then(|data| TimeZone::from_tz_data(&data).ok());
    zone.unwrap_or_else(TimeZone::utc)
}

/// What the kernel says of its clock.
pub(super) fn write_timex(_: &mut Tree, out: &mut Exposition) -> Outcome {
    /// What makes parts per million of the kernel's frequencies.
    const PPM: f64 = 65_536.0 * 1e6;
    const MICROSECONDS: f64 = 1e6;
    const NANOSECONDS: f64 = 1e9;
    let (state, timex) = read_timex().ok_or(NoData)?;
    let unit = if timex.status & libc::STA_NANO == 0 {
        MICROSECONDS
    } else {
        NANOSECONDS
    };
    let families = [
        (
            "estimated_error_seconds",
            Gauge,
            "Estimated error in seconds.",
            timex.esterror as f64 / MICROSECONDS,
        ),
        (
            "frequency_adjustment_ratio",
            Gauge,
            "Local clock frequency adjustment.",
            1.0 + timex.freq as f64 / PPM,
        ),
        (
            "loop_time_constant",
            Gauge,
            "Phase-locked loop time constant.",
            timex.constant as f64,
        ),
        (
            "maxerror_seconds",
            Gauge,
            "Maximum error in seconds.",
            timex.maxerror as f64 / MICROSECONDS,
        ),
        (
            "offset_seconds",
            Gauge,
            "Time offset in between local system and reference clock.",
            timex.offset as f64 / unit,
        ),
        (
            "pps_calibration_total",
            Counter,
            "Pulse per second count of calibration intervals.",
            timex.calcnt as f64,
        ),
        (
            "pps_error_total",
            Counter,
            "Pulse per second count of calibration errors.",
            timex.errcnt as f64,
        ),
        (
            "pps_frequency_hertz",
            Gauge,
            "Pulse per second frequency.",
            timex.ppsfreq as f64 / PPM,
        ),
        (
            "pps_jitter_seconds",
            Gauge,
            "Pulse per second jitter.",
            timex.jitter as f64 / unit,
        ),
        (
            "pps_jitter_total",
            Counter,
            "Pulse per second count of jitter limit exceeded events.",
            timex.jitcnt as f64,
        ),
        (
            "pps_shift_seconds",
            Gauge,
            "Pulse per second interval duration.",
            f64::from(timex.shift),
        ),
        (
            "pps_stability_exceeded_total",
            Counter,
            "Pulse per second count of stability limit exceeded events.",
            timex.stbcnt as f64,
        ),
        (
            "pps_stability_hertz",
            Gauge,
            "Pulse per second stability, average of recent frequency changes.",
            timex.stabil as f64 / PPM,
        ),
        (
            "status",
            Gauge,
            "Value of the status array bits.",
            f64::from(timex.status),
        ),
        (
            "sync_status",
            Gauge,
            "Is clock synchronized to a reliable server (1 = yes, 0 = no).",
            f64::from(u8::from(state != libc::TIME_ERROR)),
        ),
        (
            "tai_offset_seconds",
            Gauge,
            "International Atomic Time (TAI) offset.",
            f64::from(timex.tai),
        ),
        (
            "tick_seconds",
            Gauge,
            "Seconds between clock ticks.",
            timex.tick as f64 / MICROSECONDS,
        ),
    ];
    for (name, kind, help, value) in families {
        out.single(&format!("node_timex_{name}"), kind, help, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_os_release() {
        assert_eq!(unquote("debian"), "debian");
        assert_eq!(unquote("\"Debian GNU/Linux\""), "Debian GNU/Linux");
        assert_eq!(unquote(r#""a \"quoted\" \$name""#), "a \"quoted\" $name");
        assert_eq!(unquote(r"'it is \ literal'"), r"it is \ literal");
        assert_eq!(unquote(""), "");
    }

    #[test]
    fn versions_are_their_first_two_numbers() {
        assert_eq!(major_minor("12"), Some(12.0));
        assert_eq!(major_minor("22.04.3"), Some(22.04));
        assert_eq!(major_minor("40-beta"), Some(40.0));
        assert_eq!(major_minor("rolling"), None);
        assert_eq!(major_minor(""), None);
    }
}
