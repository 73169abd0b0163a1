"""The formulas of a kernel's and of a copy's time, with their derivatives. Pure."""
