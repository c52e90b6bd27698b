//! Expected values are worked out by hand, in the comments.

use proptest::prelude::*;

use super::*;

const T0: &[u8] = include_bytes!("../../../fixtures/linux-6.18-kvm/t0/proc/stat");
const T1: &[u8] = include_bytes!("../../../fixtures/linux-6.18-kvm/t1/proc/stat");

const SECOND: Duration = Duration::from_secs(1);

fn reading(text: &[u8]) -> CpuReading {
    let mut reading = CpuReading::default();
    parse_stat(text, &mut reading);
    reading
}

#[test]
fn reads_the_capture() {
    let reading = reading(T0);
    assert_eq!(reading.total, Some([17_635, 0, 4_273, 396_554, 484, 0, 44, 37]));
    assert_eq!(reading.cores.len(), 2);
    assert_eq!(reading.cores[1], (1, [9_301, 0, 2_226, 197_574, 416, 0, 36, 21]));
}

#[test]
fn shares_of_the_capture() {
    let cpu = derive_cpu(&reading(T0), &reading(T1), SECOND);
    // user 17963 - 17635 = 328, system 4430 - 4273 = 157, idle 397052 - 396554 = 498, iowait 518 - 484 = 34,
    // softirq 48 - 44 = 4, steal 0; together 1021.
    assert_eq!(cpu.user_percent, Some(32.13), "328 / 1021");
    assert_eq!(cpu.system_percent, Some(15.38), "157 / 1021");
    assert_eq!(cpu.idle_percent, Some(48.78), "498 / 1021");
    assert_eq!(cpu.iowait_percent, Some(3.33), "34 / 1021");
    assert_eq!(cpu.softirq_percent, Some(0.39), "4 / 1021");
    assert_eq!(cpu.usage_percent, Some(47.89), "(328 + 157 + 4) / 1021");
    assert_eq!(
        (cpu.nice_percent, cpu.irq_percent, cpu.steal_percent),
        (Some(0.0), Some(0.0), Some(0.0))
    );
    // cpu1: user 311, system 150, idle 18, iowait 34, softirq 3, steal 1; together 517.
    assert_eq!(cpu.cores[1].core, 1);
    assert_eq!(cpu.cores[1].user_percent, Some(60.15), "311 / 517");
    assert_eq!(cpu.cores[1].steal_percent, Some(0.19), "1 / 517");
    assert_eq!(
        cpu.cores[1].usage_percent,
        Some(89.94),
        "(311 + 150 + 3 + 1) / 517"
    );
}

#[test]
fn switches_interrupts_and_forks_are_counted_past_a_long_line() {
    let text = |interrupts: u64, switches: u64, forks: u64| {
        let each = " 0".repeat(5_000);
        format!(
            "cpu  1 0 0 1 0 0 0 0\ncpu0 1 0 0 1 0 0 0 0\nintr {interrupts}{each}\nctxt {switches}\nbtime 5\n\
             processes {forks}\nprocs_running 1\nprocs_blocked 0\nsoftirq 5 0 1\n"
        )
    };
    let cpu = derive_cpu(
        &reading(text(1_000, 5_000, 70).as_bytes()),
        &reading(text(1_500, 7_000, 71).as_bytes()),
        Duration::from_secs(2),
    );
    assert_eq!(cpu.interrupts_per_sec, Some(250), "500 / 2");
    assert_eq!(cpu.context_switches_per_sec, Some(1_000), "2000 / 2");
    assert_eq!(cpu.forks_per_sec, Some(0.5), "1 / 2");
    let reset = derive_cpu(
        &reading(text(9, 9, 9).as_bytes()),
        &reading(text(8, 8, 8).as_bytes()),
        SECOND,
    );
    assert_eq!(
        (reset.interrupts_per_sec, reset.context_switches_per_sec),
        (None, None)
    );
    assert_eq!(reset.forks_per_sec, None);
}

#[test]
fn the_first_reading_has_cores_but_no_shares() {
    let cpu = derive_cpu(&CpuReading::default(), &reading(T0), SECOND);
    assert_eq!(cpu.usage_percent, None);
    assert_eq!(cpu.cores.len(), 2);
    assert_eq!(cpu.cores[0].usage_percent, None);
}

