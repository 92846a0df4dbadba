"""`mnet compile`: files for a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from mnetdsl.cli.counts import feed_option, instructions_option
from mnetdsl.cli.options import (
    channels_option,
    json_option,
    load_with_weights,
    network_options,
    parse_size,
    place,
    weights_option,
)

if TYPE_CHECKING:
    from mnetdsl.api import Network
    from mnetdsl.backends.c.budget import Budget
    from mnetdsl.passes.context import Remark
    from mnetdsl.sema.values import Constant


def parse_images(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """How many images a self-test has, at least one."""
    if value is None:
        return None
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(
            f"{value!r} is no number of images; write for instance --selftest 2, or behind FILE --selftest alone"
        )
    return int(value)


@click.command(
    epilog="""\b
Examples:
  mnet compile net.mnet --weights net.safetensors --target host-c -o build/net
  mnet compile mobilenet_v2 --weights random:1 --target iree-cpu -o build/v2
  mnet compile mobilenet_v2 --weights random:1 --target iree-cpu --precision bf16 -o build/v2-bf16
  mnet compile net.mnet --target cortex-m4 --ram 64K --flash 512K -o build/net
  mnet compile net.mnet --target stm32f407 --selftest -o build/net
  mnet compile net.mnet --target cortex-m4 --package cmake -o build/firmware
  mnet compile net.mnet --target cortex-m4 --feed rows -o build/firmware
  mnet compile net.mnet --target cortex-m4 --instructions 8M -o build/firmware
  mnet compile net.mnet --target iree-vulkan --set resolution=96 -o build/net96
"""
)
@network_options
@weights_option
@click.option("--target", metavar="TARGET", required=True, help="What to compile for; `mnet targets` lists them.")
@click.option(
    "--ram",
    callback=parse_size,
    metavar="SIZE",
    help="RAM for it, such as 64K; else the deployment's, else the target's.",
)
@click.option("--flash", callback=parse_size, metavar="SIZE", help="Flash for it, such as 1M.")
@click.option(
    "--selftest",
    callback=parse_images,
    is_flag=False,
    flag_value="1",
    metavar="[N]",
    help="Embed N images (default: 1) and their answers in a file of its own, with which the C code checks itself.",
)
@click.option("--package", metavar="NAME", help="Pack C for a build system: cmake, with an example that QEMU runs.")
@click.option(
    "--precision",
    type=click.Choice(["f32", "bf16"]),
    default="f32",
    show_default=True,
    help="What an IREE module stores maps and weights in: bf16 on processors with AMX or AVX512-BF16.",
)
@feed_option
@instructions_option
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many threads will run an IREE module for a CPU: layers are joined for them. It runs on any number.",
)
@channels_option
@click.option(
    "--remarks", is_flag=True, help="Say how each layer of an IREE module runs and why, or what was folded, on stderr."
)
@click.option(
    "-o", "--output", "folder", type=place, metavar="DIR", required=True, help="Folder for the files, made if missing."
)
@json_option
def command(
    file: str,
    parameters: Mapping[str, Constant],
    model: str | None,
    weights: str | None,
    target: str,
    ram: int | None,
    flash: int | None,
    selftest: int | None,
    package: str | None,
    precision: str,
    threads: int | None,
    feed: str,
    instructions: int | None,
    fold: bool,
    remarks: bool,
    folder: str,
    layout: str,
) -> None:
    """Compile FILE to C sources or to an IREE module.

    FILE is a .mnet file, a folder that holds one, or a network of the zoo. All files are written, or none; other
    files in DIR are left alone. The same input gives the same bytes.
    """
    from mnetdsl.backends.packages import check_package
    from mnetdsl.backends.targets import (
        ACCURACY,
        INSTRUCTIONS,
        check_precision,
        check_sizes,
        check_target,
        check_threads,
    )
    from mnetdsl.cli.console import print_json, print_table, talk, working
    from mnetdsl.files import format_size

    target = check_target(target)
    if package is not None:
        check_package(package)
    check_precision(target, precision)
    check_threads(target, threads)
    check_sizes(target, {"--flash": flash, "--ram": ram})
    network = load_with_weights(file, parameters, model, weights)
    with working(f"compiling {network.name} for {target}"):
        said: list[Remark] = []
        if fold:
            network = network.without_constant_channels(said.append)
        files = network.compile(
            target,
            folder,
            budget=_budget(network, target, flash, ram),
            selftest=selftest,
            package=package,
            remark=said.append,
            precision=precision,
            rows=feed == "rows",
            threads=threads,
            instructions=instructions,
        )
    for remark in said if remarks else ():
        talk(str(remark))
    accuracy = [remark.message for remark in said if remark.pass_name == ACCURACY]
    spent = [remark.message for remark in said if remark.pass_name == INSTRUCTIONS]
    arena = _arena(files)
    if layout == "json":
        sizes = [{"name": name, "bytes": len(data)} for name, data in sorted(files.items())]
        described = {"name": network.name, "target": target, "folder": folder, "files": sizes, "arena": arena}
        print_json(
            described
            | {
                "precision": precision,
                "accuracy": accuracy[0] if accuracy else None,
                "instructions": spent[0] if spent else None,
            }
        )
        return
    print(f"{network.name} for {target} in {folder}")
    print_table(
        ("FILE", "BYTES", "SIZE"),
        [(name, f"{len(data):,}", format_size(len(data))) for name, data in sorted(files.items())],
        (False, True, True),
    )
    for line in accuracy:
        print(f"\n{line}")
    if spent:
        print(f"\ninstructions: {spent[0]}")
    if arena is not None:
        print(f"\narena {arena['bytes']:,} bytes, lower bound {arena['lower_bound']:,}")
        for found in arena.get("memories", ()):
            print(f"  {found['memory']}: {found['bytes']:,} bytes, lower bound {found['lower_bound']:,}")


def _budget(network: Network, target: str, flash: int | None, ram: int | None) -> Budget:
    """What the command line says, else what the deployment says, else what the target has."""
    from dataclasses import replace

    from mnetdsl.backends.c.budget import Budget

    declared = network.budget_on(target)
    if ram is not None:
        return Budget(declared.flash if flash is None else flash, ram)
    return declared if flash is None else replace(declared, flash=flash)


def _arena(files: Mapping[str, bytes]) -> dict[str, Any] | None:
    """`bytes` and `lower_bound` from the manifest of C sources; an IREE module has no arena of its own.

    `memories` where there are several arenas: the same of each.
    """
    import json

    manifest = next((name for name in files if name.rpartition("/")[2] == "manifest.json"), None)
    if manifest is None:
        return None
    content = json.loads(files[manifest])
    described = {key: content["arena"][key] for key in ("bytes", "lower_bound")}
    if "arenas" in content:
        keys = ("memory", "name", "bytes", "lower_bound")
        described["memories"] = [{key: arena[key] for key in keys} for arena in content["arenas"]]
    return described
