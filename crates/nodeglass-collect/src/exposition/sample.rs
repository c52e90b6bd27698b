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
                    family.rendered(labels, value);
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
