//! The NVIDIA driver as its thread sees it: the library, loaded at run time, and the GPUs that it has shown so far.
//!
//! It sets nothing, persistence mode neither, and does not call the driver about a GPU that sleeps. A GPU that was seen
//! awake is remembered and listed without figures while it sleeps; one that was never seen is not listed, since to learn
//! its number would wake it.

use std::path::PathBuf;
use std::time::Instant;

use nodeglass_model::sample::GpuMetrics;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::device::{Fault, Questions, read_figures, read_pcie, read_share};
use super::processes::{LastSeen, read_uses};
use super::sleep::{Bus, PciAddress, read_bus};
use crate::gpu::retry::Retry;
use crate::gpu::{Found, Wanted, usage};
use crate::sampler::Depth;

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) depth: Depth,
    pub(super) wanted: Wanted,
    pub(super) now: Instant,
    /// No GPU is asked for its PCIe throughput after this moment.
    pub(super) pcie_until: Instant,
}

/// What the driver said.
pub(super) enum Answer {
    Found(Found),
    /// There is no library or no driver, as on most hosts.
    NoDriver,
    /// It was there, or should be; the text is for a person.
    Failed(String),
}

/// One GPU, by its number in NVML.
struct Gpu {
    address: Option<PciAddress>,
    name: String,
    uuid: String,
    /// Whether the library, as it is loaded now, was asked who this is.
    identified: bool,
    last_seen: LastSeen,
    lost: Option<Lost>,
}

/// Why a GPU is left out, and until when.
struct Lost {
    reason: String,
    retry: Retry,
}

/// The library and what it has shown.
pub(super) struct Driver {
    library: Option<PathBuf>,
    host_root: PathBuf,
    nvml: Option<Nvml>,
    /// Whether it has been loaded before.
    worked: bool,
    gpus: Vec<Option<Gpu>>,
    /// The GPU whose turn it is to be asked first for PCIe throughput.
    pcie_turn: usize,
}

impl Driver {
    pub(super) fn new(library: Option<PathBuf>, host_root: PathBuf) -> Self {
        Self {
            library,
            host_root,
            nvml: None,
            worked: false,
            gpus: Vec::new(),
            pcie_turn: 0,
        }
    }

    /// Reads every GPU that is awake.
    pub(super) fn read(&mut self, job: Job) -> Answer {
        let bus = read_bus(&self.host_root);
        if bus.awake.is_empty() && !bus.asleep.is_empty() {
            return Answer::Found(self.list_sleeping(&bus));
        }
        if self.gpus.iter().flatten().any(|gpu| gpu.may_be_back(job.now)) {
            // A GPU stays lost to a library that has lost it.
            self.let_go();
        }
        let nvml = match self.nvml.take().map_or_else(|| self.load(), Ok) {
            Ok(nvml) => nvml,
            Err(answer) => return answer,
        };
        match self.read_all(&nvml, &bus, job) {
            Ok(found) => {
                self.nvml = Some(nvml);
                Answer::Found(found)
            }
            Err(reason) => {
                // After an update of the driver only a fresh start works.
                drop(nvml);
                self.let_go();
                Answer::Failed(reason)
            }
        }
    }

    fn load(&mut self) -> Result<Nvml, Answer> {
        let mut builder = Nvml::builder();
        if let Some(path) = &self.library {
            builder.lib_path(path.as_os_str());
        }
        match builder.init() {
            Ok(nvml) => {
                self.worked = true;
                Ok(nvml)
            }
            Err(NvmlError::LibloadingError(_)) if self.library.is_none() && !self.worked => {
                Err(Answer::NoDriver)
            }
            Err(NvmlError::DriverNotLoaded | NvmlError::LibraryNotFound) if !self.worked => {
                Err(Answer::NoDriver)
            }
            Err(error) => Err(Answer::Failed(format!("NVML does not start: {error}"))),
        }
    }

    fn let_go(&mut self) {
        self.nvml = None;
        for gpu in self.gpus.iter_mut().flatten() {
            gpu.identified = false;
        }
    }

    fn list_sleeping(&self, bus: &Bus) -> Found {
        let mut found = Found::default();
        for (index, gpu) in self.gpus.iter().enumerate() {
            if let Some(gpu) = gpu
                && gpu.address.is_some_and(|address| bus.asleep.contains(&address))
            {
                found.gpus.push(gpu.entry(index));
            }
        }
        found
    }

