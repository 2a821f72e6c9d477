"""What loads have taught about the estimates for one model. Pure."""

import dataclasses
from collections.abc import Iterable

from swell.devices import DeviceUse
from swell.scheduler.placement.needs import Needs
from swell.scheduler.placement.planner import PlacementPlan

_RATIO_MAX = 8.0
"""A device that others use at the same time can show any difference; no estimate is off by more than this."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Correction:
    """Factors between an estimate and what was really taken."""

    weights: float = 1.0
    compute: float = 1.0

    def apply(self, needs: Needs) -> Needs:
        """`needs` as they should be expected now."""
        return dataclasses.replace(
            needs,
            layer_bytes=tuple(round(size * self.weights) for size in needs.layer_bytes),
            output_bytes=round(needs.output_bytes * self.weights),
            compute_bytes=round(needs.compute_bytes * self.compute),
            input_bytes=round(needs.input_bytes * self.compute),
        )

    def distrust(self) -> "Correction":
        """The correction after a load by a plan for which there was not enough memory."""
        return dataclasses.replace(self, compute=_limited(self.compute * 2))

    def learn(self, plan: PlacementPlan, uses: Iterable[DeviceUse]) -> "Correction":
        """The correction after a load by `plan`, which was made with this one, took `uses`.

        Memory to compute in is planned the same on every device, so the device that took most counts.
        """
        known = [(plan.devices[use.name], use) for use in uses if use.name in plan.devices]
        weights = _ratio(sum(use.weights_bytes for _, use in known), sum(bytes_.weights for bytes_, _ in known))
        most = max((use.compute_bytes + use.kv_bytes - bytes_.kv for bytes_, use in known), default=0)
        compute = _ratio(most, max((bytes_.compute for bytes_, _ in known), default=0))
        return Correction(weights=_limited(self.weights * weights), compute=_limited(self.compute * compute))


def _ratio(taken: int, expected: int) -> float:
    return taken / expected if taken > 0 and expected > 0 else 1.0


def _limited(ratio: float) -> float:
    return min(max(ratio, 1 / _RATIO_MAX), _RATIO_MAX)
