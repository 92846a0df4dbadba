"""What an image notices: writes outside the arena, faults, errors of the model; and where large things lie."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mnetdsl.backends.c import CPackage, generate
from mnetdsl.backends.qemu.exchange import Requests, encode_request
from mnetdsl.backends.qemu.image import Build, Image
from mnetdsl.backends.qemu.machines import MACHINES
from mnetdsl.diagnostics import MnetError
from tests.backends.c.harness import random_inputs
from tests.backends.c.networks import small_mobilenet

RUN_BODY = "    do {\n        status = tiny_step(ctx);"
FAILS = {
    "a write behind the arena": ("ctx->arena[TINY_ARENA_BYTES] = 1u;", "outside the arena"),
    "a write in front of the arena": ("ctx->arena[-1] = 1u;", "outside the arena"),
    "a fault": ("*(volatile int *)0xF0000000u = 1;", "fault: status 0x"),
    "an error of the model": ("return TINY_ERROR_BUSY;", "returned -5"),
}


def broken(statement: str) -> CPackage:
    package = generate(small_mobilenet())
    text = package.files["tiny.c"].decode()
    assert RUN_BODY in text
    return replace(package, files={**package.files, "tiny.c": text.replace(RUN_BODY, statement + RUN_BODY).encode()})


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize("what", FAILS)
def test_a_model_that_misbehaves_is_found_out(what: str) -> None:
    statement, message = FAILS[what]
    package = broken(statement)
    inputs = [[array[0] for array in random_inputs(small_mobilenet()).values()]]
    request = encode_request(Requests.RUN, len(package.operations), (), inputs)
    with pytest.raises(MnetError) as caught:
        Image(package, MACHINES["cortex-m4"]).run(Build.PLAIN, request)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "MN1904"
    assert any(message in note for note in diagnostic.notes), diagnostic.notes


@pytest.mark.usefixtures("emulator")
def test_c_that_does_not_compile_says_where() -> None:
    package = broken("this is no C;")
    with pytest.raises(MnetError) as caught:
        Image(package, MACHINES["cortex-m4"]).sizes()
    assert caught.value.diagnostics[0].code == "MN1903"
    assert any("tiny.c" in note for note in caught.value.diagnostics[0].notes)


@pytest.mark.parametrize(
    ("tool", "code", "package"),
    [("arm-none-eabi-gcc", "MN1901", "gcc-arm-none-eabi"), ("qemu-system-arm", "MN1902", "qemu-system-arm")],
)
def test_a_missing_tool_is_named_with_its_package(
    tool: str, code: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == tool else f"/usr/bin/{name}")
    with pytest.raises(MnetError) as caught:
        Image(generate(small_mobilenet()), MACHINES["cortex-m4"])
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert f"apt-get install {package}" in diagnostic.help[0]