    /// # Errors
    /// The driver is lost to this library.
    fn read_all(&mut self, nvml: &Nvml, bus: &Bus, job: Job) -> Result<Found, String> {
        let mut found = Found::default();
        let awake = self.list_awake(nvml, bus, &mut found)?;
        // Where each GPU stands in the list, for those that may be asked for PCIe throughput.
        let mut answered = Vec::new();
        for index in 0..self.gpus.len() {
            let Some(gpu) = &mut self.gpus[index] else {
                continue;
            };
            if awake.contains(&index) {
                let first = found.gpus.len();
                if gpu.read(nvml, index, job, &mut found)? {
                    answered.push((index, first));
                }
            } else {
                found.gpus.push(gpu.entry(index));
            }
        }
        if job.depth == Depth::Full && job.wanted.pcie {
            self.read_pcie(nvml, &answered, job.pcie_until, &mut found.gpus);
        }
        Ok(found)
    }

    /// The numbers of the GPUs that may be asked; each has its place in `self.gpus`.
    fn list_awake(&mut self, nvml: &Nvml, bus: &Bus, found: &mut Found) -> Result<Vec<usize>, String> {
        if bus.asleep.is_empty() {
            let count =
                nvml.device_count()
                    .map_err(|error| format!("NVML can't list the GPUs: {error}"))? as usize;
            self.gpus.resize_with(count, || None);
            for gpu in &mut self.gpus {
                gpu.get_or_insert_with(Gpu::unknown);
            }
            return Ok((0..count).collect());
        }
        // To ask by number could mean one that sleeps: only those known to be awake are asked, by their address.
        let mut awake = Vec::new();
        for address in &bus.awake {
            let known = self.gpus.iter().position(|gpu| {
                gpu.as_ref()
                    .is_some_and(|gpu| gpu.identified && gpu.address == Some(*address))
            });
            let index = match known {
                Some(index) => index,
                None => match find(nvml, *address) {
                    Ok(index) => index,
                    // A container sees GPUs on the bus that it may not use.
                    Err(NvmlError::NotFound | NvmlError::NoPermission) => continue,
                    Err(error) => {
                        found.failures.push(format!("GPU at {address}: {error}"));
                        continue;
                    }
                },
            };
            if self.gpus.len() <= index {
                self.gpus.resize_with(index + 1, || None);
            }
            self.gpus[index].get_or_insert_with(Gpu::unknown);
            awake.push(index);
        }
        // What is neither awake nor asleep is no longer there.
        for (index, gpu) in self.gpus.iter_mut().enumerate() {
            let sleeps = gpu
                .as_ref()
                .and_then(|gpu| gpu.address)
                .is_some_and(|address| bus.asleep.contains(&address));
            if !sleeps && !awake.contains(&index) {
                *gpu = None;
            }
        }
        Ok(awake)
    }

    /// Asks for PCIe throughput last and while there is time, each time beginning with another GPU.
    fn read_pcie(
        &mut self,
        nvml: &Nvml,
        answered: &[(usize, usize)],
        until: Instant,
        gpus: &mut [GpuMetrics],
    ) {
        for _ in 0..answered.len() {
            if Instant::now() >= until {
                return;
            }
            let (index, place) = answered[self.pcie_turn % answered.len()];
            self.pcie_turn = (self.pcie_turn + 1) % answered.len();
            if let Ok(device) = nvml.device_by_index(index as u32) {
                // What goes wrong here is met again, and told, at the next reading.
                read_pcie(&mut gpus[place], &mut Questions::new(&device));
            }
        }
    }
}

impl Gpu {
    fn unknown() -> Self {
        Self {
            address: None,
            name: String::new(),
            uuid: String::new(),
            identified: false,
            last_seen: None,
            lost: None,
        }
    }

    fn may_be_back(&self, now: Instant) -> bool {
        self.lost.as_ref().is_some_and(|lost| lost.retry.is_due(now))
    }

    /// Who it is, without figures.
    fn entry(&self, index: usize) -> GpuMetrics {
        GpuMetrics {
            index: index as u32,
            name: self.name.clone(),
            uuid: self.uuid.clone(),
            ..GpuMetrics::default()
        }
    }

