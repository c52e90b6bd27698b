//! GPUs and drivers that are lost, come back, never were there, or hang.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::fake::{Fake, PATIENCE, Rig, healthy, identity};
use crate::config::CollectConfig;
use crate::gpu::GpuCollector;
use crate::sampler::Depth;

const MILLISECOND: Duration = Duration::from_millis(1);

const LOST: &str =
    "GPU 0 (NVIDIA Fake 4090) is left out: device fell off the bus or has otherwise become inacessible";

impl Rig {
    /// Reads just before a delay is over, where nobody may be asked, and when it is.
    fn expect_rest(&mut self, delay: Duration, reason: &str) {
        self.now += delay.checked_sub(MILLISECOND).unwrap();
        self.fake.take_calls();
        let reading = self.read(Depth::Full);
        assert_eq!(reading.failures, [reason], "the reason stays");
        assert_eq!(reading.gpus, []);
        assert_eq!(self.fake.take_calls(), [""; 0], "nobody is asked");
        self.now += MILLISECOND;
    }
}

#[test]
fn a_lost_gpu_costs_itself_alone_and_is_tried_again() {
    let mut rig = Rig::new(Fake::new());
    assert_eq!(rig.read(Depth::Full).gpus, healthy());
    // In the middle of a reading: it answers three more times.
    rig.fake.set("lost.0", "3");
    let mut one_lost = vec![identity(0)];
    one_lost.extend_from_slice(&healthy()[1..]);
    let reading = rig.read(Depth::Full);
    assert_eq!(reading.failures, [LOST]);
    assert_eq!(reading.gpus, one_lost);
    assert_eq!(
        reading.uses.len(),
        1,
        "processes of the other GPU are still known"
    );

    rig.fake.set("lost.0", "");
    for delay in [5, 10, 20] {
        rig.fake.take_calls();
        rig.now += Duration::from_secs(delay).checked_sub(MILLISECOND).unwrap();
        let reading = rig.read(Depth::Full);
        assert_eq!(
            (reading.failures, reading.gpus),
            (vec![LOST.to_owned()], one_lost.clone())
        );
        let calls = rig.fake.take_calls();
        assert!(calls.iter().all(|call| !call.ends_with(" 0")), "{calls:?}");
        assert!(!calls.contains(&"nvmlInit_v2 -".to_owned()), "{calls:?}");

        rig.now += MILLISECOND;
        let reading = rig.read(Depth::Full);
        assert_eq!(
            (reading.failures, reading.gpus),
            (vec![LOST.to_owned()], one_lost.clone())
        );
        let calls = rig.fake.take_calls();
        assert_eq!(calls[..2], ["nvmlShutdown -", "nvmlInit_v2 -"], "a fresh start");
        assert!(calls.contains(&"nvmlDeviceGetHandleByIndex_v2 0".to_owned()));
    }

    rig.fake.unset("lost.0");
    rig.now += Duration::from_secs(40);
    let reading = rig.read(Depth::Full);
    assert_eq!((reading.failures, reading.gpus), (vec![], healthy()));
    // And the next loss begins with a short delay again.
    rig.fake.set("lost.0", "");
    assert_eq!(rig.read(Depth::Full).failures, [LOST]);
    rig.fake.unset("lost.0");
    rig.now += Duration::from_secs(5);
    assert_eq!(rig.read(Depth::Full).gpus, healthy());
}

#[test]
fn a_gpu_that_is_lost_from_the_start_has_a_number_only() {
    let fake = Fake::new();
    fake.set("lost.1", "");
    let mut rig = Rig::new(fake);
    let reading = rig.read(Depth::Light);
    let reason = "GPU 1 (?) is left out: device fell off the bus or has otherwise become inacessible";
    assert_eq!(reading.failures, [reason]);
    assert_eq!(reading.gpus.len(), 2);
    assert_eq!((reading.gpus[1].index, reading.gpus[1].name.as_str()), (1, ""));
    assert_eq!(reading.gpus[0].utilization_percent, Some(87.0));
}

#[test]
fn a_gpu_without_permission_is_named_with_the_reason() {
    let fake = Fake::new();
    fake.set("error.nvmlDeviceGetHandleByIndex_v2.0", "4");
    let reading = Rig::new(fake).read(Depth::Full);
    assert_eq!(
        reading.failures,
        ["GPU 0 (?) is left out: the current user does not have permission to perform this operation"]
    );
    assert_eq!(reading.gpus[1..], healthy()[1..]);
}

