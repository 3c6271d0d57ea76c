"""How much of a processor AWS Lambda gives a function, which follows from its memory alone."""

from __future__ import annotations

MB_PER_VCPU = 1769  # AWS's documentation: memory at which a function has one whole vCPU


def vcpus(memory_mb: int) -> float:
    """vCPUs of a function with `memory_mb` MB; a fraction below one is a share of its time."""
    return memory_mb / MB_PER_VCPU


def threads_for_memory(memory_mb: int) -> int:
    """Threads worth starting in a function: one per whole vCPU, at least one."""
    return max(1, memory_mb // MB_PER_VCPU)
