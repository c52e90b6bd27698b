//! What a scrape costs: processor time for all `node_*` series of this host as text, printed with its size.
//!
//! `cargo run --release -p nodeglass-collect --example scrape_cost -- [scrapes] [pause in ms]`; with `print` in place of
//! them, the text of one scrape.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::path::Path;
    use std::time::Duration;

    use nodeglass_collect::exposition::{Exposition, Format, NodeReader};
    use nodeglass_collect::privacy::Privacy;
    use rustix::time::{ClockId, clock_gettime};

    // The clock counts every thread of the process, so the one that asks file systems is in it.
    let spent = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
    let mut reader = NodeReader::new(Path::new("/"), Duration::from_millis(500), Privacy::default());
    let mut scrape = || {
        let mut out = Exposition::new(Format::Text);
        reader.write(&mut out);
        out.finish()
    };
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|argument| argument == "print") {
        print!("{}", scrape());
        return Ok(());
    }
    let count: u32 = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let pause = Duration::from_millis(arguments.next().map_or(Ok(20), |text| text.parse())?);
    let text = scrape();
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    let before = spent();
    for _ in 0..count {
        std::thread::sleep(pause);
        scrape();
    }
    let each = spent().saturating_sub(before) / count;
    println!(
        "{count} scrapes: {} µs each, {series} series, {} bytes",
        each.as_micros(),
        text.len()
    );
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("there are node_* series on Linux only");
}
