"""Partitions as CAI's split script makes them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch.utils.data import TensorDataset


def split(columns: Mapping[str, NDArray[Any]], rows: int) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each partition: slices copied through numpy, numbered from 1.

    Magnitudes are float64, images and redshifts float32.
    """
    kinds = {"image": torch.float32, "mag": torch.float64, "z_spec": torch.float32}
    whole = TensorDataset(*(torch.tensor(columns[n], dtype=t) for n, t in kinds.items()))
    for number, start in enumerate(range(0, len(whole), rows), start=1):
        chunks = [t[start : start + rows].numpy() for t in whole.tensors]
        file = io.BytesIO()
        torch.save(TensorDataset(*(torch.tensor(chunk) for chunk in chunks)), file)
        yield f"{number}.pt", file.getvalue()
