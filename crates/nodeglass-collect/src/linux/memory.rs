//! Memory and swap: `/proc/meminfo`.

use nodeglass_model::rates::percent;
use nodeglass_model::sample::{MemoryMetrics, Sample};

use super::collector::{Collector, Moment};
use super::host_root::HostRoot;
use super::proc_file::{ProcFile, ReadError};
use super::scan::{fields, lines, parse_number};

/// Reads memory and swap.
pub(super) struct MemoryCollector {
    meminfo: ProcFile,
}

impl MemoryCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            meminfo: ProcFile::new(root.path("proc/meminfo")),
        }
    }
}

impl Collector for MemoryCollector {
    fn read(&mut self, sample: &mut Sample, _: &Moment) -> Result<(), ReadError> {
        let metrics = parse_meminfo(self.meminfo.read()?);
        if metrics.total_bytes.is_none() {
            return Err(self.meminfo.without("MemTotal"));
        }
        sample.memory = metrics;
        Ok(())
    }
}

/// Parses `/proc/meminfo`. Kernels before 3.14 have no `MemAvailable`; free memory, buffers and cache stand in for it.
pub(super) fn parse_meminfo(text: &[u8]) -> MemoryMetrics {
    let mut metrics = MemoryMetrics::default();
    let mut cached = None;
    let mut reclaimable = None;
    // Counted in huge pages, not in kibibytes.
    let (mut huge_pages, mut huge_pages_free, mut huge_page_bytes) = (None, None, None);
    for line in lines(text) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let place = match &line[..colon] {
            b"MemTotal" => &mut metrics.total_bytes,
            b"MemFree" => &mut metrics.free_bytes,
            b"MemAvailable" => &mut metrics.available_bytes,
            b"Buffers" => &mut metrics.buffers_bytes,
            b"Cached" => &mut cached,
            b"SReclaimable" => &mut reclaimable,
            b"SwapTotal" => &mut metrics.swap_total_bytes,
            b"SwapFree" => &mut metrics.swap_free_bytes,
            b"Shmem" => &mut metrics.shared_bytes,
            b"Slab" => &mut metrics.slab_bytes,
            b"SUnreclaim" => &mut metrics.slab_unreclaimable_bytes,
            b"Dirty" => &mut metrics.dirty_bytes,
            b"Writeback" => &mut metrics.writeback_bytes,
            b"PageTables" => &mut metrics.page_tables_bytes,
            b"KernelStack" => &mut metrics.kernel_stack_bytes,
            b"Committed_AS" => &mut metrics.committed_bytes,
            b"CommitLimit" => &mut metrics.commit_limit_bytes,
            b"Active" => &mut metrics.active_bytes,
            b"Inactive" => &mut metrics.inactive_bytes,
            b"AnonPages" => &mut metrics.anonymous_bytes,
            b"Mapped" => &mut metrics.mapped_bytes,
            b"Hugepagesize" => &mut huge_page_bytes,
            b"HugePages_Total" => &mut huge_pages,
            b"HugePages_Free" => &mut huge_pages_free,
            _ => continue,
        };
        let mut value = fields(&line[colon + 1..]);
        let number = value.next().and_then(parse_number);
        let unit = if value.next().is_some() { 1024 } else { 1 };
        *place = number.and_then(|number| number.checked_mul(unit));
    }
    let huge = |pages: Option<u64>| pages?.checked_mul(huge_page_bytes?);
    metrics.huge_pages_total_bytes = huge(huge_pages);
    metrics.huge_pages_free_bytes = huge(huge_pages_free);
    metrics.cached_bytes = sum(cached, Some(reclaimable.unwrap_or(0)));
    metrics.available_bytes = metrics.available_bytes.or_else(|| {
        sum(
            metrics.free_bytes,
            sum(metrics.buffers_bytes, metrics.cached_bytes),
        )
    });
    metrics.used_bytes = difference(metrics.total_bytes, metrics.available_bytes);
    metrics.swap_used_bytes = difference(metrics.swap_total_bytes, metrics.swap_free_bytes);
    metrics.usage_percent = share(metrics.used_bytes, metrics.total_bytes);
    metrics.swap_usage_percent = share(metrics.swap_used_bytes, metrics.swap_total_bytes);
    metrics
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a?.checked_add(b?)
}

