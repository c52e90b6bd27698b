//! AMD GPUs through `/sys/class/drm` and their sensors in hwmon, on a thread of its own: the files are answered by the
//! driver, which waits for the GPU.
//!
//! A card in runtime suspend is asked for nothing but its identity and its state, which the kernel keeps in memory; most
//! of its other files would wake it. Between the look at its state and the reading it could fall asleep and be woken
//! once; the window is a few microseconds.

mod files;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nodeglass_model::rates::percent;
use nodeglass_model::sample::GpuMetrics;

use self::files::{Attribute, list, read_text};
use super::Found;
use crate::config::CollectConfig;
use crate::sampler::Depth;
use crate::worker::{NoAnswer, Worker};

/// Cards come and go with their driver; to look for them costs a file each.
const LIST_AGE: Duration = Duration::from_mins(1);

/// AMD's number on the PCI bus.
const VENDOR: &str = "0x1002";

const DIRECTORY: &str = "sys/class/drm";

/// What is to be read.
#[derive(Clone, Copy)]
struct Job {
    depth: Depth,
    now: Instant,
}

/// Reads every AMD GPU. Its thread is started when there is one.
pub(super) struct AmdCollector {
    worker: Worker<Job, Vec<GpuMetrics>>,
    root: PathBuf,
    deadline: Duration,
    looked_at: Option<Instant>,
    is_present: bool,
    started: Option<Result<(), NoAnswer>>,
}

impl AmdCollector {
    pub(super) fn new(config: &CollectConfig) -> Self {
        let root = config.host_root.join(DIRECTORY);
        Self {
            worker: Worker::new("collect-amd", {
                let root = root.clone();
                move || {
                    let mut cards = Cards::new(root.clone());
                    move |job: Job| cards.read(job)
                }
            }),
            root,
            deadline: config.deadline,
            looked_at: None,
            is_present: false,
            started: None,
        }
    }

    pub(super) fn start(&mut self, now: Instant, depth: Depth) {
        if !self.is_present && is_older(self.looked_at, now) {
            self.looked_at = Some(now);
            self.is_present = !list_cards(&self.root).is_empty();
        }
        self.started = self.is_present.then(|| self.worker.start(Job { depth, now }));
    }

    /// What the driver answered, numbered from 0.
    pub(super) fn finish(&mut self, until: Instant) -> Found {
        let Some(started) = self.started.take() else {
            return Found::default();
        };
        match started.and_then(|()| self.worker.finish(until)) {
            Ok(gpus) => Found {
                gpus,
                ..Found::default()
            },
            Err(NoAnswer::Late) => Found::failed(Some(format!(
                "the AMD driver gave no answer within {} ms; its GPUs are left out until it answers",
                self.deadline.as_millis()
            ))),
            Err(NoAnswer::Ended) => Found::failed(Some(
                "the thread that asks the AMD driver ended; it is started anew".to_owned(),
            )),
        }
    }
}

fn is_older(at: Option<Instant>, now: Instant) -> bool {
    at.is_none_or(|at| now.saturating_duration_since(at) >= LIST_AGE)
}

/// The cards that the thread knows.
struct Cards {
    root: PathBuf,
    known: Vec<Card>,
    listed_at: Option<Instant>,
}

impl Cards {
    fn new(root: PathBuf) -> Self {
        Self {
            root,
            known: Vec::new(),
            listed_at: None,
        }
    }

    fn read(&mut self, job: Job) -> Vec<GpuMetrics> {
        if is_older(self.listed_at, job.now) {
            let found = list_cards(&self.root);
            // Files stay open unless something changed. hwmon's number changes when the driver is loaded anew.
            if !found.iter().eq(self.known.iter().map(|card| &card.place)) {
                self.known = found.into_iter().map(Card::new).collect();
            }
            self.listed_at = Some(job.now);
        }
        let numbered = (0..).zip(&mut self.known);
        numbered
            .map(|(index, card)| card.read(index, job.depth))
            .collect()
    }
}

/// Where a card's files are.
#[derive(Debug, PartialEq)]
struct Place {
    device: PathBuf,
    hwmon: Option<PathBuf>,
}

/// The cards of AMD in the order of their numbers. Outputs (`card0-DP-1`) are no cards.
fn list_cards(root: &Path) -> Vec<Place> {
    let mut cards: Vec<(u32, PathBuf)> = list(root)
        .filter_map(|(name, path)| Some((name.strip_prefix("card")?.parse().ok()?, path.join("device"))))
        .filter(|(_, device)| read_text(&device.join("vendor")).as_deref() == Some(VENDOR))
        .collect();
    cards.sort();
    cards
        .into_iter()
        .map(|(_, device)| Place {
            hwmon: list(&device.join("hwmon")).map(|(_, path)| path).min(),
            device,
        })
        .collect()
}

