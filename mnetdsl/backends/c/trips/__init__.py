"""How often the loops of the generated kernels turn, counted from the calls as they are emitted.

Costs follow from the decisions of the emitter: the kernel that a layer got, in the form that was proven for its
weights, and the sizes that the call hands over. `mnetdsl.cost` knows what a turn of each loop takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from mnetdsl.backends.c.program import Call, ShapeTable
from mnetdsl.backends.c.trips import dsp, helium, portable
from mnetdsl.backends.c.trips.site import Site, by_elements
from mnetdsl.cost.instructions import Work
from mnetdsl.ir.core import Op

Rule = Callable[[Site], tuple[Work, ...]]
RULES: Mapping[str, Rule] = MappingProxyType({**portable.RULES, **dsp.RULES, **helium.RULES})
"""By what a kernel's name begins with, up to an underscore or its end; the longest that fits counts."""


def works(op: Op | None, calls: Sequence[Call], shapes: Sequence[ShapeTable]) -> tuple[Work, ...]:
    """What the calls of a layer, or of some of its rows, ask of their kernels. shapes: the structs that they name."""
    tables = {f"&{table.name}": table.values for table in shapes}
    sites = [Site(op, call.function, call.arguments, tables) for call in calls]
    return tuple(work for site in sites for work in _rule(site)(site))


def _rule(site: Site) -> Rule:
    """Portable kernels of integers end in their elements; those of floats, of the same names else, are not measured."""
    if site.function in portable.OF_FLOATS:
        return by_elements
    parts = site.function.split("_")
    prefixes = ("_".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((RULES[prefix] for prefix in prefixes if prefix in RULES), by_elements)
