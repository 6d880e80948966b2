#!/usr/bin/env python3
"""Runs a program as an engine for containers would with its usual profile: profile.py WORD... Or with one call refused:
profile.py --only CALL ERROR WORD..., both as numbers; for several calls, a number for each with commas between them.

Docker, containerd and podman let a container make most system calls. Those that touch the machine itself are refused with EPERM, calls
that are newer than the profile with ENOSYS, clone3 with ENOSYS as well (what it asks for cannot be looked at). Written after what
https://docs.docker.com/engine/security/seccomp/ says of that profile; io_uring is among what is refused since 2023. The numbers of
the calls are asked of the C compiler.
"""

import ctypes
import errno
import os
import platform
import re
import struct
import subprocess
import sys

# What a container without further rights is not let do, as far as a machine knows the call.
REFUSED = """
    acct add_key bpf clock_settime create_module delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick
    get_kernel_syms get_mempolicy init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load
    kexec_load keyctl lookup_dcookie mbind migrate_pages mount mount_setattr move_mount move_pages nfsservctl
    open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root process_madvise query_module quotactl quotactl_fd reboot
    request_key set_mempolicy set_mempolicy_home_node setdomainname sethostname setns settimeofday swapoff swapon _sysctl
    sysfs syslog umount2 unshare uselib userfaultfd ustat vhangup
""".split()

# Namespaces of one's own: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
NAMESPACES = 0x7E020000
AF_VSOCK = 40
# The last call that such a profile knows, of Linux 5.16. From 5.0 on the numbers are the same for all processors.
NEWEST = "futex_waitv"

# How the kernel calls a processor (linux/audit.h).
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# linux/bpf_common.h, linux/seccomp.h, linux/prctl.h
LOAD, EQUAL, GREATER, ANY_BIT, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
# Where struct seccomp_data has the number, the processor, and the lower half of an argument.
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16


def numbers():
    """The number of each system call here."""
    compiler = ["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"]
    macros = subprocess.run(compiler, capture_output=True, check=True, text=True).stdout
    return {name: int(number) for name, number in re.findall(r"^#define __NR_(\w+) (\d+)$", macros, re.MULTILINE)}


def profile():
    """The filter, as the kernel reads it."""
    calls = numbers()
    program = []

    def add(code, value, if_true=0, if_false=0):
        program.append(struct.pack("=HBBI", code, if_true, if_false, value))

    def refuse(error):
        add(RETURN, REFUSE | error)

    add(LOAD, ARCHITECTURE)
    add(EQUAL, ARCHITECTURES[platform.machine()], 1, 0)
    refuse(errno.EPERM)
    add(LOAD, NUMBER)
    add(GREATER, calls[NEWEST], 0, 1)
    refuse(errno.ENOSYS)
    for name in REFUSED:
        if name in calls:
            add(EQUAL, calls[name], 0, 1)
            refuse(errno.EPERM)
    add(EQUAL, calls["clone3"], 0, 1)
    refuse(errno.ENOSYS)
    add(EQUAL, calls["clone"], 0, 3)
    add(LOAD, FIRST_ARGUMENT)
    add(ANY_BIT, NAMESPACES, 0, 4)
    refuse(errno.EPERM)
    add(EQUAL, calls["socket"], 0, 2)
    add(LOAD, FIRST_ARGUMENT)
    add(EQUAL, AF_VSOCK, 1, 0)
    add(RETURN, ALLOW)
    refuse(errno.EPERM)
    return b"".join(program), len(program)


def only(calls, error):
    """A filter that refuses these calls alone."""
    load, allow = struct.pack("=HBBI", LOAD, 0, 0, NUMBER), struct.pack("=HBBI", RETURN, 0, 0, ALLOW)
    refuse = struct.pack("=HBBI", RETURN, 0, 0, REFUSE | error)
    refusals = [struct.pack("=HBBI", EQUAL, 0, 1, call) + refuse for call in calls]
    return b"".join([load, *refusals, allow]), 2 + 2 * len(calls)


def main():
    words = sys.argv[1:]
    if words[:1] == ["--only"] and len(words) > 3:
        code, length = only([int(call) for call in words[1].split(",")], int(words[2]))
        words = words[3:]
    elif words and not words[0].startswith("-"):
        code, length = profile()
    else:
        sys.exit("usage: profile.py [--only CALL,... ERROR] WORD...")
    # struct sock_fprog
    text = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", length, ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    for option, first, second in (
        (PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero),
        (PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.c_char_p(program)),
    ):
        if libc.prctl(option, first, second, zero, zero) != 0:
            sys.exit(f"profile.py: cannot set the filter: {os.strerror(ctypes.get_errno())}")
    os.execvp(words[0], words)


main()
