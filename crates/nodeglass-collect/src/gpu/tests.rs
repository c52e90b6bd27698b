//! GPUs of both makers, NVIDIA's behind a `libnvidia-ml` that the tests build (`tests/fake_nvml/nvml.c`): figures, what
//! is unsupported, sleep, loss and hangs. Expected values are those of the fake and of the composed AMD host.

mod fake;
mod healthy;
mod loss;
mod real;
mod sleep;
