"""Model: how far the fitted model is from what was measured, and its parameters."""

from __future__ import annotations

from app_pages.frame import shared, widgets
from app_pages.model.fit import show_fit
from app_pages.model.groups import show_groups
from app_pages.model.refit import show_refit
from app_pages.model.roofline import show_roofline
from app_pages.model.validation import show_validation

METHOD = """
**The model** gives the time of one call as launch cost, arithmetic and memory time of the
operation, plus copies over the bus; its parameters are fitted per machine, library, device,
case, element type and mode. Only measured cells with status ok enter.

**Measured against model** shows cells that took part in the fit, so it tells how well the formula
can describe them, not how well it predicts. **The validation** leaves shapes out, fits to the
rest and predicts the ones left out; *between* leaves out shapes inside the measured range,
*larger* the larger half, and asks for 4 to 16 times the work. A shape is out in all libraries,
element types, modes and machines at once. *Roofline* is the plain rule: the larger of work over
peak rate and bytes over bandwidth; *nearest* the nearest measured cell; *cores* and *throughput*
are two rules of thumb. *Coverage* is how often the 90 % interval held the measurement, *regret*
how much slower the library or machine is that would be chosen, *floor* the difference between
two runs of one machine.

**The roofline chart** has the rate of each measured cell over its FLOP per byte. Its ceilings are
the best product and the best streaming cell that were measured, and the data sheet's.

**Refit** fits the same model to a selection and compares both fits on the cells outside it.

`python -m estimator validate` runs more splits: new operations, new machines, another run.
"""


def page() -> None:
    """The fit beside the measurements, roofline, validation, refit, parameters."""
    source = shared.open_dataset()
    shared.header("Model", "How far is the model from what was measured?", METHOD)
    shared.provenance(source)
    model = shared.open_model(source)
    groups = shared.measured_groups(source)
    show_fit(source, model, groups)
    show_roofline(source, model)
    show_validation(source, model)
    show_refit(source, model, groups)
    show_groups(source, model)
    data = shared.data_argument(source)
    widgets.command(
        [
            f"python -m estimator validate --split between --split larger{data}",
            f"python -m estimator fit -o model.json{data}",
        ],
        "`validate` prints errors on held-out cells, `fit` writes every parameter.",
    )
