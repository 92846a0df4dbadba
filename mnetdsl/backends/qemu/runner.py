"""Generated C on an emulated board as a `backends.runners.Runner`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c import Options, generate
from mnetdsl.backends.c.observation import empty_result, showing_layers, shown_inputs, wanted_operations, whole_layers
from mnetdsl.backends.qemu.exchange import Requests, encode_request, records
from mnetdsl.backends.qemu.image import Build, Image
from mnetdsl.backends.qemu.machines import MACHINES
from mnetdsl.interpreter import check_inputs
from mnetdsl.ir.core import Module

Array = NDArray[np.generic]


class QemuRunner:
    """Runs a module on the board of `core`, a key of `MACHINES`; images of a batch one after the other, in one start.

    `rows`: by code that could be fed by rows. `options` are those of the C, whatever core they name. Raises `MnetError`
    as `Image` does.
    """

    def __init__(self, module: Module, core: str, rows: bool = False, options: Options | None = None) -> None:
        self._module = module
        machine = MACHINES[core]
        self._package = generate(module, options=replace(options or Options(rows=rows), core=machine.core))
        self._image = Image(self._package, machine)

    def run(self, inputs: Mapping[str, Array], observe: Collection[str] = ()) -> dict[str, Array]:
        """As `Runner.run`. Raises `MnetError`: MN0620 and MN0621 where the inputs do not fit, MN1904 where the
        program fails; `KeyError` for a layer that the module has not."""
        batch = check_inputs(self._module, inputs)
        graph = self._module.graph
        outputs = {port.name: empty_result(port.value, batch) for port in graph.outputs}
        wanted = whole_layers(self._package, wanted_operations(self._module, frozenset(observe) - outputs.keys()))
        layers = {name: empty_result(op.result, batch) for name, op in wanted.items()}
        for name, shown in shown_inputs(self._module, wanted).items():
            layers[name][...] = inputs[shown].reshape(layers[name].shape)
        sources = showing_layers(self._package.operations, wanted)
        images = [[inputs[port.name][index] for port in graph.inputs] for index in range(batch)]
        request = encode_request(Requests.RUN, len(self._package.operations), sources, images)
        answer = self._image.run(Build.OBSERVE if sources else Build.PLAIN, request)
        found: dict[int, list[bytearray]] = {index: [bytearray()] for index in sources}
        image = 0
        for index, data in records(answer):
            if index >= 0:
                found[index][-1] += data
                continue
            port = graph.outputs[-1 - index]
            outputs[port.name][image] = np.frombuffer(data, outputs[port.name].dtype).reshape(port.value.type.shape[1:])
            if -index == len(graph.outputs):
                image += 1
                for pieces in found.values():
                    pieces.append(bytearray())
        for layer, names in sources.items():
            for name in names:
                for row, piece in zip(layers[name], found[layer], strict=False):
                    row[...] = np.frombuffer(piece, row.dtype).reshape(row.shape)
        return {**layers, **outputs}
