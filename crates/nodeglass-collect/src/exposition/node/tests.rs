//! The whole against `node_exporter`'s own answer for the same tree, series by series.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::exposition::text::Format;

const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/node-exporter");

/// What an answer says: meanings and types by family, values by series.
#[derive(Debug, Default)]
struct Answer {
    families: BTreeMap<String, [String; 2]>,
    series: BTreeMap<String, f64>,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let mut answer = Self::default();
        for line in text.lines() {
            if let Some((words, rest)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
                answer.families.entry(words.to_owned()).or_default()[0] = rest.to_owned();
            } else if let Some((family, kind)) =
                line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
            {
                answer.families.entry(family.to_owned()).or_default()[1] = kind.to_owned();
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let before = answer.series.insert(series.to_owned(), value.parse().unwrap());
                assert_eq!(before, None, "{series} is there twice");
            }
        }
        answer
    }

    /// Takes out what depends on when and where a test runs.
    fn without_the_moment(mut self) -> Self {
        const OF_THE_MOMENT: [&str; 6] = [
            "node_scrape_collector_duration_seconds",
            "node_selinux_",
            "node_time_seconds",
            "node_time_zone_offset_seconds",
            "node_timex_",
            "node_uname_info",
        ];
        let is_kept = |name: &String| !OF_THE_MOMENT.iter().any(|prefix| name.starts_with(prefix));
        self.families.retain(|name, _| is_kept(name));
        self.series.retain(|name, _| is_kept(name));
        // How full the disk is that the tree lies on.
        for (name, value) in &mut self.series {
            if name.starts_with("node_filesystem_") && !name.contains("device_error") {
                *value = 0.0;
            }
        }
        self
    }
}

fn read(tree: &str) -> String {
    let mut out = Exposition::new(Format::Text);
    NodeReader::new(Path::new(tree), Duration::from_secs(20), Privacy::default()).write(&mut out);
    out.finish()
}

#[test]
fn every_series_of_the_tree_is_node_exporter_s() {
    let theirs = Answer::parse(include_str!("../../../fixtures/node-exporter/expected.txt"));
    let ours = Answer::parse(&read(TREE)).without_the_moment();
    let lacking = |from: &Answer, of: &Answer| {
        let of = of.series.keys();
        of.filter(|series| !from.series.contains_key(*series))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(lacking(&ours, &theirs), [""; 0], "theirs that are not ours");
    // Theirs come from the kernel of the machine where they were taken, which does not know the tree.
    let from_the_kernel = ["bond0", "eth0", "eth0.100", "lo"]
        .map(|device| format!("node_network_receive_nohandler_total{{device=\"{device}\"}}"));
    assert_eq!(
        lacking(&theirs, &ours),
        from_the_kernel,
        "ours that are not theirs"
    );
    let differing: Vec<_> = theirs
        .families
        .iter()
        .map(|(family, described)| (family, described, &ours.families[family]))
        .filter(|(_, theirs, ours)| theirs != ours)
        .collect();
    assert_eq!(differing, []);
    for (series, value) in &theirs.series {
        let own = ours.series[series];
        assert!(
            (own - value).abs() <= value.abs() * 1e-9,
            "{series} {own}, not {value}"
        );
    }
    assert!(theirs.series.len() > 500, "the expected answer is whole");
}

#[test]
fn where_nothing_can_be_read_every_collector_says_so() {
    let empty = tempfile::tempdir().unwrap();
    let answer = Answer::parse(&read(empty.path().to_str().unwrap()));
    let succeeded: Vec<_> = answer
        .series
        .iter()
        .filter(|(name, value)| name.starts_with("node_scrape_collector_success") && **value == 1.0)
        .map(|(name, _)| name.trim_start_matches("node_scrape_collector_success"))
        .collect();
    // What a healthy host may lack altogether, and the clock, which needs no file.
    let expected =
        ["edac", "selinux", "thermal_zone", "time", "timex"].map(|name| format!("{{collector=\"{name}\"}}"));
    assert_eq!(succeeded, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_content_of_any_file_gives_a_text_that_can_be_read(
        content in proptest::collection::vec(
            prop_oneof![any::<u8>(), proptest::sample::select(&b" \n:=0123456789abx/[]()-"[..])],
            0..200,
        ),
    ) {
        let tree = tempfile::tempdir().unwrap();
        for file in [
            "proc/stat", "proc/meminfo", "proc/vmstat", "proc/diskstats", "proc/mdstat", "proc/schedstat",
            "proc/loadavg", "proc/1/mounts", "proc/pressure/cpu", "proc/net/dev", "proc/net/arp", "proc/net/netstat",
            "proc/net/snmp", "proc/net/snmp6", "proc/net/sockstat", "proc/net/softnet_stat", "proc/net/udp",
            "proc/net/rpc/nfs", "proc/net/stat/nf_conntrack", "proc/sys/fs/file-nr", "etc/os-release", "etc/localtime",
            "sys/class/hwmon/hwmon0/temp1_input", "sys/class/hwmon/hwmon0/temp1_label", "sys/class/hwmon/hwmon0/name",
            "sys/class/powercap/zone/name", "sys/devices/system/cpu/isolated", "sys/class/net/eth0/ifindex",
        ] {
            let path = tree.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &content).unwrap();
        }
        for number in ["nf_conntrack_count", "nf_conntrack_max"] {
            let path = tree.path().join("proc/sys/net/netfilter").join(number);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "1").unwrap();
        }
        let text = read(tree.path().to_str().unwrap());
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (_, value) = line.rsplit_once(' ').unwrap();
            prop_assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{}", line);
        }
    }
}
