"""Which unit of a GPU really does an operation, and at what dense peak.

What a library does with a type that the GPU has no units for decides, not the type: bfloat16 on
Turing is a float32 product between conversions. Sources: CUDA C++ Programming Guide, throughput of
native arithmetic instructions by compute capability; the architecture white papers named in
data/hardware.csv; AMD CDNA 3 white paper.

    float64      FP64 tensor cores where the sheet has them, for products; else FP64 units
    float32      FP32 units; products in tf32 on TF32 tensor cores, from Ampere on
    float16      products: FP16 tensor cores from Volta on, before on FP32 units; else FP32 units
    bfloat16     products: BF16 tensor cores from Ampere on, before on FP32 units; else FP32 units
    complex      FP32 or FP64 units: libraries split complex products into real ones of those
    int8         products: INT8 tensor cores from Turing on; dot products of four (DP4A) on GP104
                 and GV100; GP100 has neither
    int32/64     INT32 units, two instructions for 64 bits; int8 that is no product and bool too
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from collector.errors import NoSuchUnitError, UnknownFigureError

_MATRIX_NAME: Mapping[str, str] = {"CDNA 3": "matrix cores"}  # NVIDIA's: tensor cores

#: Generations before the first with tensor cores of a type. NVIDIA white papers: FP16 from Volta
#: (WP-08608), INT8 from Turing (WP-09183), BF16 and TF32 from Ampere on (A100, 2020).
_WITHOUT: Mapping[str, frozenset[str]] = {
    "float16": frozenset({"Pascal"}),
    "bfloat16": frozenset({"Pascal", "Volta", "Turing"}),
    "tf32": frozenset({"Pascal", "Volta", "Turing"}),
    "int8": frozenset({"Pascal", "Volta"}),
}
#: Chips with DP4A (compute capability 6.1, 7.0): four int8 products and sums a lane and clock.
_DP4A = frozenset({"GP102", "GP104", "GV100"})
#: INT32 additions per FP32 operation (a fused multiply-add counts two) and clock of a
#: multiprocessor: 64 lanes beside 64, or of 128, by compute capability; GB202 has 128 of 128.
_INT32_PER_FP32: Mapping[str, float] = {
    "Pascal": 1 / 2,
    "Volta": 1 / 2,
    "Turing": 1 / 2,
    "Ampere": 1 / 4,
    "Ada": 1 / 4,
    "Hopper": 1 / 4,
    "Blackwell": 1 / 4,
    "Blackwell Ultra": 1 / 4,
    "CDNA 3": 1 / 4,
}
_INT32_OF_CHIP: Mapping[str, float] = {"GA100": 1 / 2, "GB202": 1 / 2}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of a GPU and its dense peak rate for one element type, in operations per second.

    ``emulated``: the type is converted and computed on units of another type, which costs
    conversions besides; ``note`` says so, or why the unit is not the one that the type suggests.
    """

    name: str
    flop_per_s: float
    emulated: bool = False
    note: str = ""


