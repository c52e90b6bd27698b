//! Parts of what an agent does, measured within one process: what `cargo xtask bench agent` asks beside the running
//! agent. Each prints one JSON object.
//!
//! ```text
//! measure sampling SECONDS (light|full) [METRIC THAT IS LEFT OUT]...
//! measure floor SECONDS         reads nine files of /proc each second and does nothing with them
//! measure journal SECONDS       records this host for so long; at the end of its input, plays a day of it
//! measure work TREE LIGHT FULL APPENDS       so much work on a captured tree, for a count of instructions
//! ```

#[cfg(target_os = "linux")]
mod day;
#[cfg(target_os = "linux")]
mod motion;
#[cfg(target_os = "linux")]
mod work;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    use anyhow::{Context, bail};

    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let answer = match words.as_slice() {
        ["sampling", seconds, depth, left_out @ ..] => {
            let depth = match *depth {
                "light" => nodeglass_collect::Depth::Light,
                "full" => nodeglass_collect::Depth::Full,
                other => bail!("{other:?} is neither light nor full"),
            };
            sampling(seconds.parse().context("SECONDS")?, depth, left_out)?
        }
        ["floor", seconds] => floor(seconds.parse().context("SECONDS")?)?,
        ["journal", seconds] => day::play(seconds.parse().context("SECONDS")?)?,
        ["work", tree, light, full, appends] => {
            work::run(tree.as_ref(), light.parse()?, full.parse()?, appends.parse()?)?
        }
        _ => bail!("measure what? sampling, floor, journal or work; see the head of this file"),
    };
    println!("{answer}");
    Ok(())
}

/// A sample each second: processor time of the whole process for each, its threads and its waking up with it.
#[cfg(target_os = "linux")]
fn sampling(
    seconds: u32,
    depth: nodeglass_collect::Depth,
    left_out: &[&str],
) -> anyhow::Result<serde_json::Value> {
    use nodeglass_collect::{CollectConfig, Depth, Sampler};
    use nodeglass_model::filter::MetricFilter;
    use nodeglass_model::{Clock, SystemClock};

    let exclude: Vec<String> = left_out.iter().map(|&metric| metric.to_owned()).collect();
    let filter = MetricFilter::new(&[], &exclude).map_err(|unknown| anyhow::anyhow!("{unknown:?}"))?;
    let mut sampler = Sampler::new(CollectConfig {
        filter,
        ..CollectConfig::default()
    })?;
    // The first samples open files and start threads; those after them are what an agent pays.
    let first = sampler.sample(SystemClock.now(), Depth::Full);
    drop((first, sampler.sample(SystemClock.now(), depth)));
    let mut series = 0;
    let cpu_ms = each_second(seconds, || {
        series = motion::values(&sampler.sample(SystemClock.now(), depth));
        Ok(())
    })?;
    Ok(serde_json::json!({ "cpu_ms": cpu_ms, "series": series }))
}

/// What no sampler can go below, and so how fast this machine is: the kernel writes nine files, from descriptors kept open.
#[cfg(target_os = "linux")]
fn floor(seconds: u32) -> anyhow::Result<serde_json::Value> {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    const FILES: [&str; 9] = [
        "stat",
        "meminfo",
        "diskstats",
        "net/dev",
        "loadavg",
        "vmstat",
        "pressure/cpu",
        "pressure/io",
        "pressure/memory",
    ];
    let files = FILES.map(|name| File::open(format!("/proc/{name}")));
    // Some kernels have no pressure.
    let files: Vec<File> = files.into_iter().flatten().collect();
    let mut buffer = vec![0; 64 << 10];
    let cpu_ms = each_second(seconds, || {
        for file in &files {
            file.read_at(&mut buffer, 0)?;
        }
        Ok(())
    })?;
    Ok(serde_json::json!({ "cpu_ms": cpu_ms, "files": files.len() }))
}

/// Does something once a second; gives the milliseconds of processor time that each took.
#[cfg(target_os = "linux")]
fn each_second(seconds: u32, mut something: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::time::{ClockId, clock_gettime};

    let spent = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
    let (before, began) = (spent(), Instant::now());
    for second in 1..=seconds {
        let due = began + Duration::from_secs(1) * second;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        something()?;
    }
    Ok(spent().saturating_sub(before).as_secs_f64() * 1e3 / f64::from(seconds))
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the processor time of a process is measured on Linux only");
}
