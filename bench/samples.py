"""Samples and their percentiles."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Milliseconds of one way to do the same thing."""

    name: str
    milliseconds: tuple[float, ...]

    @property
    def p50(self) -> float:
        return percentile(self.milliseconds, 50)

    @property
    def p95(self) -> float:
        return percentile(self.milliseconds, 95)

    def as_json(self) -> dict[str, float]:
        return {"p50": round(self.p50, 2), "p95": round(self.p95, 2), "samples": len(self.milliseconds)}


def percentile(values: tuple[float, ...], percent: int) -> float:
    """Give the nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