class Sheet(Protocol):
    """The figures of a data sheet that units follow from; rates in TFLOP/s, None: not known."""

    @property
    def name(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def chip(self) -> str: ...
    @property
    def fp64_tflops(self) -> float | None: ...
    @property
    def fp64_tensor_tflops(self) -> float | None: ...
    @property
    def fp32_tflops(self) -> float | None: ...
    @property
    def tf32_tflops(self) -> float | None: ...
    @property
    def fp16_tflops(self) -> float | None: ...
    @property
    def bf16_tflops(self) -> float | None: ...
    @property
    def int8_tops(self) -> float | None: ...


def unit_of(sheet: Sheet, dtype: str, math_mode: str, matrix: bool) -> Unit:
    """The unit that does operations on ``dtype``; ``matrix``: products (matrix units may do them).

    Raises NoSuchUnitError where the GPU cannot do it, UnknownFigureError where the catalogue
    does not say the rate, or no rate of the type at all.
    """
    if dtype == "float64" and matrix and sheet.fp64_tensor_tflops is not None:
        return _unit(sheet, f"FP64 {_matrix_name(sheet)}", sheet.fp64_tensor_tflops, dtype)
    if dtype in ("float64", "complex128"):
        return _unit(sheet, "FP64 units", sheet.fp64_tflops, dtype)
    if dtype == "float32" and math_mode == "tf32" and matrix:
        if has_matrix_units(sheet, "tf32"):
            return _unit(sheet, f"TF32 {_matrix_name(sheet)}", sheet.tf32_tflops, "tf32")
        note = f"{sheet.architecture} has no TF32 units: computed in IEEE float32"
        return _unit(sheet, "FP32 units", sheet.fp32_tflops, dtype, note=note)
    if dtype in ("float32", "complex64"):
        return _unit(sheet, "FP32 units", sheet.fp32_tflops, dtype)
    if dtype in ("float16", "bfloat16"):
        return _sixteen_bit(sheet, dtype, matrix)
    if dtype in ("int8", "int32", "int64", "bool"):
        return _int8_product(sheet) if dtype == "int8" and matrix else _integer(sheet, dtype)
    raise UnknownFigureError(f"{sheet.name}: no peak rate for {dtype} ({math_mode}) is known")


def _sixteen_bit(sheet: Sheet, dtype: str, matrix: bool) -> Unit:
    if not matrix:
        # maps, sums and normalisations of libraries convert to float32 in registers
        return _unit(sheet, "FP32 units", sheet.fp32_tflops, dtype)
    short, rate = ("FP16", sheet.fp16_tflops)
    if dtype == "bfloat16":
        short, rate = ("BF16", sheet.bf16_tflops)
    if has_matrix_units(sheet, dtype):
        return _unit(sheet, f"{short} {_matrix_name(sheet)}", rate, dtype)
    # PyTorch and CuPy ask cuBLAS for sums in float32, so that Pascal's FP16 units (GP100: twice
    # FP32, others 1/64) do no products either
    note = (
        f"{sheet.architecture} has no {short} tensor cores: {dtype} is converted and computed "
        "on the FP32 units"
    )
    return _unit(sheet, "FP32 units", sheet.fp32_tflops, dtype, emulated=True, note=note)


def _int8_product(sheet: Sheet) -> Unit:
    if has_matrix_units(sheet, "int8"):
        return _unit(sheet, f"INT8 {_matrix_name(sheet)}", sheet.int8_tops, "int8")
    if sheet.chip in _DP4A:
        return _unit(sheet, "INT8 dot products (DP4A)", sheet.int8_tops, "int8")
    raise NoSuchUnitError(
        f"{sheet.name}: its chip {sheet.chip or '(not named)'} has no units for products of int8; "
        "ask for float16 or float32, or a GPU with DP4A or tensor cores for it"
    )


def _integer(sheet: Sheet, dtype: str) -> Unit:
    share = _INT32_OF_CHIP.get(sheet.chip, _INT32_PER_FP32.get(sheet.architecture))
    if share is None or sheet.fp32_tflops is None:
        raise UnknownFigureError(f"{sheet.name}: no peak rate for {dtype} is known")
    rate = sheet.fp32_tflops * share * (0.5 if dtype == "int64" else 1.0)
    return _unit(sheet, "INT32 units", rate, dtype)


def _unit(
    sheet: Sheet,
    name: str,
    tera_per_s: float | None,
    dtype: str,
    emulated: bool = False,
    note: str = "",
) -> Unit:
    if tera_per_s is None:
        raise UnknownFigureError(
            f"{sheet.name}: no peak rate for {dtype} is known: data/hardware.csv leaves that of "
            f"its {name} empty"
        )
    return Unit(name, tera_per_s * 1e12, emulated, note)


def has_matrix_units(sheet: Sheet, kind: str) -> bool:
    """Whether its generation has matrix units for products of ``kind`` (a type, or tf32)."""
    return sheet.architecture not in _WITHOUT[kind]


def _matrix_name(sheet: Sheet) -> str:
    return _MATRIX_NAME.get(sheet.architecture, "tensor cores")
