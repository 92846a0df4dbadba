"""The machines that IREE modules are made for: flags of iree-compile and the runtime's driver, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class IreeTarget:
    """`flags` go to iree-compile as they are; `driver` is the runtime's name of the device.

    `device` is the attribute `#hal.device.target` where the module itself names its device, on whose first queue all of
    it then runs; else `flags` name it.

    `isolated` runs the module in a process of its own: what crashes, a GPU driver above all, takes only that with it.
    `own_kernels` lets layers run by kernels of ours, as far as the processor has a row in `kernels.isa` or is `simt`.
    `simt` computes by many scalar invocations, on 32-bit integers and float32.
    `quantized` names the target as which modules with stored integers are compiled instead.
    `architecture` is the processor's where it is not simply the one at hand, as `platform.machine()` calls it.
    """

    name: str
    flags: tuple[str, ...]
    driver: str
    device: str | None = None
    isolated: bool = False
    own_kernels: bool = False
    simt: bool = False
    quantized: str | None = None
    architecture: str | None = None

    @property
    def simt_kernels(self) -> bool:
        """Whether layers may run by own kernels of scalar invocations."""
        return self.simt and self.own_kernels


VULKAN = "vulkan"
"""The driver's name."""

PORTABLE_VULKAN = (
    '#hal.device.target<"vulkan", [#hal.executable.target<"vulkan-spirv", "vulkan-spirv-fb", '
    '{iree_codegen.target_info = #iree_gpu.target<arch = "portable", features = "spirv:v1.3,cap:Shader", '
    "wgp = <compute = fp32|int32|int16|int8, storage = b32|b16|b8, subgroup = none, subgroup_size_choices = [64], "
    "max_workgroup_sizes = [128, 128, 64], max_thread_count_per_workgroup = 128, "
    "max_workgroup_memory_bytes = 16384, max_workgroup_counts = [65535, 65535, 65535]>>}>]> : !hal.device"
)
"""IREE's baseline profile (vp_android_baseline_2022) plus 8-bit and 16-bit integers, which images need.

Without them IREE 3.13 emulates them in 32-bit words and reads u8 images at wrong offsets. Profiles of single GPUs
(turing, adreno, …) assume subgroup sizes that other devices do not have, and compute wrong there.
"""


def _cpu(name: str, *processor: str, architecture: str | None = None) -> IreeTarget:
    """A CPU; `processor` are the flags that describe it."""
    flags = (
        "--iree-hal-target-device=local",
        "--iree-hal-local-target-device-backends=llvm-cpu",
        *(f"--iree-llvmcpu-target-{flag}" for flag in processor),
        "--iree-opt-level=O3",
        "--iree-opt-data-tiling",
    )
    # A named processor may have instructions that the one at hand lacks: the process that meets them ends.
    isolated = architecture is not None
    return IreeTarget(name, flags, "local-sync", isolated=isolated, own_kernels=True, architecture=architecture)


ARM = ("triple=aarch64-unknown-linux-gnu", "cpu=generic")
RISCV = ("triple=riscv64-unknown-linux-gnu", "cpu=generic-rv64", "cpu-features=+m,+a,+f,+d,+c,+v", "abi=lp64d")
X86 = "triple=x86_64-unknown-linux-gnu"

VULKAN_LINALG = IreeTarget(
    "iree-vulkan:linalg",
    # Level 1: levels 2 and 3 fuse the squeeze-and-excite product into code that computes wrong on lavapipe.
    ("--iree-opt-level=O1",),
    driver=VULKAN,
    device=PORTABLE_VULKAN,
    isolated=True,
    simt=True,
)

TARGETS: dict[str, IreeTarget] = {
    target.name: target
    for target in (
        _cpu("iree-cpu", "cpu=host"),
        _cpu("iree-cpu:aarch64", *ARM, architecture="aarch64"),
        _cpu("iree-cpu:aarch64-dotprod", *ARM, "cpu-features=+dotprod", architecture="aarch64"),
        _cpu("iree-cpu:riscv64", *RISCV, architecture="riscv64"),
        _cpu("iree-cpu:x86-64-v3", X86, "cpu=x86-64-v3", architecture="x86_64"),
        _cpu("iree-cpu:x86-64-v4", X86, "cpu=x86-64-v4", architecture="x86_64"),
        replace(VULKAN_LINALG, name="iree-vulkan", quantized="iree-vulkan:simt"),
        VULKAN_LINALG,
        IreeTarget(
            "iree-vulkan:simt",
            (
                "--iree-opt-level=O1",
                # Joined, buffers begin where only the kernel's code knows, which IREE 3.13 does not translate for ours.
                "--iree-scheduling-optimize-bindings=false",
                "--iree-stream-resource-min-offset-alignment=256",
                # What is made of constants alone is computed by the device when the module is loaded, not by the
                # compiler on this CPU, which our kernels are not written for.
                "--iree-opt-const-eval=false",
            ),
            driver=VULKAN,
            device=PORTABLE_VULKAN,
            isolated=True,
            own_kernels=True,
            simt=True,
        ),
    )
}


def target_of(name: str, *, quantized: bool) -> IreeTarget:
    """As what modules for the target `name`, a key of `TARGETS`, are compiled; `quantized` if they store integers."""
    target = TARGETS[name]
    return TARGETS[target.quantized] if quantized and target.quantized else target
