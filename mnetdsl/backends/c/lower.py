"""IR to plan to C program model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import ARENA_FUNCTIONS, C_TYPES, Emitter, arena_names, layer_label
from mnetdsl.backends.c.identifiers import Names, comment_text, identifier
from mnetdsl.backends.c.literals import float_literal
from mnetdsl.backends.c.ops import RULES
from mnetdsl.backends.c.ops.constant import choose_copy, emit_copy
from mnetdsl.backends.c.program import ARENA, ArenaLine, CArena, CPort, Layer, Program, RowProgram, SelfTestVectors
from mnetdsl.backends.c.quantized import QUANTIZED_RULES
from mnetdsl.backends.c.quantized.dsp import dsp_rule
from mnetdsl.backends.c.quantized.helium import helium_rule
from mnetdsl.backends.c.selftest import SelfTest, selftest_vectors
from mnetdsl.backends.c.trips import works
from mnetdsl.cost.instructions import Cost, Work
from mnetdsl.diagnostics import MnetError, error
from mnetdsl.ir.core import Module, Op, Port, Value
from mnetdsl.ir.types import TensorType
from mnetdsl.ir.verifier import CONVERSIONS
from mnetdsl.plan import Memory, Place, Plan, Space, Task, make_plan
from mnetdsl.plan.result import Buffer
from mnetdsl.plan.rows import Bands
from mnetdsl.plan.storage import copied_outputs
from mnetdsl.targets import Core, Helium
from mnetdsl.version import __version__

API_VERSION = 1
CODELESS = frozenset({"constant", "reshape"})
"""A table, and another view of the same bytes."""
COMMENT_WIDTH = 100
PARAMETERS = ("ctx", "arena", "bytes", "failed", "status", "i", "wrong", "context", "argc", "argv")
"""Names that generated functions use beside those of inputs and outputs."""
_LIBM = {
    "sigmoid": ("expf", "fabsf"),
    "silu": ("expf", "fabsf"),
    "gelu": ("erfcf",),
    "tanh": ("tanhf",),
    "softmax": ("expf",),
    "layer_norm": ("sqrtf",),
}


@dataclass(frozen=True)
class Options:
    """How C is generated.

    `alignment` in bytes of every buffer and of the arena: 4 is what float32 needs, 8 suits wider loads.
    `selftest` embeds inputs and expected outputs in a file of its own. `core` is what the code is made for, whose
    kernels have a portable twin each; None: any machine with a C compiler. `rows` takes the image row by row
    (docs/decisions/0008-rows.md), and `bands` says how layers run then; None: with the least memory. `memories` are
    what RAM there is, the fastest first, over which buffers are spread where none of them holds all.
    """

    alignment: int = 4
    selftest: SelfTest | None = None
    core: Core | None = None
    rows: bool = False
    bands: Bands | None = None
    memories: tuple[Memory, ...] = ()

    def __post_init__(self) -> None:
        if self.alignment not in (4, 8):
            raise ValueError(f"alignment must be 4 or 8, got {self.alignment}")


@dataclass(frozen=True, eq=False)
class Lowered:
    """What a module became: `operations[i]` is the operation behind layer i, None for a copy to an output.

    `costs` are the kernel calls of each layer as the cost model sees them.
    """

    program: Program
    plan: Plan
    operations: tuple[Op | None, ...]
    costs: tuple[tuple[Cost, ...], ...]


@dataclass(frozen=True)
class Step:
    """An operation, or the copy to an output port, with its kernel."""

    op: Op | None
    port: int | None
    rule: Rule[Any] | None
    choice: Choice
    task: Task


def plan_memory(module: Module, alignment: int = 4, core: Core | None = None, memories: Sequence[Memory] = ()) -> Plan:
    """The arena of a module as the C backend runs it, or one for each of several memories; needs no weights.

    Raises `MnetError` (MN1110, MN1111) where an operation has no C kernel.
    """
    return _plan(module, steps_of(module, core), alignment, memories)


def layer_cost(layer: Layer, op: Op | None, emitter: Emitter) -> tuple[Cost, ...]:
    """Of a layer that runs once."""
    return (Cost(Work(("layer",), (1,))), *map(Cost, works(op, layer.calls, emitter.shapes)))


def lower(module: Module, name: str, options: Options) -> Lowered:
    """The program model of a module, and what it follows from.

    Raises `MnetError`: as `plan_memory`, and MN0720 or MN1112 where weights are missing or not finite.
    """
    prefix = identifier(name)
    steps = steps_of(module, options.core)
    plan = _plan(module, steps, options.alignment, options.memories)
    names = Names((*PARAMETERS, *arena_parameters(plan)))
    inputs = ports(module.graph.inputs, names)
    outputs = ports(module.graph.outputs, names)
    emitter = Emitter(module, prefix, plan, inputs, outputs)
    layers = tuple(layer_of(index, step, emitter, outputs) for index, step in enumerate(steps))
    activations = {step.choice.activation for step in steps}
    program = assemble(
        module, prefix, options, emitter, layers, activations, None, lambda task: layers[task].name if layers else ""
    )
    costs = tuple(layer_cost(layer, step.op, emitter) for layer, step in zip(layers, steps, strict=True))
    return Lowered(program, plan, tuple(step.op for step in steps), costs)


def assemble(
    module: Module,
    prefix: str,
    options: Options,
    emitter: Emitter,
    layers: Sequence[Layer],
    activations: Set[str],
    rows: RowProgram | None,
    name_of: Callable[[int], str],
) -> Program:
    """The program of `layers`, and of `rows` in front of them, from all that their rules left in `emitter`.

    `name_of` tells the name of a task of the plan.
    """
    plan = emitter.plan
    calls = [call for layer in layers for call in layer.calls]
    calls += [call for unit in (() if rows is None else rows.units) for call in unit.calls]
    functions = frozenset(call.function for call in calls) | emitter.parts
    arenas = c_arenas(emitter, name_of)
    used = sorted(activations - {"none"})
    program = Program(
        name=prefix,
        macro=prefix.upper(),
        version=__version__,
        api_version=API_VERSION,
        arena_bytes=plan.arena_bytes,
        arena_alignment=plan.alignment,
        lower_bound=plan.lower_bound,
        peak_layer=arenas[0].peak_layer if len(arenas) == 1 else name_of(plan.peak),
        peak_buffers=arenas[0].peak_buffers if len(arenas) == 1 else arena_lines(plan.peak_buffers),
        arenas=arenas,
        inputs=tuple(emitter.inputs),
        outputs=tuple(emitter.outputs),
        layers=tuple(layers),
        shapes=tuple(emitter.shapes),
        weights=tuple(emitter.weights),
        functions=functions,
        sources=_sources(emitter.sources),
        kernels=tuple(emitter.kernels[name] for name in sorted(emitter.kernels)),
        activations=tuple(used),
        libm=_libm(used, functions),
        needs_math=any("HUGE_VALF" in text for call in calls for text in call.arguments),
        arena_functions=tuple(
            (f"{function}{name.removeprefix(ARENA)}", C_TYPES[element.value], name)
            for arena, name in enumerate(emitter.arenas)
            for element, function in ARENA_FUNCTIONS.items()
            if (arena, element) in emitter.arena_elements
        ),
        program_hash="",
        weights_hash=_weights_hash(emitter),
        selftest=_vectors(module, options.selftest, layers, rows),
        rows=rows,
    )
    return replace(program, program_hash=_program_hash(program))


def c_arenas(emitter: Emitter, name_of: Callable[[int], str]) -> tuple[CArena, ...]:
    """What the caller gives, and what meets at the peak of each."""
    return tuple(
        CArena(
            name=name,
            bytes=found.bytes,
            memory=comment_text(found.memory) if len(emitter.arenas) > 1 else "",
            lower_bound=found.lower_bound,
            peak_layer=comment_text(name_of(found.peak)),
            peak_buffers=arena_lines(found.peak_buffers),
        )
        for name, found in zip(emitter.arenas, emitter.plan.arenas, strict=True)
    )


def arena_lines(buffers: Sequence[Buffer]) -> tuple[ArenaLine, ...]:
    """By address."""
    return tuple(
        ArenaLine(comment_text(buffer.name), buffer.offset, buffer.size)
        for buffer in sorted(buffers, key=lambda buffer: (buffer.arena, buffer.offset))
    )


def _vectors(
    module: Module, test: SelfTest | None, layers: Sequence[Layer], rows: RowProgram | None
) -> SelfTestVectors | None:
    if test is None:
        return None
    made = {} if rows is None else rows.made
    return selftest_vectors(module, test, [(layer.name, made.get(layer.index, layer.output_bytes)) for layer in layers])


def arena_parameters(plan: Plan) -> tuple[str, ...]:
    """Names of parameters of functions that are given several arenas; those of one are reserved always."""
    if len(plan.arenas) == 1:
        return ()
    return tuple(text for name in arena_names(plan) for text in (name, f"{name}_bytes"))


def steps_of(module: Module, core: Core | None) -> list[Step]:
    steps = []
    for op in module.graph.operations:
        rule = rule_of(op, core)
        if rule is not None:
            choice = rule.choose(op)
            steps.append(Step(op, None, rule, choice, Task(layer_label(op), choice.reads, op.result, choice.modes)))
    for index in copied_outputs(module.graph):
        port = module.graph.outputs[index]
        choice = choose_copy(port.value)
        task = Task(port.name, choice.reads, Value(port.value.type), choice.modes)
        steps.append(Step(None, index, None, choice, task))
    return steps


def rule_of(op: Op, core: Core | None = None) -> Rule[Any] | None:
    """How `op` becomes C on `core`; None for what needs no code.

    Raises MN1111 where it has no kernel for its elements.
    """
    if op.opcode in CODELESS:
        return None
    quantized = op.type.quantization is not None or op.opcode in CONVERSIONS
    special = core_rule(op, core) if quantized and core is not None else None
    if special is not None:
        return special
    rule = (QUANTIZED_RULES if quantized else RULES).get(op.opcode)
    if rule is None:
        raise MnetError(
            error(
                "MN1111",
                f"`{layer_label(op)}` is a `{op.opcode}` on {op.type} elements, for which there is no C kernel",
                location=str(op.location),
                help="let it compute in float: a column `compute` that says `f32` in its row of the table",
            )
        )
    return rule


def core_rule(op: Op, core: Core) -> Rule[Any] | None:
    """The kernel of a quantized operation for instructions that not every machine has, the widest first."""
    rule = helium_rule(op) if core.helium is not Helium.NONE else None
    return rule or (dsp_rule(op) if core.dsp else None)


def _plan(module: Module, steps: Sequence[Step], alignment: int, memories: Sequence[Memory]) -> Plan:
    copies = {step.task.writes: Place(Space.OUTPUT, step.port) for step in steps if step.port is not None}
    return make_plan(module.graph, [step.task for step in steps], alignment, copies, memories)


def ports(ports: Sequence[Port], names: Names) -> tuple[CPort, ...]:
    found = []
    for port in ports:
        name = names.new(port.name)
        type = port.value.type
        labels = port.attributes.get("labels", ())
        found.append(
            CPort(
                name=name,
                macro=name.upper(),
                type=C_TYPES[type.element.value],
                shape=type.shape[1:] or (1,),
                elements=type.elements,
                alignment=type.element.byte_width,
                bytes=type.byte_size,
                notes=tuple(comment_text(note) for note in _port_notes(port)),
                labels=tuple(str(label) for label in labels) if isinstance(labels, tuple) else (),
                scale="" if type.quantization is None else float_literal(type.quantization.scale[0]),
                zero_point=0 if type.quantization is None else type.quantization.zero_point[0],
            )
        )
    return tuple(found)


def _port_notes(port: Port) -> list[str]:
    """What the caller must know about the values: channel order, and that normalization is built in."""
    notes = []
    if "color" in port.attributes:
        notes.append(f"color order {port.attributes['color']}")
    if "mean" in port.attributes:
        notes.append(
            f"raw values: (x - {_numbers(port.attributes['mean'])}) / {_numbers(port.attributes.get('std'))} "
            "is part of the model"
        )
    return notes


def _numbers(values: object) -> str:
    numbers = values if isinstance(values, tuple) else (values,)
    texts = [f"{number:g}" for number in numbers]
    return texts[0] if len(set(texts)) == 1 else f"[{', '.join(texts)}]"


def layer_of(index: int, step: Step, emitter: Emitter, outputs: Sequence[CPort], planned: int | None = None) -> Layer:
    """The layer of a step with all of its maps; `planned` is its number in the plan where that is not `index`."""
    planned = index if planned is None else planned
    emitter.enter(step.choice, emitter.plan.steps[planned])
    if step.op is None:
        assert step.port is not None
        target = f"ctx->out_{outputs[step.port].name}"
        source = step.choice.reads[0]
        name, calls = outputs[step.port].name, emit_copy(source, target, emitter)
        place = ""
    else:
        target = emitter.address(step.op.result)
        assert step.rule is not None, "an operation has a rule"
        name, calls = layer_label(step.op), step.rule.emit(step.op, emitter)
        location = step.op.location
        place = f"{PurePath(location.file).name}:{location.line}" if location.file else ""
    return Layer(
        index=index,
        name=name,
        opcode="copy" if step.op is None else step.op.opcode,
        comment=tuple(map(comment_text, layer_comment(index, name, place, step, emitter.plan, planned))),
        calls=tuple(calls),
        output=target,
        output_bytes=step.task.writes.type.byte_size,
    )


def layer_comment(index: int, name: str, place: str, step: Step, plan: Plan, planned: int) -> list[str]:
    """Two lines: what the layer is and where it was written; where its tensors lie and what it costs."""
    choice = step.choice
    shapes = " + ".join(sizes(value.type) for value in choice.reads)
    suffix = "" if choice.activation in ("none", choice.title) else f", {choice.activation}"
    first = f"[{index}] {name}  {choice.title}, {shapes} -> {sizes(step.task.writes.type)}{suffix}"
    if place:
        first += " " * max(2, COMMENT_WIDTH - len(first) - len(place)) + place
    parts = [f"in {where(value, plan)}" for value in choice.reads] + [f"out {where(step.task.writes, plan)}"]
    scratch = plan.steps[planned].scratch
    if scratch is not None:
        parts.append(f"scratch {arena_names(plan)[scratch.arena]}+0x{scratch.offset:04x} ({scratch.size} B)")
    if choice.macs:
        parts.append(f"{choice.macs / 1e6:.3g} MMAC" if choice.macs >= 1e5 else f"{choice.macs} MAC")
    return [first, "   ".join(parts)]


def sizes(type: TensorType) -> str:
    return "x".join(map(str, type.shape[1:])) or "1"


def where(value: Value, plan: Plan) -> str:
    place = plan.place(value)
    if place.space is not Space.ARENA:
        return f"{place.space.value} ({value.type.byte_size} B)"
    buffer = plan.buffers[place.index]
    return f"{arena_names(plan)[buffer.arena]}+0x{buffer.offset:04x} ({value.type.byte_size} B)"


def _sources(chosen: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Kernel templates, each behind those it builds on; rules list theirs in such an order."""
    order = ("sweep", "activation", "panel", "window", "quantized", "quantized_pool", "dsp/job")
    wanted = list(dict.fromkeys(source for sources in chosen for source in sources))
    return (*(name for name in order if name in wanted), *(name for name in sorted(wanted) if name not in order))


def _libm(activations: Sequence[str], functions: frozenset[str]) -> tuple[str, ...]:
    names = {name for used in (*activations, *functions) for name in _LIBM.get(used, ())}
    return tuple(sorted(names))


def _weights_hash(emitter: Emitter) -> str:
    digest = hashlib.sha256()
    for table in emitter.weights:
        digest.update(f"{table.type} {table.values.shape}\n".encode())
        digest.update(table.values.astype(table.values.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _program_hash(program: Program) -> str:
    """Of everything decided but weight values and self-test vectors."""
    parts: list[object] = [program.version, program.api_version, program.arena_bytes, program.arena_alignment]
    parts += [] if len(program.arenas) < 2 else [program.arenas]
    parts += [program.inputs, program.outputs, program.layers, program.shapes, program.sources, program.activations]
    parts += program.kernels
    parts += [] if program.rows is None else [program.rows]
    parts += [sorted(program.functions), [(table.type, table.name, table.comment) for table in program.weights]]
    return hashlib.sha256(repr(parts).encode()).hexdigest()
