//! The figures of one NVIDIA GPU or MIG instance. Each is absent where the device or the driver does not have it.

use nodeglass_model::rates::percent;
use nodeglass_model::sample::GpuMetrics;
use nvml_wrapper::Device;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{
    Clock, EccCounter, MemoryError, PcieUtilCounter, TemperatureSensor,
};
use nvml_wrapper::error::NvmlError;

use crate::sampler::Depth;

/// NVML counts PCIe traffic in kilobytes.
const KILOBYTE: u64 = 1000;

/// How far an error reaches.
#[derive(Debug)]
pub(super) enum Fault {
    /// This GPU is gone; others may be well.
    Gpu(NvmlError),
    /// Nothing can be asked any more until the library is started anew.
    Driver(NvmlError),
}

impl Fault {
    /// # Errors
    /// The error itself, if it costs one answer only.
    pub(super) fn of(error: NvmlError) -> Result<Self, NvmlError> {
        match error {
            NvmlError::GpuLost | NvmlError::ResetRequired => Ok(Self::Gpu(error)),
            NvmlError::Uninitialized | NvmlError::DriverNotLoaded | NvmlError::LibRmVersionMismatch => {
                Ok(Self::Driver(error))
            }
            other => Err(other),
        }
    }
}

/// Asks one device, and asks it no more once it is gone.
pub(super) struct Questions<'a, 'nvml> {
    device: &'a Device<'nvml>,
    fault: Option<Fault>,
}

impl<'a, 'nvml> Questions<'a, 'nvml> {
    pub(super) fn new(device: &'a Device<'nvml>) -> Self {
        Self { device, fault: None }
    }

    /// The answer, or `None` if there is none.
    pub(super) fn ask<T>(
        &mut self,
        question: impl FnOnce(&Device<'nvml>) -> Result<T, NvmlError>,
    ) -> Option<T> {
        if self.fault.is_some() {
            return None;
        }
        match question(self.device) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.fault = Fault::of(error).ok();
                None
            }
        }
    }

    /// Whether the device has answered so far.
    pub(super) fn is_well(&self) -> bool {
        self.fault.is_none()
    }

    /// Ends the questions.
    ///
    /// # Errors
    /// The fault that was met; answers so far are worth nothing.
    pub(super) fn end(self) -> Result<(), Fault> {
        self.fault.map_or(Ok(()), Err)
    }
}

/// Fills in everything but PCIe throughput.
pub(super) fn read_figures(gpu: &mut GpuMetrics, questions: &mut Questions<'_, '_>, depth: Depth) {
    read_share(gpu, questions);
    gpu.temperature_celsius = questions
        .ask(|device| device.temperature(TemperatureSensor::Gpu))
        .map(f64::from);
    gpu.power_watts = questions.ask(Device::power_usage).map(watts);
    gpu.power_limit_watts = questions.ask(Device::enforced_power_limit).map(watts);
    gpu.graphics_clock_mhz = questions.ask(|device| device.clock_info(Clock::Graphics));
    gpu.memory_clock_mhz = questions.ask(|device| device.clock_info(Clock::Memory));
    gpu.fan_percent = read_fan(questions);
    if let Some(reasons) = questions.ask(Device::current_throttle_reasons) {
        set_throttling(gpu, reasons);
    }
    if depth == Depth::Full {
        gpu.ecc_corrected_errors =
            questions.ask(|device| device.total_ecc_errors(MemoryError::Corrected, EccCounter::Volatile));
        gpu.ecc_uncorrected_errors =
            questions.ask(|device| device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile));
        gpu.encoder_percent = questions
            .ask(Device::encoder_utilization)
            .map(|encoder| share(encoder.utilization));
        gpu.decoder_percent = questions
            .ask(Device::decoder_utilization)
            .map(|decoder| share(decoder.utilization));
    }
}

/// Fills in what a MIG instance has of its own too: utilisation and memory.
pub(super) fn read_share(gpu: &mut GpuMetrics, questions: &mut Questions<'_, '_>) {
    if let Some(rates) = questions.ask(Device::utilization_rates) {
        gpu.utilization_percent = Some(share(rates.gpu));
        gpu.memory_utilization_percent = Some(share(rates.memory));
    }
    if let Some(memory) = questions.ask(Device::memory_info) {
        gpu.memory_total_bytes = Some(memory.total);
        gpu.memory_used_bytes = Some(memory.used);
        gpu.memory_usage_percent = percent(memory.used.min(memory.total), memory.total);
    }
}

/// Fills in PCIe throughput. The driver counts for 20 ms in each of the two calls.
pub(super) fn read_pcie(gpu: &mut GpuMetrics, questions: &mut Questions<'_, '_>) {
    let mut ask = |counter| {
        questions
            .ask(|device| device.pcie_throughput(counter))
            .map(|kilobytes| u64::from(kilobytes) * KILOBYTE)
    };
    gpu.pcie_recv_bytes_per_sec = ask(PcieUtilCounter::Receive);
    gpu.pcie_sent_bytes_per_sec = ask(PcieUtilCounter::Send);
}

/// The fastest fan. Drivers that can't count fans are asked for the first.
fn read_fan(questions: &mut Questions<'_, '_>) -> Option<f64> {
    let fans = questions.ask(Device::num_fans).unwrap_or(1);
    (0..fans)
        .filter_map(|fan| questions.ask(|device| device.fan_speed(fan)))
        .max()
        .map(share)
}

/// A hardware slowdown is told together with its cause, where that is known.
fn set_throttling(gpu: &mut GpuMetrics, reasons: ThrottleReasons) {
    let power = ThrottleReasons::SW_POWER_CAP | ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN;
    let heat = ThrottleReasons::SW_THERMAL_SLOWDOWN | ThrottleReasons::HW_THERMAL_SLOWDOWN;
    let causes = ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN | ThrottleReasons::HW_THERMAL_SLOWDOWN;
    let otherwise = reasons.contains(ThrottleReasons::SYNC_BOOST)
        || (reasons.contains(ThrottleReasons::HW_SLOWDOWN) && !reasons.intersects(causes));
    gpu.throttled_by_power = Some(reasons.intersects(power).into());
    gpu.throttled_by_heat = Some(reasons.intersects(heat).into());
    gpu.throttled_otherwise = Some(otherwise.into());
}

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1000.0
}

fn share(percent: u32) -> f64 {
    f64::from(percent.min(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_throttling_are_told_apart() {
        let flags = |bits: u64| {
            let mut gpu = GpuMetrics::default();
            set_throttling(&mut gpu, ThrottleReasons::from_bits_truncate(bits));
            [
                gpu.throttled_by_power,
                gpu.throttled_by_heat,
                gpu.throttled_otherwise,
            ]
            .map(Option::unwrap)
        };
        assert_eq!(flags(0), [0, 0, 0]);
        assert_eq!(flags(1), [0, 0, 0], "idle");
        assert_eq!(flags(2 | 256), [0, 0, 0], "settings of clocks and of the display");
        assert_eq!(flags(4), [1, 0, 0], "power cap");
        assert_eq!(flags(8), [0, 0, 1], "a slowdown without a cause");
        assert_eq!(flags(8 | 64), [0, 1, 0], "a slowdown by heat");
        assert_eq!(flags(8 | 128), [1, 0, 0], "a slowdown by the power brake");
        assert_eq!(flags(16), [0, 0, 1], "another GPU of its group");
        assert_eq!(flags(4 | 32), [1, 1, 0], "power cap and software's heat limit");
    }
}
