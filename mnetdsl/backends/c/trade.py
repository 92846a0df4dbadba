"""Memory against instructions: the least arena whose predicted instructions stay within a budget.

The choices are where the front by rows ends, if there is one, and how many rows its layers make at a time. Whole
layers take the fewest instructions and the most memory; single rows the other way round: rows move in their strips, a
depthwise layer takes rows of its input in again for each band, and every call costs some.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from mnetdsl.backends.c.lower import Lowered, Options, lower, rule_of
from mnetdsl.backends.c.row_bands import BANDS, row_operation, scratch_bytes, variants
from mnetdsl.backends.c.row_drafts import Draft, Front, copied_image, draft_of, fronts_of
from mnetdsl.backends.c.row_plan import finished
from mnetdsl.backends.c.rows import Trial, choices_of, lower_rows
from mnetdsl.cost.instructions import Cost, expected
from mnetdsl.diagnostics import ExitCode, MnetError, error
from mnetdsl.ir.core import Module, Op
from mnetdsl.plan.rows import Bands

_BLAMED = 4
"""Layers in a message."""
_CLOSE = 0.995
"""Ways that look slower than a budget by less are tried."""
_TRIED = 4
"""Ways that look the fastest before it is known which rows move."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """How to generate C, what it takes by prediction, and the arena in bytes."""

    options: Options
    instructions: int
    arena: int

    def describe(self, budget: int) -> str:
        """One sentence."""
        return f"{self.instructions:,} predicted, {budget:,} allowed: {self.way}"

    @property
    def way(self) -> str:
        bands = self.options.bands
        if bands is None:
            return "layers run whole"
        rows = "a row" if bands.band == 1 else f"{bands.band} rows"
        if not bands.last:
            return f"layers run by rows wherever that takes less memory, {rows} at a time"
        return f"layers up to `{bands.last}` run by rows, {rows} at a time"


def choose(module: Module, options: Options, budget: int) -> Chosen:
    """Of all ways to run an optimized module with weights, the one of least arena within `budget` instructions.

    `options.rows` leaves those that take the image row by row; otherwise they may, and whole layers are one more way.
    Raises `MnetError`: MN1117 where the instructions of a layer are not known, MN1116 with exit code 3 where no way
    stays within the budget, MN1115 where rows are asked for and the network takes none.
    """
    assert options.core is not None, "instructions are known of cores"
    trade = _Trade(module, options, options.core.name)
    best = None if options.rows else trade.whole_layers(budget)
    found = trade.by_rows(budget, best)
    if found is None:
        raise trade.over(budget)
    return found


class _Trade:
    """What is known of a network on a core."""

    def __init__(self, module: Module, options: Options, core: str) -> None:
        self.module = module
        self.options = options
        self.core = core
        self.whole = lower(module, module.name, replace(options, rows=False, bands=None))
        self.layers = self._layers(self.whole)
        self._trial = Trial(module, self.whole.plan, options.core)
        self.costs = {
            op: count for op, (_, count) in zip(self.whole.operations, self.layers, strict=True) if op is not None
        }
        self.total = sum(count for _, count in self.layers)
        self._by_bands: dict[tuple[Op, int], int] = {}
        self._scratch = cache(lambda op, band: scratch_bytes(op, band, lambda made: rule_of(made, options.core)))

    def _layers(self, lowered: Lowered) -> list[tuple[str, int]]:
        """Layers and their instructions. Raises MN1117 where they are not known."""
        found = [
            (layer.name, expected(self.core, costs))
            for layer, costs in zip(lowered.program.layers, lowered.costs, strict=True)
        ]
        unknown = [name for name, count in found if count is None]
        if unknown:
            shown = ", ".join(f"`{name}`" for name in unknown[:_BLAMED])
            more = f" and {len(unknown) - _BLAMED} more" if len(unknown) > _BLAMED else ""
            raise MnetError(
                error(
                    "MN1117",
                    f"instructions of {shown}{more} on {self.core} are not known: no such kernel was measured there",
                    help=(
                        "leave out --instructions: the plan then has the least arena",
                        "predictions are made for int8 layers on cores that `mnet bench --on qemu:CORE` runs",
                    ),
                )
            )
        return [(name, count or 0) for name, count in found]

    def whole_layers(self, budget: int) -> Chosen | None:
        """As the way to beat; None where even that is too slow."""
        if self.total > budget:
            return None
        return Chosen(replace(self.options, rows=False, bands=None), self.total, self.whole.plan.arena_bytes)

    def by_rows(self, budget: int, best: Chosen | None) -> Chosen | None:
        """Tries fronts by what they need at least, of each the smallest band that is fast enough, and single rows of
        least memory, where layers behind the front run by rows as well.
        """
        fronts = self._fronts()
        choices = choices_of(self.module, self.options.core) if fronts else {}
        image = self.module.graph.inputs[0].value
        queue: list[tuple[int, int, int, Draft]] = []

        def push(number: int, start: int) -> None:
            """The next band of a front that may be fast enough. Its result lies in the arena whole."""
            for position in range(start, len(BANDS)):
                if self._least(fronts[number], BANDS[position]) * _CLOSE <= budget:
                    if best is None or fronts[number][-1][0].type.byte_size < best.arena:
                        draft = draft_of(fronts[number], self._scratch, BANDS[position], image)
                        heapq.heappush(queue, (draft.bytes, number, position, draft))
                    return

        for number in range(len(fronts)):
            push(number, 0)
        while queue:
            bytes, number, position, draft = heapq.heappop(queue)
            if best is not None and bytes >= best.arena:
                break
            arena = finished(self.module, draft, choices, self.options.alignment).plan.arena_bytes
            if best is not None and arena >= best.arena:
                continue
            chosen, _ = self._lowered(Bands(BANDS[position], fronts[number][-1][0].name, behind=False))
            if chosen.instructions <= budget:
                best = chosen
            else:
                push(number, position + 1)
        if fronts:
            chosen, _ = self._lowered(Bands())
            if chosen.instructions <= budget and (best is None or chosen.arena < best.arena):
                best = chosen
        return best

    def _fronts(self) -> list[Front]:
        """None where the network takes no rows, unless they were asked for."""
        try:
            choices_of(self.module, self.options.core)
            return fronts_of(self.module)
        except MnetError:
            if self.options.rows:
                raise
            return []

    def _lowered(self, bands: Bands) -> tuple[Chosen, list[tuple[str, int]]]:
        options = replace(self.options, rows=True, bands=bands)
        lowered = lower_rows(self.module, self.module.name, options)
        layers = self._layers(lowered)
        return Chosen(options, sum(count for _, count in layers), lowered.plan.arena_bytes), layers

    def _least(self, front: Front, band: int) -> int:
        """About the instructions of a front by equal bands and of the layers behind it, without rows that move."""
        image = self.module.graph.inputs[0].value
        copied = copied_image(front, image) is not None
        total = self.total
        for op, _ in front:
            own = band if copied or image not in op.operands else 1
            total += self._banded(front, op, own) - self.costs[op]
        return total

    def _banded(self, front: Front, op: Op, band: int) -> int:
        """Of one layer by bands; those of the whole layer where nothing is known of a band."""
        if (op, band) not in self._by_bands:
            axes = dict(front)[op]
            total = 0
            height = op.type.shape[1]
            bands = {first: min(band, height - first) for first in range(0, height, band)}
            for variant, times in Counter(variants(op, axes, bands).values()).items():
                made, maps = row_operation(op, axes, variant)
                costs = [Cost(work, times) for work in self._trial.works(made, maps)]
                total += expected(self.core, costs) or 0
                made.drop_operands()
            self._by_bands[op, band] = total
        return self._by_bands[op, band]

    def over(self, budget: int) -> MnetError:
        """MN1116, with what the fastest way takes."""
        layers = self.layers
        if self.options.rows:
            ways = [(self._least(front, band), band, front) for front in self._fronts() for band in BANDS]
            fast = sorted(ways, key=lambda way: way[0])[:_TRIED]
            tried = [self._lowered(Bands(band, front[-1][0].name, behind=False)) for _, band, front in fast]
            _, layers = min(tried, key=lambda way: way[0].instructions)
        required = sum(count for _, count in layers)
        costly = sorted(layers, key=lambda layer: -layer[1])[:_BLAMED]
        return _over(self.module, self.core, required, budget, costly)


def _over(module: Module, core: str, required: int, budget: int, costly: Sequence[tuple[str, int]]) -> MnetError:
    named = ", ".join(f"`{name}` ({count:,})" for name, count in costly)
    place = next((str(op.location) for op in module.graph.operations if op.name == costly[0][0]), None)
    return MnetError(
        error(
            "MN1116",
            f"an inference takes {required:,} instructions on {core}, {budget:,} are available: "
            f"{required - budget:,} too many",
            location=place,
            help="lower the resolution or the width, or allow more with --instructions",
            notes=(f"the costliest layers are {named}", "predicted, of the way to run it that takes the fewest"),
        ),
        exit_code=ExitCode.OVER_BUDGET,
    )
