//! What a sample costs: processor time per sample of this host, printed for several sets of metrics, for
//! light samples and for full ones.
//!
//! `cargo run --release -p nodeglass-collect --example cost -- [samples] [pause in ms]`

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::time::Duration;

    use nodeglass_collect::{Backend, CollectConfig, Depth, Sampler};
    use nodeglass_model::UnixMillis;
    use nodeglass_model::filter::MetricFilter;
    use rustix::time::{ClockId, clock_gettime};

    // The clock counts every thread of the process, so the threads that ask file systems and drivers are in it.
    let spent = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
    let mut arguments = std::env::args().skip(1);
    let count: u32 = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let pause = Duration::from_millis(arguments.next().map_or(Ok(20), |text| text.parse())?);
    let rows: [(&str, Backend, &[&str], &[&str]); 23] = [
        ("everything", Backend::Linux, &[], &[]),
        (
            "without processes",
            Backend::Linux,
            &[],
            &["process", "processes", "task"],
        ),
        ("cpu", Backend::Linux, &["cpu"], &["cpu.temperature"]),
        ("memory", Backend::Linux, &["memory"], &[]),
        ("pressure", Backend::Linux, &["pressure"], &[]),
        ("vm", Backend::Linux, &["vm"], &[]),
        ("disk", Backend::Linux, &["disk"], &[]),
        (
            "disk, I/O only",
            Backend::Linux,
            &["disk.write_bytes_per_sec"],
            &[],
        ),
        ("network", Backend::Linux, &["network"], &[]),
        ("tcp", Backend::Linux, &["tcp"], &[]),
        ("udp", Backend::Linux, &["udp"], &[]),
        ("system", Backend::Linux, &["system"], &[]),
        ("clock", Backend::Linux, &["clock"], &[]),
        ("nfs", Backend::Linux, &["nfs"], &[]),
        ("load", Backend::Linux, &["load"], &[]),
        ("processes by state", Backend::Linux, &["processes"], &[]),
        (
            "processes, the first",
            Backend::Linux,
            &["processes", "process"],
            &[],
        ),
        ("container", Backend::Linux, &["container"], &[]),
        ("sensor", Backend::Linux, &["sensor"], &[]),
        (
            "power, fan, battery",
            Backend::Linux,
            &["power", "fan", "battery"],
            &[],
        ),
        ("systemd", Backend::Linux, &["systemd", "unit"], &[]),
        ("gpu", Backend::Linux, &["gpu"], &[]),
        ("everything, portable", Backend::Portable, &[], &[]),
    ];
    println!(
        "{count} samples each, {} ms apart; µs of CPU a sample",
        pause.as_millis()
    );
    println!("{:>22}  {:>6} {:>6}", "", "light", "full");
    for (name, backend, include, exclude) in rows {
        let owned = |patterns: &[&str]| patterns.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let filter =
            MetricFilter::new(&owned(include), &owned(exclude)).map_err(|unknown| format!("{unknown:?}"))?;
        let mut sampler = Sampler::new(CollectConfig {
            backend,
            filter,
            ..CollectConfig::default()
        })?;
        // The first sample opens files and starts threads; those after it are what an agent pays.
        sampler.sample(UnixMillis(0), Depth::Full);
        let costs = [Depth::Light, Depth::Full].map(|depth| {
            let mut cost = Duration::ZERO;
            for number in 1..=count {
                std::thread::sleep(pause);
                let before = spent();
                sampler.sample(UnixMillis(i64::from(number)), depth);
                cost += spent().saturating_sub(before);
            }
            cost.as_secs_f64() * 1e6 / f64::from(count)
        });
        println!("{name:>22}: {:6.0} {:6.0}", costs[0], costs[1]);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the processor time of a process is measured on Linux only");
}