#[test]
fn a_driver_that_was_updated_is_let_go_and_tried_again() {
    let mut rig = Rig::new(Fake::new());
    rig.read(Depth::Full);
    rig.fake.take_calls();
    // The library and the kernel's part are of different versions.
    rig.fake.set("error.nvmlDeviceGetTemperature", "18");
    rig.fake.set("error.nvmlInit_v2", "18");
    let reading = rig.read(Depth::Full);
    let lost = "the NVIDIA driver is lost: RM detects a driver/library version mismatch";
    assert_eq!((reading.failures, reading.gpus), (vec![lost.to_owned()], vec![]));
    let calls = rig.fake.take_calls();
    assert_eq!(calls.last().unwrap(), "nvmlShutdown -", "it is let go");
    let asked = calls.iter().filter(|call| call.contains("Temperature")).count();
    assert_eq!(asked, 1, "and asked nothing more");

    let mismatch = "NVML does not start: RM detects a driver/library version mismatch";
    let mut reason = lost;
    for delay in [5, 10, 20, 40, 80, 160, 300, 300] {
        rig.expect_rest(Duration::from_secs(delay), reason);
        assert_eq!(rig.read(Depth::Full).failures, [mismatch]);
        assert_eq!(rig.fake.take_calls(), ["nvmlInit_v2 -"]);
        reason = mismatch;
    }
    rig.fake.unset("error.nvmlDeviceGetTemperature");
    rig.fake.unset("error.nvmlInit_v2");
    rig.expect_rest(Duration::from_mins(5), reason);
    let reading = rig.read(Depth::Full);
    assert_eq!((reading.failures, reading.gpus), (vec![], healthy()));
}

#[test]
fn a_driver_that_never_was_there_is_no_failure_but_one_that_goes_is() {
    let fake = Fake::new();
    let not_loaded = "9";
    fake.set("error.nvmlInit_v2", not_loaded);
    let mut rig = Rig::new(fake);
    let nothing = |rig: &mut Rig| {
        let reading = rig.read(Depth::Full);
        assert_eq!((reading.failures, reading.gpus), (vec![], vec![]));
        rig.fake.take_calls()
    };
    assert_eq!(nothing(&mut rig), ["nvmlInit_v2 -"]);
    rig.now += Duration::from_mins(5).checked_sub(MILLISECOND).unwrap();
    assert_eq!(nothing(&mut rig), [""; 0]);
    rig.now += MILLISECOND;
    assert_eq!(nothing(&mut rig), ["nvmlInit_v2 -"]);
    rig.fake.unset("error.nvmlInit_v2");
    rig.now += Duration::from_mins(5);
    assert_eq!(rig.read(Depth::Full).gpus, healthy());

    // Now its module is unloaded.
    rig.fake.set("error.nvmlDeviceGetCount_v2", not_loaded);
    rig.fake.set("error.nvmlInit_v2", not_loaded);
    let unlisted = "NVML can't list the GPUs: NVIDIA driver is not loaded";
    assert_eq!(rig.read(Depth::Full).failures, [unlisted]);
    rig.expect_rest(Duration::from_secs(5), unlisted);
    assert_eq!(
        rig.read(Depth::Full).failures,
        ["NVML does not start: NVIDIA driver is not loaded"]
    );
}

#[test]
fn a_library_that_is_named_must_be_there() {
    let library = PathBuf::from("/nowhere/libnvidia-ml.so.1");
    let config = CollectConfig {
        nvml_library: Some(library),
        host_root: PathBuf::from("/nowhere"),
        deadline: PATIENCE,
        ..CollectConfig::default()
    };
    let mut sample = nodeglass_model::Sample::default();
    let mut collector = GpuCollector::new(&config);
    let now = Instant::now();
    collector.start(now, now + PATIENCE, Depth::Full);
    collector.finish(&mut sample, now, Instant::now() + PATIENCE);
    let reason = &sample.failures[0].reason;
    assert!(reason.starts_with("NVML does not start: "), "{reason}");
    assert!(reason.contains("/nowhere/libnvidia-ml.so.1"), "{reason}");
}

#[test]
fn a_driver_that_hangs_costs_a_deadline_and_one_call() {
    let fake = Fake::new();
    fake.set("hang", "");
    let mut rig = Rig::new(fake);
    let late = "the NVIDIA driver gave no answer within 20000 ms; its GPUs are left out until it answers";
    rig.start(Depth::Full, PATIENCE);
    let reading = rig.finish(Duration::from_millis(20));
    assert_eq!((reading.failures, reading.gpus), (vec![late.to_owned()], vec![]));
    // The call that hangs is the only one of its kind, however often it is asked for.
    let deadline = Instant::now() + PATIENCE;
    let mut asked = 0;
    while asked == 0 {
        asked += temperature_calls(&rig);
        assert!(Instant::now() < deadline);
    }
    for _ in 0..3 {
        let reading = rig.read(Depth::Full);
        assert_eq!((reading.failures, reading.gpus), (vec![late.to_owned()], vec![]));
    }
    assert_eq!(asked + temperature_calls(&rig), 1);

    rig.fake.unset("hang");
    while rig.read(Depth::Full).gpus != healthy() {
        assert!(Instant::now() < deadline, "the thread does not come back");
        std::thread::yield_now();
    }
    assert_eq!(rig.read(Depth::Full).failures, [""; 0]);
}

fn temperature_calls(rig: &Rig) -> usize {
    let calls = rig.fake.take_calls();
    calls.iter().filter(|call| call.contains("Temperature")).count()
}
