//! The metric catalogue as the TypeScript client has it.

use std::fmt::Write as _;

use nodeglass_model::catalogue::{Dimension, METRICS};

const TYPES: &str = "\
/** A metric: its path, unit, kind, meaning, and where it has a series of each device, of which kind and what their total is. */
export interface Metric {
  path: string;
  unit: Unit;
  kind: \"rate\" | \"level\" | \"counter\";
  device?: string;
  total?: \"sum\" | \"max\" | \"mean\";
  description: string;
}

/** Every metric there is. */
export const METRICS: readonly Metric[] = [
";

/// The whole of `clients/typescript/src/catalogue.ts`.
pub(super) fn typescript() -> anyhow::Result<String> {
    let mut units: Vec<&str> = Vec::new();
    for metric in METRICS {
        if !units.contains(&metric.unit.name()) {
            units.push(metric.unit.name());
        }
    }
    let quoted = |text: &str| serde_json::to_string(text);
    let units = units
        .into_iter()
        .map(quoted)
        .collect::<Result<Vec<_>, _>>()?
        .join(" | ");
    let mut text = format!(
        "/** Made from the metric catalogue by `cargo xtask generate`; don't edit it here. */\n\n\
         /** What a metric's values are counted in. */\nexport type Unit = {units};\n\n{TYPES}"
    );
    for metric in METRICS {
        let device = match metric.dimension() {
            Dimension::Host => String::new(),
            device => format!(
                ", device: {}, total: {}",
                quoted(device.name())?,
                quoted(metric.over_devices.name())?
            ),
        };
        writeln!(
            text,
            "  {{ path: {}, unit: {}, kind: {}{device}, description: {} }},",
            quoted(metric.path)?,
            quoted(metric.unit.name())?,
            quoted(metric.kind.name())?,
            quoted(metric.description)?
        )?;
    }
    text.push_str("];\n");
    Ok(text)
}