fn difference(whole: Option<u64>, part: Option<u64>) -> Option<u64> {
    Some(whole?.saturating_sub(part?))
}

fn share(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    percent(part?, whole?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_of_the_capture() {
        let memory = parse_meminfo(include_bytes!("../../fixtures/linux-6.18-kvm/t0/proc/meminfo"));
        assert_eq!(memory.total_bytes, Some(25_276_514_304), "24684096 x 1024");
        assert_eq!(memory.available_bytes, Some(24_907_722_752), "24323948 x 1024");
        assert_eq!(memory.used_bytes, Some(368_791_552), "the difference");
        assert_eq!(memory.usage_percent, Some(1.46), "360148 / 24684096");
        assert_eq!(memory.free_bytes, Some(23_378_829_312), "22830888 x 1024");
        assert_eq!(memory.buffers_bytes, Some(9_289_728), "9072 x 1024");
        assert_eq!(
            memory.cached_bytes,
            Some(1_779_822_592),
            "(1667124 + 70984) x 1024"
        );
        assert_eq!(memory.swap_total_bytes, Some(0));
        assert_eq!(memory.swap_usage_percent, None, "there is no swap");
        assert_eq!(
            memory.active_bytes,
            Some(612_564_992),
            "598208 x 1024, not Active(file)"
        );
        assert_eq!(memory.inactive_bytes, Some(1_114_443_776), "1088324 x 1024");
        assert_eq!(memory.dirty_bytes, Some(446_464), "436 x 1024");
        assert_eq!(memory.writeback_bytes, Some(0), "not WritebackTmp");
        assert_eq!(memory.shared_bytes, Some(8_998_912), "8788 x 1024");
        assert_eq!(memory.slab_bytes, Some(97_361_920), "95080 x 1024");
        assert_eq!(memory.committed_bytes, Some(83_955_712), "81988 x 1024");
        assert_eq!(memory.huge_pages_total_bytes, Some(0));
    }

    #[test]
    fn figures_with_swap() {
        let memory = parse_meminfo(include_bytes!("../../fixtures/composed-server/proc/meminfo"));
        assert_eq!(memory.swap_total_bytes, Some(8_589_930_496), "8388604 x 1024");
        assert_eq!(
            memory.swap_used_bytes,
            Some(2_147_483_648),
            "(8388604 - 6291452) x 1024"
        );
        assert_eq!(memory.swap_usage_percent, Some(25.0));
        assert_eq!(
            memory.slab_unreclaimable_bytes,
            Some(462_258_176),
            "451424 x 1024"
        );
        assert_eq!(memory.page_tables_bytes, Some(81_920_000), "80000 x 1024");
        assert_eq!(memory.kernel_stack_bytes, Some(30_720_000), "30000 x 1024");
        assert_eq!(memory.commit_limit_bytes, Some(25_299_406_848), "24706452 x 1024");
        assert_eq!(memory.anonymous_bytes, Some(7_168_000_000), "7000000 x 1024");
        assert_eq!(memory.mapped_bytes, Some(921_600_000), "900000 x 1024");
        assert_eq!(
            memory.huge_pages_total_bytes,
            Some(1_073_741_824),
            "512 pages of 2 MiB"
        );
        assert_eq!(
            memory.huge_pages_free_bytes,
            Some(268_435_456),
            "128 pages of 2 MiB"
        );
    }

    #[test]
    fn old_kernels_have_no_available_memory() {
        let text =
            b"MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 300 kB\nSReclaimable: 80 kB\n";
        let memory = parse_meminfo(text);
        assert_eq!(
            memory.available_bytes,
            Some(512_000),
            "(100 + 20 + 300 + 80) x 1024"
        );
        assert_eq!(memory.usage_percent, Some(50.0));
    }

    proptest! {
        #[test]
        fn any_text_gives_percentages_or_nothing(total: u64, available: u64, rest: Vec<u8>) {
            let mut text = format!("MemTotal: {total} kB\nMemAvailable: {available} kB\n").into_bytes();
            text.extend(rest);
            let in_range = parse_meminfo(&text).usage_percent.is_none_or(|usage| (0.0..=100.0).contains(&usage));
            prop_assert!(in_range);
        }
    }
}