#[test]
fn nice_is_part_of_user_and_guests_are_not_counted_twice() {
    let cpu = derive_cpu(
        &reading(b"cpu  0 0 0 0 0 0 0 0 0 0\n"),
        &reading(b"cpu  30 10 0 60 0 0 0 0 30 10\n"),
        SECOND,
    );
    assert_eq!(
        cpu.user_percent,
        Some(40.0),
        "(30 + 10) / 100; guest 30 and guest_nice 10 are inside"
    );
    assert_eq!(cpu.nice_percent, Some(10.0));
}

#[test]
fn a_small_step_back_of_idle_is_no_growth_and_a_large_one_is_a_reset() {
    let before = [100, 0, 100, 1_000, 50, 0, 0, 0];
    // iowait 50 -> 46 is 4 ticks back; the rest grew by 100, 90 of it idle.
    assert_eq!(
        derive_growth(&before, &[110, 0, 100, 1_090, 46, 0, 0, 0]),
        Some([10, 0, 0, 90, 0, 0, 0, 0])
    );
    // 9 ticks back are less than 1 % of 1,000.
    assert!(derive_growth(&before, &[110, 0, 100, 1_990, 41, 0, 0, 0]).is_some());
    // 20 ticks back are more than 5 and more than 1 % of 100.
    assert_eq!(derive_growth(&before, &[110, 0, 100, 1_090, 30, 0, 0, 0]), None);
    // Time in user space never goes back.
    assert_eq!(derive_growth(&before, &[99, 0, 100, 1_090, 50, 0, 0, 0]), None);
}

#[test]
fn cores_are_matched_by_number_when_one_goes_offline() {
    let before =
        reading(b"cpu  4 0 0 4 0 0 0 0\ncpu0 1 0 0 1 0 0 0 0\ncpu1 1 0 0 1 0 0 0 0\ncpu2 2 0 0 2 0 0 0 0\n");
    let after =
        reading(b"cpu  8 0 0 8 0 0 0 0\ncpu0 2 0 0 2 0 0 0 0\ncpu2 5 0 0 3 0 0 0 0\ncpu3 9 0 0 9 0 0 0 0\n");
    let cpu = derive_cpu(&before, &after, SECOND);
    let cores: Vec<_> = cpu
        .cores
        .iter()
        .map(|core| (core.core, core.usage_percent))
        .collect();
    // cpu2: user 3 and idle 1 of 4.
    assert_eq!(cores, [(0, Some(50.0)), (2, Some(75.0)), (3, None)]);
}

proptest! {
    #[test]
    fn any_text_can_be_parsed(text: Vec<u8>) {
        parse_stat(&[b"cpu  ", &text[..], b"\ncpu", &text[..]].concat(), &mut CpuReading::default());
    }

    #[test]
    fn shares_lie_in_range_and_make_a_hundred(
        before in prop::array::uniform8(0_u64..1_000_000_000),
        grown in prop::array::uniform8(0_u64..1_000_000),
    ) {
        let mut after = before;
        for mode in 0..MODES {
            after[mode] += grown[mode];
        }
        let before = CpuReading { total: Some(before), cores: vec![], ..CpuReading::default() };
        let after = CpuReading { total: Some(after), cores: vec![], ..CpuReading::default() };
        let cpu = derive_cpu(&before, &after, SECOND);
        let parts = [
            cpu.user_percent, cpu.system_percent, cpu.idle_percent, cpu.iowait_percent, cpu.irq_percent,
            cpu.softirq_percent, cpu.steal_percent,
        ];
        if grown.iter().sum::<u64>() == 0 {
            prop_assert_eq!(parts, [None; 7]);
        } else {
            let sum: f64 = parts.iter().flatten().sum();
            prop_assert!((sum - 100.0).abs() < 0.04, "{}", sum);
            let all_in_range = parts.iter().flatten().all(|part| (0.0..=100.0).contains(part));
            prop_assert!(all_in_range);
        }
    }

    #[test]
    fn any_two_readings_give_percentages_or_nothing(before: [u64; 8], after: [u64; 8]) {
        let before = CpuReading { total: Some(before), cores: vec![], ..CpuReading::default() };
        let after = CpuReading { total: Some(after), cores: vec![], ..CpuReading::default() };
        let cpu = derive_cpu(&before, &after, SECOND);
        let in_range = cpu.usage_percent.is_none_or(|usage| (0.0..=100.0).contains(&usage));
        prop_assert!(in_range);
    }
}
