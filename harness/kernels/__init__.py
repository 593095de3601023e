"""Kernels as hosts: found in Debian's archive, kept in the user's cache, booted under QEMU, restored."""
