//! Health of storage and memory: `mdadm`, `nvme` and `edac`.

use super::tree::Tree;
use super::{NoData, Outcome};
use crate::exposition::text::Exposition;
use crate::exposition::text::FamilyKind::{Counter, Gauge};

const NVME: &str = "sys/class/nvme";
const CONTROLLERS: &str = "sys/devices/system/edac/mc";

/// States of an array, in the order of their series.
const STATES: [&str; 5] = ["active", "check", "inactive", "recovering", "resync"];

/// One array of `/proc/mdstat`.
#[derive(Debug, PartialEq)]
struct Array {
    device: String,
    state: &'static str,
    required: u64,
    active: u64,
    failed: u64,
    spare: u64,
    blocks: u64,
    synced: u64,
}

/// A family with one figure of each array.
type Plain = (&'static str, &'static str, fn(&Array) -> u64);

/// RAID of the kernel's own.
pub(super) fn write_mdadm(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let text = tree.text("proc/mdstat").ok_or(NoData)?;
    let arrays = parse_mdstat(&text);
    let plain: [Plain; 3] = [
        ("node_md_blocks", "Total number of blocks on device.", |array| {
            array.blocks
        }),
        (
            "node_md_blocks_synced",
            "Number of blocks synced on device.",
            |array| array.synced,
        ),
        (
            "node_md_disks_required",
            "Total number of disks of device.",
            |array| array.required,
        ),
    ];
    for (name, help, value) in plain {
        let mut family = out.family(name, Gauge, help);
        for array in &arrays {
            family.series(&[("device", &array.device)], value(array) as f64);
        }
    }
    let mut disks = out.family(
        "node_md_disks",
        Gauge,
        "Number of active/failed/spare disks of device.",
    );
    for array in &arrays {
        for (state, count) in [
            ("active", array.active),
            ("failed", array.failed),
            ("spare", array.spare),
        ] {
            disks.series(&[("device", &array.device), ("state", state)], count as f64);
        }
    }
    let mut states = out.family("node_md_state", Gauge, "Indicates the state of md-device.");
    for array in &arrays {
        for state in STATES {
            let is = f64::from(u8::from(array.state == state));
            states.series(&[("device", &array.device), ("state", state)], is);
        }
    }
    Ok(())
}

/// An array begins at the start of a line, `md0 : active raid1 sdb1[1] sda1[0](F)`; the lines of it that follow have
/// its size, its disks `[2/1] [U_]`, and what is done to it.
fn parse_mdstat(text: &str) -> Vec<Array> {
    let mut arrays: Vec<Array> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((device, rest)) = line.split_once(" : ").filter(|(device, _)| !device.contains(' ')) else {
            continue;
        };
        if matches!(device, "Personalities" | "unused") {
            continue;
        }
        let words: Vec<&str> = rest.split_whitespace().collect();
        let members = || words.iter().filter(|word| word.contains('['));
        let marked = |mark: &str| members().filter(|member| member.contains(mark)).count() as u64;
        let (failed, spare) = (marked("(F)"), marked("(S)"));
        let mut array = Array {
            device: device.to_owned(),
            state: if words.first() == Some(&"active") {
                "active"
            } else {
                "inactive"
            },
            // What tells no number, as raid0, has all of its disks or does not run at all.
            required: members().count() as u64,
            active: members().count() as u64,
            failed,
            spare,
            blocks: 0,
            synced: 0,
        };
        if array.state == "inactive" {
            (array.required, array.active) = (0, 0);
        }
        while let Some(detail) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
            read_detail(&mut array, detail);
        }
        arrays.push(array);
    }
    arrays
}

fn read_detail(array: &mut Array, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    if let [blocks, "blocks", ..] = words[..]
        && let Ok(blocks) = blocks.parse()
    {
        (array.blocks, array.synced) = (blocks, blocks);
        let counts = words.iter().find_map(|word| {
            let (required, active) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('/')?;
            Some((required.parse().ok()?, active.parse().ok()?))
        });
        (array.required, array.active) = counts.unwrap_or((array.required, array.active));
    }
    // `[=>...]  recovery =  8.5% (16775552/195310144) finish=...`, or `resync=PENDING` while it waits.
    for (word, state) in [
        ("recovery", "recovering"),
        ("reshape", "recovering"),
        ("resync", "resync"),
        ("check", "check"),
    ] {
        if line.contains(word) {
            array.state = state;
            let synced = words.iter().find_map(|word| {
                let (synced, _) = word.strip_prefix('(')?.strip_suffix(')')?.split_once('/')?;
                synced.parse().ok()
            });
            array.synced = synced.unwrap_or(0);
        }
    }
}

