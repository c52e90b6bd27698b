//! `nodeglass_*`: every figure of a sample under its name in the catalogue. It needs the sample alone.

use std::collections::HashSet;

use nodeglass_model::Sample;
use nodeglass_model::catalogue::{self, Attribute, Device, Dimension, Kind};

use super::text::{Exposition, FamilyKind, render_labels};

const MILLISECONDS: f64 = 1e3;

/// Writes a sample: a family for each metric that has a value, a series for each device that has it.
///
/// The label is the kind of device in small letters (`core`, `mount_point`, `gpu`), and further labels say which device
/// that is, where its own label does not: a GPU's model, a process's name and user. Command lines are never shown.
pub fn write_sample(sample: &Sample, out: &mut Exposition) {
    out.single(
        "nodeglass_sample_timestamp_seconds",
        FamilyKind::Gauge,
        "When the sample was taken that the other nodeglass_ series are of, in Unix seconds.",
        sample.timestamp.0 as f64 / MILLISECONDS,
    );
    let devices: Vec<Device<'_>> = catalogue::devices(sample).collect();
    for of_one_kind in devices.chunk_by(|a, b| a.dimension == b.dimension) {
        let dimension = of_one_kind[0].dimension;
        // A series that is there twice would cost a reader the whole answer.
        let mut seen = HashSet::new();
        let labelled: Vec<(&Device<'_>, String)> = of_one_kind
            .iter()
            .filter(|device| seen.insert(&device.label))
            .map(|device| (device, labels(device, sample)))
            .collect();
        for metric in dimension.metrics() {
            let kind = match metric.kind {
                Kind::Counter => FamilyKind::Counter,
                Kind::Level | Kind::Rate => FamilyKind::Gauge,
            };
            let name = metric.prometheus_name();
            let mut family = out.family(&name, kind, metric.description);
            for (device, labels) in &labelled {
                if let Some(value) = device.value(sample, metric) {
                    family.rendered(labels, metric.prometheus_value(value));
                }
            }
        }
    }
}

fn labels(device: &Device<'_>, sample: &Sample) -> String {
    if device.dimension == Dimension::Host {
        return String::new();
    }
    let kind = device.dimension.name().replace(' ', "_");
    let mut labels = vec![(&*kind, &*device.label)];
    if device.dimension == Dimension::Process {
        let (pid, _) = device.label.split_once('.').unwrap_or((&device.label, ""));
        labels.push(("pid", pid));
    }
    for (attribute, text) in device.attributes(sample) {
        labels.extend(attribute_label(attribute).map(|label| (label, text)));
    }
    render_labels(&labels)
}

/// The label of an attribute; `None` for those that are long, or nobody else's business.
fn attribute_label(attribute: Attribute) -> Option<&'static str> {
    Some(match attribute {
        Attribute::Device => "device",
        Attribute::Parent => "parent",
        Attribute::Name => "name",
        Attribute::Uuid => "uuid",
        Attribute::User => "user",
        Attribute::Unit => "unit",
        Attribute::Container => "container",
        Attribute::Id => "id",
        Attribute::Image => "image",
        Attribute::Runtime => "runtime",
        Attribute::Command | Attribute::Cgroup => return None,
    })
}

#[cfg(test)]
mod tests {
    use nodeglass_model::UnixMillis;
    use nodeglass_model::catalogue::METRICS;
    use nodeglass_model::sample::{DiskMetrics, GpuMetrics, ProcessEntry, ProcessMetrics};

    use super::super::text::Format;
    use super::*;

    fn text(sample: &Sample, format: Format) -> String {
        let mut out = Exposition::new(format);
        write_sample(sample, &mut out);
        out.finish()
    }

    fn series(sample: &Sample) -> Vec<String> {
        let text = text(sample, Format::Text);
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn devices_are_told_apart_by_labels_and_command_lines_stay_here() {
        let disk = |device: &str, mount_point: &str, parent: &str| DiskMetrics {
            device: device.into(),
            mount_point: mount_point.into(),
            parent: parent.into(),
            used_bytes: (!mount_point.is_empty()).then_some(7),
            read_bytes_per_sec: Some(5),
            ..DiskMetrics::default()
        };
        let mut sample = Sample {
            timestamp: UnixMillis(1_763_712_000_250),
            disks: vec![
                disk("/dev/sda1", "/a \"b\"", "/dev/sda"),
                disk("/dev/sda", "", ""),
            ],
            gpus: vec![GpuMetrics {
                name: "H100".into(),
                uuid: "GPU-1".into(),
                power_watts: Some(71.5),
                ..GpuMetrics::default()
            }],
            processes: ProcessMetrics {
                top: vec![ProcessEntry {
                    pid: 42,
                    start_time: 9,
                    name: "db".into(),
                    command: "db --password secret".into(),
                    user: "postgres".into(),
                    cgroup: "/system.slice".into(),
                    threads: Some(3),
                    ..ProcessEntry::default()
                }],
                ..ProcessMetrics::default()
            },
            ..Sample::default()
        };
        sample.cpu.usage_percent = Some(12.5);
        sample.clock.offset_ms = Some(-250.0);
        // Two mounts of one device make two entries with its figures.
        sample.disks.push(disk("/dev/sda1", "/again", "/dev/sda"));
        assert_eq!(
            series(&sample),
            [
                "nodeglass_sample_timestamp_seconds 1763712000.25",
                "nodeglass_cpu_usage_percent 12.5",
                "nodeglass_clock_offset_seconds -0.25",
                r#"nodeglass_disk_used_bytes{mount_point="/a \"b\"",device="/dev/sda1"} 7"#,
                r#"nodeglass_disk_used_bytes{mount_point="/again",device="/dev/sda1"} 7"#,
                r#"nodeglass_disk_read_bytes_per_second{disk="sda1",parent="/dev/sda"} 5"#,
                r#"nodeglass_disk_read_bytes_per_second{disk="sda"} 5"#,
                r#"nodeglass_gpu_power_watts{gpu="0",name="H100",uuid="GPU-1"} 71.5"#,
                r#"nodeglass_process_threads{process="42.9",pid="42",name="db",user="postgres"} 3"#,
            ]
        );
    }

    #[test]
    fn every_metric_has_one_family_under_its_name_and_kind() {
        let mut sample = Sample::default();
        for metric in METRICS {
            let label = match metric.dimension() {
                Dimension::Host => "",
                Dimension::Core | Dimension::Gpu => "3",
                _ => "4.5",
            };
            catalogue::set(&mut sample, metric, label, Some(1.0));
        }
        let text = text(&sample, Format::Text);
        let types: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .collect();
        assert_eq!(types.len(), METRICS.len() + 1);
        for metric in METRICS {
            let name = metric.prometheus_name();
            let kind = if metric.kind == Kind::Counter {
                "counter"
            } else {
                "gauge"
            };
            assert_eq!(
                types
                    .iter()
                    .filter(|line| **line == format!("{name} {kind}"))
                    .count(),
                1,
                "{name}"
            );
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        assert_eq!(
            series(&Sample::default()),
            ["nodeglass_sample_timestamp_seconds 0"]
        );
        let mut sample = Sample::default();
        sample.load.load1 = Some(f64::NAN);
        assert_eq!(series(&sample).len(), 1);
    }
}