    /// Reads it and its MIG instances into `found`; whether it answered. A GPU that is lost is listed without figures.
    ///
    /// # Errors
    /// The driver is lost to this library.
    fn read(&mut self, nvml: &Nvml, index: usize, job: Job, found: &mut Found) -> Result<bool, String> {
        if let Some(lost) = &self.lost
            && !lost.retry.is_due(job.now)
        {
            found.failures.push(lost.reason.clone());
            found.gpus.push(self.entry(index));
            return Ok(false);
        }
        let (places, uses) = (found.gpus.len(), &mut found.uses);
        let read = nvml
            .device_by_index(index as u32)
            .map_err(|error| match Fault::of(error) {
                Ok(fault) => fault,
                // Without a handle there are no figures, whatever the reason.
                Err(error) => Fault::Gpu(error),
            })
            .and_then(|device| self.read_device(&device, index, job, &mut found.gpus))
            .map(|more| usage::add(uses, more));
        match read {
            Ok(()) => {
                self.lost = None;
                Ok(true)
            }
            Err(Fault::Driver(error)) => Err(format!("the NVIDIA driver is lost: {error}")),
            Err(Fault::Gpu(error)) => {
                found.gpus.truncate(places);
                found.gpus.push(self.entry(index));
                let name = if self.name.is_empty() { "?" } else { &self.name };
                let reason = format!("GPU {index} ({name}) is left out: {error}");
                found.failures.push(reason.clone());
                let before = self.lost.as_ref().map(|lost| lost.retry);
                self.lost = Some(Lost {
                    reason,
                    retry: Retry::after(before, job.now),
                });
                Ok(false)
            }
        }
    }

    fn read_device(
        &mut self,
        device: &Device<'_>,
        index: usize,
        job: Job,
        gpus: &mut Vec<GpuMetrics>,
    ) -> Result<usage::GpuUses, Fault> {
        let mut questions = Questions::new(device);
        self.identify(&mut questions);
        let mut whole = self.entry(index);
        read_figures(&mut whole, &mut questions, job.depth);
        gpus.push(whole);
        let instances = list_instances(&mut questions);
        for (number, instance) in &instances {
            let mut questions = Questions::new(instance);
            let mut part = GpuMetrics {
                index: index as u32,
                mig_instance: Some(*number),
                name: questions.ask(Device::name).unwrap_or_default(),
                uuid: questions.ask(Device::uuid).unwrap_or_default(),
                ..GpuMetrics::default()
            };
            read_share(&mut part, &mut questions);
            questions.end()?;
            gpus.push(part);
        }
        let uses = if job.depth == Depth::Full && job.wanted.processes {
            let instances: Vec<Device<'_>> = instances.into_iter().map(|(_, instance)| instance).collect();
            read_uses(&mut questions, &instances, &mut self.last_seen)
        } else {
            usage::GpuUses::new()
        };
        questions.end()?;
        Ok(uses)
    }

    /// Learns once per start of the library who stands behind a number.
    fn identify(&mut self, questions: &mut Questions<'_, '_>) {
        if self.identified {
            return;
        }
        let uuid = questions.ask(Device::uuid).unwrap_or_default();
        let name = questions.ask(Device::name).unwrap_or_default();
        let address = questions.ask(Device::pci_info).map(|pci| PciAddress {
            domain: pci.domain,
            bus: pci.bus,
            device: pci.device,
        });
        if !questions.is_well() {
            return;
        }
        if uuid != self.uuid {
            self.last_seen = None;
        }
        (self.uuid, self.name, self.address, self.identified) = (uuid, name, address, true);
    }
}

/// The MIG instances with their numbers; none on a GPU that is not split.
fn list_instances<'nvml>(questions: &mut Questions<'_, 'nvml>) -> Vec<(u32, Device<'nvml>)> {
    let is_split = questions
        .ask(Device::mig_mode)
        .is_some_and(|mode| mode.current == 1);
    let most = if is_split {
        questions.ask(Device::mig_device_count).unwrap_or(0)
    } else {
        0
    };
    (0..most)
        .filter_map(|number| {
            Some((
                number,
                questions.ask(|device| device.mig_device_by_index(number))?,
            ))
        })
        .collect()
}

fn find(nvml: &Nvml, address: PciAddress) -> Result<usize, NvmlError> {
    let index = nvml.device_by_pci_bus_id(address.to_string())?.index()?;
    Ok(index as usize)
}