/// NVMe controllers.
pub(super) fn write_nvme(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let devices = tree.list(NVME)?;
    let mut family = out.family(
        "node_nvme_info",
        Gauge,
        "Non-numeric data from /sys/class/nvme/<device>, value is always 1.",
    );
    for device in &devices {
        let [firmware, model, serial, state] = ["firmware_rev", "model", "serial", "state"]
            .map(|file| tree.text(&format!("{NVME}/{device}/{file}")).unwrap_or_default());
        let labels = [
            ("device", &**device),
            ("firmware_revision", &firmware),
            ("model", &model),
            ("serial", &serial),
            ("state", &state),
        ];
        family.series(&labels, 1.0);
    }
    Ok(())
}

/// Memory errors that the hardware corrected, and those that it could not, by controller and row.
#[expect(clippy::unnecessary_wraps, reason = "collectors have one shape")]
pub(super) fn write_edac(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    const FAMILIES: [(&str, &str, &str, &str); 2] = [
        (
            "node_edac_correctable_errors_total",
            "node_edac_csrow_correctable_errors_total",
            "ce",
            "correctable",
        ),
        (
            "node_edac_uncorrectable_errors_total",
            "node_edac_csrow_uncorrectable_errors_total",
            "ue",
            "uncorrectable",
        ),
    ];
    // A machine without such memory has none of it, which is no failure.
    let controllers = tree.numbered(CONTROLLERS, "mc").unwrap_or_default();
    for (total, by_row, file, word) in FAMILIES {
        let help = format!("Total {word} memory errors.");
        let mut family = out.family(total, Counter, &help);
        for controller in &controllers {
            let count = tree.number(&format!("{CONTROLLERS}/mc{controller}/{file}_count"));
            family.series_if(&[("controller", &controller.to_string())], count);
        }
        let help = format!("Total {word} memory errors for this csrow.");
        let mut family = out.family(by_row, Counter, &help);
        for controller in &controllers {
            let at = format!("{CONTROLLERS}/mc{controller}");
            let controller = controller.to_string();
            for row in tree.numbered(&at, "csrow").unwrap_or_default() {
                let count = tree.number(&format!("{at}/csrow{row}/{file}_count"));
                family.series_if(&[("controller", &controller), ("csrow", &row.to_string())], count);
            }
            let count = tree.number(&format!("{at}/{file}_noinfo_count"));
            family.series_if(&[("controller", &controller), ("csrow", "unknown")], count);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_every_state() {
        let text = "Personalities : [raid1] [raid6] [raid0]\n\
                    md0 : active raid1 sdb1[1] sda1[0](F)\n      \
                    248896 blocks super 1.2 [2/1] [_U]\n      bitmap: 0/1 pages [0KB], 65536KB chunk\n\n\
                    md1 : active raid6 sdd[3] sdc[2] sdb[1] sda[0] sde[4](S)\n      \
                    195310144 blocks level 6, 64k chunk, algorithm 2 [4/3] [UUU_]\n      \
                    [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec\n\n\
                    md2 : active raid0 sdf[0] sdg[1]\n      314159265 blocks 4k chunks\n\n\
                    md3 : inactive sdh[0](S)\n      1048576 blocks super 1.2\n\nunused devices: <none>\n";
        let arrays: Vec<_> = parse_mdstat(text)
            .into_iter()
            .map(|a| {
                (
                    a.device,
                    a.state,
                    [a.required, a.active, a.failed, a.spare],
                    a.blocks,
                    a.synced,
                )
            })
            .collect();
        let expected = [
            ("md0", "active", [2, 1, 1, 0], 248_896, 248_896),
            ("md1", "recovering", [4, 3, 0, 1], 195_310_144, 16_775_552),
            ("md2", "active", [2, 2, 0, 0], 314_159_265, 314_159_265),
            ("md3", "inactive", [0, 0, 0, 1], 1_048_576, 1_048_576),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(d, s, n, b, y)| (d.to_owned(), s, n, b, y))
            .collect();
        assert_eq!(arrays, expected);
    }
}
