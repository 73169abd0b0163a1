"""Element types: their names with math modes in grids and surveys, sizes and rounding."""

from __future__ import annotations

from collections.abc import Mapping

#: Name of the element type, math mode: "ieee", or "tf32" where products round their operands.
ElementType = tuple[str, str]

F64: ElementType = ("float64", "ieee")
F32: ElementType = ("float32", "ieee")
TF32: ElementType = ("float32", "tf32")
F16: ElementType = ("float16", "ieee")
BF16: ElementType = ("bfloat16", "ieee")
C64: ElementType = ("complex64", "ieee")
C128: ElementType = ("complex128", "ieee")
I64: ElementType = ("int64", "ieee")
INT8: ElementType = ("int8", "ieee")
BOOL: ElementType = ("bool", "ieee")

#: What products are surveyed in on a GPU.
PRODUCT_TYPES = (F32, TF32, BF16)

ITEM_BYTES: Mapping[str, int] = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "complex64": 8,
    "complex128": 16,
    "int64": 8,
    "int32": 4,
    "int8": 1,
    "bool": 1,
}

#: Unit round-off of the arithmetic, half a unit in the last place (IEEE 754; for tf32 and
#: bfloat16 from their 10 and 7 explicit mantissa bits).
UNIT_ROUNDOFF: Mapping[str, float] = {
    "float64": 2.0**-53,
    "float32": 2.0**-24,
    "tf32": 2.0**-11,
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
    "complex64": 2.0**-24,
    "complex128": 2.0**-53,
}
