//! The machine's own NVIDIA GPU, where there is one.

use std::path::Path;
use std::time::Instant;

use nodeglass_model::Sample;
use nodeglass_model::catalogue::check;

use super::fake::PATIENCE;
use crate::config::CollectConfig;
use crate::gpu::GpuCollector;
use crate::sampler::Depth;

#[test]
fn a_real_gpu_has_plausible_figures() {
    if !Path::new("/dev/nvidiactl").exists() {
        println!("SKIPPED: there is no /dev/nvidiactl, so nothing is proved about real GPUs");
        return;
    }
    let config = CollectConfig {
        deadline: PATIENCE,
        ..CollectConfig::default()
    };
    let mut collector = GpuCollector::new(&config);
    for depth in [Depth::Full, Depth::Light, Depth::Full] {
        let mut sample = Sample::default();
        let now = Instant::now();
        collector.start(now, now + PATIENCE, depth);
        let uses = collector.finish(&mut sample, now, now + PATIENCE);
        println!("{depth:?}: {:#?}\n{uses:?}\n{:?}", sample.gpus, sample.failures);
        assert_eq!(sample.failures, []);
        check(&sample).unwrap();
        let gpu = sample.gpus.first().expect("a driver without a GPU");
        assert!(!gpu.name.is_empty() && gpu.uuid.starts_with("GPU-"));
        assert!(gpu.memory_total_bytes > Some(64 << 20));
        assert!(gpu.memory_used_bytes <= gpu.memory_total_bytes);
        assert!(
            gpu.temperature_celsius
                .is_none_or(|celsius| (0.0..150.0).contains(&celsius))
        );
        assert!(gpu.power_watts.is_none_or(|watts| (0.0..3000.0).contains(&watts)));
        assert!(depth == Depth::Full || (gpu.encoder_percent, gpu.pcie_recv_bytes_per_sec) == (None, None));
    }
}
