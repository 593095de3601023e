"""Kernels that no guest here can be made of: what a file is that is no image of an x86-64 kernel."""

from __future__ import annotations

import struct

_X86 = (0x202, b"HdrS")
"""Where a bzImage says what it is (x86/boot.rst)."""

_LOAD_FLAGS = 0x236
_ENTERED_IN_64_BITS = 1
"""``XLF_KERNEL_64`` among the load flags: a kernel of 32 bits lacks it (x86/boot.rst)."""

_IMAGES = {
    "arm64": (0x38, b"ARM\x64"),  # arm64/booting.rst
    "riscv": (0x38, b"RSC\x05"),  # riscv/boot-image-header.rst
    "arm": (0x24, b"\x18\x28\x6f\x01"),  # arch/arm/boot/compressed/head.S
    "another architecture, packed for EFI": (0x4, b"zimg"),  # drivers/firmware/efi/libstub/zboot-header.S
}
"""What stands where in images of other architectures."""

_ELF_MACHINE = 0x12
_X86_MACHINES = (3, 62)
_MACHINES = {
    8: "mips",
    20: "powerpc",
    21: "powerpc",
    22: "s390",
    40: "arm",
    183: "arm64",
    243: "riscv",
    258: "loongarch",
}
"""``e_machine`` (elf.h); some architectures' kernels are booted as ELF files."""


def what_it_is(head: bytes) -> str:
    """What a file is, by its first bytes; empty where it is an image of an x86-64 kernel."""
    offset, magic = _X86
    if head[offset : offset + len(magic)] == magic:
        (flags,) = struct.unpack_from("<H", head.ljust(_LOAD_FLAGS + 2, b"\0"), _LOAD_FLAGS)
        return "" if flags & _ENTERED_IN_64_BITS else "an x86 kernel of 32 bits"
    if head[:4] == b"\x7fELF":
        return _elf(head)
    for architecture, (offset, magic) in _IMAGES.items():
        if head[offset : offset + len(magic)] == magic:
            return f"a kernel for {architecture}"
    return "no x86 kernel"


def _elf(head: bytes) -> str:
    order = ">" if head[5:6] == b"\2" else "<"
    (machine,) = struct.unpack_from(f"{order}H", head.ljust(_ELF_MACHINE + 2, b"\0"), _ELF_MACHINE)
    if machine in _X86_MACHINES:
        return "an unpacked vmlinux; name the bzImage beside it"
    return f"an ELF file for {_MACHINES.get(machine, f'another architecture (e_machine {machine})')}"
