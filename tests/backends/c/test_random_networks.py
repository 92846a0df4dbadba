"""Random graphs as C: the interpreter's answers, no byte touched outside what is theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mnetdsl.backends.c import generate, plan_memory
from mnetdsl.backends.c.host import HostRunner
from mnetdsl.interpreter import run
from tests.backends.c.harness import assert_same, random_inputs, run_command, write
from tests.backends.c.networks import random_network
from tests.toolchain import require

SANITIZED = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"


@pytest.mark.parametrize("seed", range(8))
def test_a_random_network_agrees_with_the_interpreter(seed: int) -> None:
    require("gcc")
    module = random_network(seed)
    inputs = random_inputs(module, batch=2, seed=seed)
    assert_same(HostRunner(module).run(inputs), run(module, inputs), relative=1e-5)


def test_the_plans_of_random_networks_reach_their_bound() -> None:
    """Where buffers live long, no packing may reach the bound: one graph of these may miss it, and by 5 % at most."""
    plans = [plan_memory(random_network(seed, layers=20)) for seed in range(30)]
    assert all(plan.lower_bound <= plan.arena_bytes <= 1.05 * plan.lower_bound for plan in plans)
    assert sum(plan.arena_bytes > plan.lower_bound for plan in plans) <= 1


@pytest.mark.parametrize(("seed", "compiler"), [(100, "gcc"), (101, "clang"), (102, "gcc")])
def test_a_random_network_is_clean_under_address_and_undefined_behaviour_sanitizers(
    tmp_path: Path, seed: int, compiler: str
) -> None:
    require(compiler)
    require("make")
    module = random_network(seed)
    folder = write(tmp_path, generate(module, "net").files)
    run_command(["make", f"CC={compiler}", f"CFLAGS={SANITIZED}", f"LDFLAGS={SANITIZED}"], folder)
    inputs = random_inputs(module)
    (name,) = inputs
    (folder / "in.bin").write_bytes(inputs[name].tobytes())
    run_command(["./net_main", "in.bin", "map.bin", "scores.bin"], folder)
    wanted = run(module, inputs)
    found = {
        name: np.fromfile(folder / f"{name}.bin", np.float32).reshape(wanted[name].shape) for name in ("map", "scores")
    }
    assert_same(found, wanted, relative=1e-5)
