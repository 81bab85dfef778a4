"""The pause program: process 1 of each pod, which holds the pod's namespaces open.  Pure.

In: a machine's name as `uname -m` says it.  Out: a static ELF executable of some 300 bytes, so
that no compiler and no download is needed.  Called by `recipes`.

As process 1 it does two things.  It reaps orphans, where the pod shares one process namespace:
by ignoring SIGCHLD it leaves that to the kernel.  And it ends at SIGTERM or SIGINT: signals that
process 1 neither handles nor blocks are dropped by the kernel, so it blocks them and waits for one.

    rt_sigaction(SIGCHLD, {SIG_IGN}, NULL, 8)
    rt_sigprocmask(SIG_BLOCK, {SIGINT, SIGTERM}, NULL, 8)
    do r = rt_sigtimedwait({SIGINT, SIGTERM}, NULL, NULL, 8); while (r < 0)
    exit_group(0)

References: elf(5), the processors' instruction set manuals, Linux's syscall tables.
"""

import struct
from collections.abc import Callable

_BASE = 0x400000
_EHDR, _PHDR = 64, 56
_CODE = _EHDR + 2 * _PHDR
_SIGINT, _SIGTERM, _SIGCHLD = 2, 15, 17
_SIG_IGN, _SIG_BLOCK = 1, 0
_SIGSET_BYTES = 8
_EM_X86_64, _EM_AARCH64 = 62, 183


def program(machine: str) -> bytes:
    """The executable for `x86_64` or `aarch64`.  Raises ValueError for other machines."""
    if machine not in _MACHINES:
        raise ValueError(f"no pause program for machine {machine!r}: {', '.join(_MACHINES)}")
    elf_machine, assemble = _MACHINES[machine]
    # Addresses do not change the code's length, so a first round finds where the data lies.
    data_at = _BASE + _CODE + len(assemble(0, 0))
    data_at += -data_at % 8
    signals = struct.pack("<Q", 1 << (_SIGINT - 1) | 1 << (_SIGTERM - 1))
    ignore = struct.pack("<QQQQ", _SIG_IGN, 0, 0, 0)  # handler, flags, restorer, mask
    code = assemble(data_at, data_at + len(signals))
    code += bytes(-len(code) % 8)
    return _elf(elf_machine, code + signals + ignore)


def _elf(machine: int, content: bytes) -> bytes:
    size = _CODE + len(content)
    ident = b"\x7fELF" + bytes((2, 1, 1, 0)) + bytes(8)  # 64 bits, little endian, System V
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        ident,
        2,
        machine,
        1,
        _BASE + _CODE,
        _EHDR,
        0,
        0,
        _EHDR,
        _PHDR,
        2,
        0,
        0,
        0,
    )
    read_execute, read_write = 5, 6
    load = struct.pack("<IIQQQQQQ", 1, read_execute, 0, _BASE, _BASE, size, size, 0x10000)
    # PT_GNU_STACK: the stack is not executable.
    stack = struct.pack("<IIQQQQQQ", 0x6474E551, read_write, 0, 0, 0, 0, 0, 16)
    return header + load + stack + content


def _x86_64(signals: int, ignore: int) -> bytes:
    """Arguments in rdi, rsi, rdx, r10; number in eax; the call spoils rcx and r11 only."""

    def load(opcode: int, value: int) -> bytes:  # mov r32, imm32
        return bytes((opcode,)) + struct.pack("<I", value)

    eax, esi, edi = 0xB8, 0xBE, 0xBF
    syscall = b"\x0f\x05"
    zero_edx = b"\x31\xd2"
    prepare = (
        load(edi, _SIGCHLD)
        + load(esi, ignore)
        + zero_edx
        + b"\x41"
        + load(0xBA, _SIGSET_BYTES)  # mov r10d
        + load(eax, 13)  # rt_sigaction
        + syscall
        + load(edi, _SIG_BLOCK)
        + load(esi, signals)
        + load(eax, 14)  # rt_sigprocmask
        + syscall
    )
    wait = (
        load(edi, signals)
        + load(esi, 0)
        + load(eax, 128)  # rt_sigtimedwait
        + syscall
        + b"\x85\xc0"  # test eax, eax
    )
    again = b"\x78" + struct.pack("b", -(len(wait) + 2))  # js wait
    leave = load(edi, 0) + load(eax, 231) + syscall  # exit_group
    return prepare + wait + again + leave


def _aarch64(signals: int, ignore: int) -> bytes:
    """Arguments in x0 to x3; number in x8; the call spoils x0 only."""

    def load(register: int, value: int) -> list[int]:
        low, high = value & 0xFFFF, value >> 16
        words = [0xD2800000 | low << 5 | register]  # movz
        if value >= _BASE or not value:
            words.append(0xF2A00000 | high << 5 | register)  # movk, lsl 16
        return words

    call = [0xD4000001]  # svc 0
    prepare = [
        *load(0, _SIGCHLD),
        *load(1, ignore),
        *load(2, 0),
        *load(3, _SIGSET_BYTES),
        *load(8, 134),  # rt_sigaction
        *call,
        *load(0, _SIG_BLOCK),
        *load(1, signals),
        *load(8, 135),  # rt_sigprocmask
        *call,
    ]
    wait = [*load(0, signals), *load(1, 0), *load(8, 137), *call]  # rt_sigtimedwait
    again = [0x37F80000 | (-len(wait) & 0x3FFF) << 5]  # tbnz w0, 31, wait
    leave = [*load(0, 0), *load(8, 94), *call]  # exit_group
    words = [*prepare, *wait, *again, *leave]
    return b"".join(struct.pack("<I", word) for word in words)


_MACHINES: dict[str, tuple[int, Callable[[int, int], bytes]]] = {
    "x86_64": (_EM_X86_64, _x86_64),
    "aarch64": (_EM_AARCH64, _aarch64),
}