/// One card with its files kept open.
struct Card {
    place: Place,
    name: String,
    uuid: String,
    state: Attribute,
    busy: Attribute,
    memory_busy: Attribute,
    memory_total: Attribute,
    memory_used: Attribute,
    graphics_clock: Attribute,
    memory_clock: Attribute,
    memory_errors: Attribute,
    /// The edge of the chip, or where that has no sensor its hottest spot.
    temperature: [Attribute; 2],
    /// Averaged, or where that is not offered of the moment.
    power: [Attribute; 2],
    power_limit: Attribute,
    fan_duty: Attribute,
    fan_duty_most: Attribute,
    fan_speed: Attribute,
    fan_speed_most: Attribute,
}

impl Card {
    fn new(place: Place) -> Self {
        let device = |name: &str| Attribute::new(Some(place.device.join(name)));
        let sensor = |name: &str| Attribute::new(place.hwmon.as_ref().map(|hwmon| hwmon.join(name)));
        Self {
            name: model(&place.device),
            uuid: read_text(&place.device.join("unique_id")).unwrap_or_default(),
            state: device("power/runtime_status"),
            busy: device("gpu_busy_percent"),
            memory_busy: device("mem_busy_percent"),
            memory_total: device("mem_info_vram_total"),
            memory_used: device("mem_info_vram_used"),
            graphics_clock: device("pp_dpm_sclk"),
            memory_clock: device("pp_dpm_mclk"),
            memory_errors: device("ras/umc_err_count"),
            temperature: [sensor("temp1_input"), sensor("temp2_input")],
            power: [sensor("power1_average"), sensor("power1_input")],
            power_limit: sensor("power1_cap"),
            fan_duty: sensor("pwm1"),
            fan_duty_most: sensor("pwm1_max"),
            fan_speed: sensor("fan1_input"),
            fan_speed_most: sensor("fan1_max"),
            place,
        }
    }

    fn read(&mut self, index: u32, depth: Depth) -> GpuMetrics {
        let mut gpu = GpuMetrics {
            index,
            name: self.name.clone(),
            uuid: self.uuid.clone(),
            ..GpuMetrics::default()
        };
        let state = self.state.read();
        if state.is_some_and(|state| matches!(state.trimmed(), b"suspended" | b"suspending")) {
            return gpu;
        }
        gpu.utilization_percent = self.busy.share();
        gpu.memory_utilization_percent = self.memory_busy.share();
        gpu.memory_total_bytes = self.memory_total.number();
        gpu.memory_used_bytes = self.memory_used.number();
        gpu.memory_usage_percent = gpu
            .memory_used_bytes
            .zip(gpu.memory_total_bytes)
            .and_then(|(used, total)| percent(used.min(total), total));
        gpu.temperature_celsius = first(&mut self.temperature, Attribute::celsius);
        gpu.power_watts = first(&mut self.power, Attribute::watts);
        gpu.power_limit_watts = self.power_limit.watts();
        gpu.graphics_clock_mhz = self.graphics_clock.clock();
        gpu.memory_clock_mhz = self.memory_clock.clock();
        gpu.fan_percent = part(&mut self.fan_duty, &mut self.fan_duty_most)
            .or_else(|| part(&mut self.fan_speed, &mut self.fan_speed_most));
        if depth == Depth::Full
            && let Some(errors) = self.memory_errors.read()
        {
            gpu.ecc_corrected_errors = errors.labelled(b"ce:");
            gpu.ecc_uncorrected_errors = errors.labelled(b"ue:");
        }
        gpu
    }
}

/// The product's name where the board has one written into it, else the number of its model. Neither wakes the card.
fn model(device: &Path) -> String {
    read_text(&device.join("product_name")).unwrap_or_else(|| {
        read_text(&device.join("device"))
            .map_or_else(|| "AMD GPU".to_owned(), |number| format!("AMD GPU {number}"))
    })
}

fn first(attributes: &mut [Attribute], read: impl Fn(&mut Attribute) -> Option<f64>) -> Option<f64> {
    attributes.iter_mut().find_map(read)
}

fn part(value: &mut Attribute, most: &mut Attribute) -> Option<f64> {
    let most = most.number()?;
    percent(value.number()?.min(most), most)
}

impl Attribute {
    fn number(&mut self) -> Option<u64> {
        self.read()?.number()
    }

    fn share(&mut self) -> Option<f64> {
        Some(self.number()?.min(100) as f64)
    }

    fn celsius(&mut self) -> Option<f64> {
        Some(self.read()?.signed()? as f64 / 1000.0)
    }

    fn watts(&mut self) -> Option<f64> {
        Some(self.number()? as f64 / 1e6)
    }

    fn clock(&mut self) -> Option<u32> {
        self.read()?.current_mhz()
    }
}

#[cfg(test)]
mod tests;
