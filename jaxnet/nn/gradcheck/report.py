"""What the check found: one record a case, and the verdict."""

import json
from typing import Any, NamedTuple

from jaxnet.errors import JaxnetError
from jaxnet.nn.gradcheck.measure import DIFFERENCES_LIMIT


class Case(NamedTuple):
    """Worst relative errors of one gradient, of all its entries.

    Attributes:
        loss, activation: the pair (the output activation that the loss stands behind).
        dtype: of the logits ("network": of the matrix products).
        targets: "hard", "soft", "smoothed" (label_smoothing) or "weighted" (class and positive
            weights where the loss has them, sample weights through `losses.mean`).
        scope: gradient in what: "logits", "targets", "sample_weights", "network" (all W and b).
        closed_form: error of `jax.grad` through `loss(...)`.
        forward_mode: of its twin `loss.forward_mode`; None in a network.
        backprop: of `backprop.gradients`; None outside a network.
        autodiff: of autodiff through the form that is usual elsewhere; 1 where it gives NaN.
        finite_differences: of the float64 closed form, the reference of the other columns, against
            finite differences of the float64 loss.
        limit: what closed_form, forward_mode and backprop may reach.
        ok: within the limit, and the reference is confirmed by finite differences.
        hidden: activation of the hidden layers of a network.
        worst: where the closed form is worst, and what it should be there.
    """

    loss: str
    activation: str
    dtype: str
    targets: str
    scope: str
    closed_form: float
    forward_mode: float | None
    backprop: float | None
    autodiff: float
    finite_differences: float
    limit: float
    ok: bool
    hidden: str | None = None
    worst: str = ""

    @property
    def title(self) -> str:
        """The case in words."""
        network = f", network of {self.hidden} layers" if self.hidden else ""
        where = "" if self.scope in ("logits", "network") else f", gradient in {self.scope}"
        return (
            f"{self.loss} behind {self.activation}, {self.dtype}, {self.targets} targets"
            f"{network}{where.replace('_', ' ')}"
        )


class Report(NamedTuple):
    """All cases of a check; `ok` where every one is."""

    cases: tuple[Case, ...]

    @property
    def ok(self) -> bool:
        """Whether every case stays within its limit."""
        return all(case.ok for case in self.cases)

    @property
    def failures(self) -> tuple[Case, ...]:
        """The cases that do not."""
        return tuple(case for case in self.cases if not case.ok)

    def as_dict(self) -> dict[str, Any]:
        """{"ok": bool, "cases": [...]}, ready for JSON."""
        return {"ok": self.ok, "cases": [case._asdict() for case in self.cases]}

    def to_json(self) -> str:
        """The report as JSON text."""
        return json.dumps(self.as_dict(), indent=1, allow_nan=False)

    def require(self) -> "Report":
        """This report, if it is ok.

        Raises:
            GradientError: naming every case that failed, where, and what to do.
        """
        if not self.ok:
            raise GradientError("\n".join(map(explain, self.failures)), self)
        return self


class GradientError(JaxnetError):
    """A gradient that is not the gradient of its loss, or not accurate enough.

    Attributes:
        report: all cases of the check.
    """

    def __init__(self, message: str, report: Report) -> None:
        self.report = report
        super().__init__(message)


def explain(case: Case) -> str:
    """What failed in a case, where, and the usual reason."""
    place = f", {case.worst}" if case.worst else ""
    if not case.finite_differences <= DIFFERENCES_LIMIT:
        return (
            f"{case.title}: delta is not the derivative of the loss, or loses its digits even in "
            f"float64: finite differences are off by {case.finite_differences:.1e} "
            f"(relative){place}"
        )
    columns = {
        "the closed form": case.closed_form,
        "its forward-mode twin": case.forward_mode or 0.0,
        "backprop": case.backprop or 0.0,
    }
    name, error = max(columns.items(), key=lambda item: item[1])
    return (
        f"{case.title}: {name} is off by {error:.1e} (relative; limit {case.limit:.0e}){place}. "
        "Where terms of delta cancel, give losses.make their absolute sum as scale=...; "
        "where digits are lost, write delta without the subtraction that loses them"
    )
