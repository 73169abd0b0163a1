"""The dataset contract, schema version 1.

One run is one self-contained Parquet file; one row is one cell (an operation in one mode)
measured in one worker launch. Every field carries its unit and a description in its metadata,
so that the file explains itself: ``pyarrow.parquet.read_schema(path).field("median_s").metadata``.

The machine's full fingerprint is JSON under the key ``breakeven.machine`` of the file's
key-value metadata, the run's summary under ``breakeven.run``.
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1

MACHINE_METADATA_KEY = b"breakeven.machine"
RUN_METADATA_KEY = b"breakeven.run"
VERSION_METADATA_KEY = b"breakeven.schema_version"

STATUSES = ("ok", "unsupported", "out_of_memory", "timeout", "crashed", "wrong_result")
MODES = ("first_call", "hot", "cold", "resident", "end_to_end")
DEVICES = ("cpu", "cuda")
BACKENDS = ("python", "numpy", "numba", "torch", "cupy", "jax")
STOP_REASONS = ("precise", "plateau", "max_samples", "time_cap", "single")

_TEXT = pa.string()
_INT = pa.int64()
_REAL = pa.float64()
_FLAG = pa.bool_()
_REALS = pa.list_(pa.float64())
_PARAMS = pa.map_(pa.string(), pa.int64())


def _field(name: str, kind: pa.DataType, unit: str, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={"unit": unit, "description": description})


RUN_FIELDS = (
    _field("schema_version", _INT, "1", "version of this contract"),
    _field("run_id", _TEXT, "", "random identifier of the run"),
    _field("started_at", pa.timestamp("us", tz="UTC"), "UTC", "when the run started"),
    _field("collector_version", _TEXT, "", "version of the collector"),
    _field("suite", _TEXT, "", "quick, standard, full or survey"),
    _field("seed", _INT, "1", "seed of the order and of the inputs"),
    _field("order_index", _INT, "1", "position of the cell in the run, from 0"),
    _field("launch_index", _INT, "1", "which launch of its worker process measured it, from 0"),
)

MACHINE_FIELDS = (
    _field("machine_id", _TEXT, "", "this very box: type and hashed GPU UUIDs or machine-id"),
    _field("machine_type_id", _TEXT, "", "what a catalogue sells: models, counts, memory"),
    _field("label", _TEXT, "", "name for people"),
    _field(
        "instance_type",
        _TEXT,
        "",
        "cloud instance type where the DMI files or the metadata service tell",
    ),
    _field("cpu_model", _TEXT, "", "processor name as the kernel gives it"),
    _field("physical_cores", _INT, "1", "physical cores that this process may use"),
    _field("logical_cores", _INT, "1", "logical cores that this process may use"),
    _field("memory_bytes", _INT, "B", "main memory, or the cgroup's limit if lower"),
    _field("gpu_model", _TEXT, "", "GPU name as the driver gives it"),
    _field("gpu_count", _INT, "1", "GPUs seen"),
    _field("gpu_memory_bytes", _INT, "B", "memory of one GPU"),
    _field("driver", _TEXT, "", "GPU driver version"),
    _field("cuda", _TEXT, "", "CUDA version that the driver supports"),
    _field("library_versions", pa.map_(_TEXT, _TEXT), "", "versions of the measured libraries"),
    _field("blas", _TEXT, "", "BLAS library behind the backend, with its version"),
    _field("blas_threads", _INT, "1", "threads that the BLAS library reports"),
)

CELL_FIELDS = (
    _field("cell_id", _TEXT, "", "stable hash of the fields of this group"),
    _field("workload", _TEXT, "", "family"),
    _field("case", _TEXT, "", "case of the family"),
    _field("params", _PARAMS, "", "parameters of the case"),
    _field("size", _INT, "1", "principal size; its meaning is stated by the family"),
    _field("dtype", _TEXT, "", "element type of the operands"),
    _field("math_mode", _TEXT, "", "ieee, or tf32 for float32 operands on tensor cores"),
    _field("backend", _TEXT, "", "library"),
    _field("device", _TEXT, "", "cpu or cuda"),
    _field("threads", _INT, "1", "host threads that the library may use"),
    _field(
        "mode",
        _TEXT,
        "",
        "first_call, hot, cold (device time on a GPU), resident or end_to_end (host wall)",
    ),
)

WORK_FIELDS = (
    _field("flop_count", _REAL, "FLOP", "floating-point operations of one call"),
    _field("bytes_read", _REAL, "B", "bytes that one call must read from memory"),
    _field("bytes_written", _REAL, "B", "bytes that one call must write to memory"),
    _field("h2d_bytes", _REAL, "B", "bytes from host to device in one call"),
    _field("d2h_bytes", _REAL, "B", "bytes from device to host in one call"),
    _field("kernel_count", _INT, "1", "kernels (or library calls on a CPU) started by one call"),
)

RESULT_FIELDS = (
    _field("status", _TEXT, "", "ok, or why there is no time"),
    _field("error", _TEXT, "", "one line on what went wrong"),
    _field("samples_s", _REALS, "s", "every sample, in order: seconds of one call"),
    _field("calls_per_sample", _INT, "1", "calls that were timed together and divided by"),
    _field("n", _INT, "1", "number of samples"),
    _field("median_s", _REAL, "s", "median of the samples"),
    _field("ci95_low_s", _REAL, "s", "order-statistic 95 % interval of the median, low end"),
    _field("ci95_high_s", _REAL, "s", "order-statistic 95 % interval of the median, high end"),
    _field("mean_s", _REAL, "s", "mean of the samples"),
    _field("std_s", _REAL, "s", "sample standard deviation"),
    _field("min_s", _REAL, "s", "smallest sample"),
    _field("p95_s", _REAL, "s", "95th percentile of the samples"),
    _field("warmup_s", _REALS, "s", "every warm-up call, the first call first"),
    _field("stop_reason", _TEXT, "", f"{', '.join(STOP_REASONS[:-1])} or {STOP_REASONS[-1]}"),
    _field("timing_s", _REAL, "s", "wall time of warm-up and sampling, flushes and waits included"),
    _field("cell_wall_s", _REAL, "s", "wall time spent on this cell, set-up and checks included"),
)

QUALITY_FIELDS = (
    _field("noisy", _FLAG, "", "whether anything is named in noise_reasons"),
    _field("noise_reasons", _TEXT, "", "why the cell is noisy, comma-separated"),
    _field("outliers", _INT, "1", "samples further than 14.8 median absolute deviations away"),
    _field("throttle_reasons", _TEXT, "", "NVML clock event reasons seen, comma-separated"),
    _field("memory_clock_mhz", _REAL, "MHz", "median memory clock of the GPU during the cell"),
    _field("power_limit_w", _REAL, "W", "power limit that was enforced during the cell"),
    _field("pcie_generation", _INT, "1", "highest PCIe link generation seen during the cell"),
    _field("pcie_width", _INT, "1", "highest number of PCIe lanes seen during the cell"),
    _field("other_gpu_processes", _INT, "1", "compute processes on the GPU beside the worker"),
    _field("sm_clock_mhz", _REAL, "MHz", "median SM clock during the cell"),
    _field("temperature_c", _REAL, "degC", "highest GPU temperature during the cell"),
    _field("power_w", _REAL, "W", "median GPU power during the cell"),
    _field(
        "energy_j",
        _REAL,
        "J",
        "GPU energy of one call among many in a row, from the energy counter; gaps in which the "
        "GPU waits for the host are included",
    ),
    _field("cpu_mhz", _REAL, "MHz", "mean CPU frequency as the kernel reports it"),
    _field("steal_fraction", _REAL, "1", "share of CPU time that the hypervisor took away"),
    _field("affinity_cpus", _INT, "1", "logical CPUs that the worker was bound to"),
    _field("threads_confirmed", _FLAG, "", "no thread pool of the worker exceeds threads"),
    _field("involuntary_switches", _INT, "1", "times that the worker was preempted"),
    _field("relative_error", _REAL, "1", "worst error against the float64 reference"),
)

SCHEMA = pa.schema(
    [
        *RUN_FIELDS,
        *MACHINE_FIELDS,
        *CELL_FIELDS,
        *WORK_FIELDS,
        *RESULT_FIELDS,
        *QUALITY_FIELDS,
    ],
    metadata={VERSION_METADATA_KEY: str(SCHEMA_VERSION)},
)
