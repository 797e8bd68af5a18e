"""What a suite hands to the harness: one row for each reference value, with Cairn's prediction of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

OURS = "cairn"
"""The predictor that gates look at unless they name another (a row's `baselines`)."""


@dataclass(frozen=True)
class Row:
    """One reference value and its prediction, both in `unit`.

    kind        the class that errors are summarised by (an operator, a family, a phase)
    prediction  None when Cairn refuses the question; `remark` then says why, and gates it counts for fail
    counts      names of the gates that this row counts for; a row that counts for none is reported only
    excluded    for gates that a reader would expect it to count for: the reason why it does not
    resolution  half a unit of the last printed digit of `reference`: no error up to that is charged
    baselines   predictions of the same value by simpler models, by name ("roofline")
    """

    id: str
    kind: str
    reference: float
    prediction: float | None
    unit: str
    source: str
    counts: tuple[str, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    resolution: float = 0.0
    baselines: Mapping[str, float] = field(default_factory=dict)
    remark: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.reference):
            raise ValueError(f"row {self.id}: the reference value is {self.reference}")

    def predicted(self, predictor: str = OURS) -> float | None:
        """The prediction by Cairn or by the baseline called `predictor`; None where there is none."""
        return self.prediction if predictor == OURS else self.baselines.get(predictor)

    def error(self, predictor: str = OURS) -> float:
        """Signed relative error beyond the rounding of the reference; inf without a finite prediction.

        A reference of zero has no relative error: it is 0 when the prediction agrees, else inf.
        """
        prediction = self.predicted(predictor)
        if prediction is None or not math.isfinite(prediction):
            return math.inf
        difference = prediction - self.reference
        beyond = max(0.0, abs(difference) - self.resolution)
        if beyond == 0:
            return 0.0
        if self.reference == 0:
            return math.inf
        return math.copysign(beyond / abs(self.reference), difference)
