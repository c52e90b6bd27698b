//! GPUs in runtime suspend: the driver is not called about them.

use super::fake::{Fake, Rig, healthy, identity};
use crate::sampler::Depth;

/// Nothing was asked of the GPU with this number.
fn assert_left_alone(rig: &Rig, number: &str) {
    let calls = rig.fake.take_calls();
    let parts = format!(" {number}-");
    let touched: Vec<_> = calls
        .iter()
        .filter(|call| call.ends_with(&format!(" {number}")) || call.contains(&parts))
        .collect();
    assert!(touched.is_empty(), "{touched:?}");
}

#[test]
fn sleeping_gpus_are_left_asleep_and_listed_once_they_are_known() {
    let fake = Fake::new();
    fake.set_states("suspended", "suspended");
    let mut rig = Rig::new(fake);
    let reading = rig.read(Depth::Full);
    assert_eq!((reading.gpus, reading.failures), (vec![], vec![]));
    assert_eq!(rig.fake.take_calls(), [""; 0], "the library is not even started");

    rig.fake.set_states("active", "suspended");
    let reading = rig.read(Depth::Full);
    assert_eq!(
        reading.gpus,
        healthy()[..1],
        "the other has no name and number yet"
    );
    assert_eq!(reading.failures, [""; 0]);
    assert_left_alone(&rig, "1");

    rig.fake.set_states("active", "active");
    assert_eq!(rig.read(Depth::Full).gpus, healthy());

    rig.fake.take_calls();
    rig.fake.set_states("suspending", "active");
    let mut one_asleep = vec![identity(0)];
    one_asleep.extend_from_slice(&healthy()[1..]);
    let reading = rig.read(Depth::Full);
    assert_eq!((reading.gpus, reading.failures), (one_asleep, vec![]));
    assert_left_alone(&rig, "0");

    rig.fake.set_states("suspended", "suspended");
    let reading = rig.read(Depth::Full);
    assert_eq!(reading.gpus, [identity(0), identity(1)]);
    assert_eq!(reading.failures, [""; 0]);
    assert_eq!(rig.fake.take_calls(), [""; 0]);

    rig.fake.set_states("suspended", "active");
    let reading = rig.read(Depth::Full);
    assert_eq!(reading.gpus[0], identity(0));
    assert_eq!(reading.gpus[1..], healthy()[1..]);
}

#[test]
fn a_gpu_that_is_first_seen_beside_a_sleeping_one_keeps_its_number() {
    let fake = Fake::new();
    fake.set_states("suspended", "active");
    let mut rig = Rig::new(fake);
    assert_eq!(rig.read(Depth::Full).gpus, healthy()[1..]);
    assert_left_alone(&rig, "0");
    assert_eq!(rig.read(Depth::Light).gpus[0].index, 1);
    assert_left_alone(&rig, "0");
}

#[test]
fn gpus_of_the_bus_that_may_not_be_used_are_no_failure() {
    let fake = Fake::new();
    fake.set_states("active", "suspended");
    fake.set_state("0000:81:00.0", "active");
    let reading = Rig::new(fake).read(Depth::Full);
    assert_eq!(reading.gpus, healthy()[..1]);
    assert_eq!(reading.failures, [""; 0]);
}

#[test]
fn a_gpu_that_leaves_the_bus_is_forgotten() {
    let fake = Fake::new();
    fake.set_states("active", "active");
    let mut rig = Rig::new(fake);
    assert_eq!(rig.read(Depth::Full).gpus, healthy());
    rig.fake.set("count", "1");
    assert_eq!(rig.read(Depth::Full).gpus, healthy()[..1]);
}
