"""Checkpoints made to do harm: no code of theirs runs, nothing large is made, each is refused."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cai_support.model import saved_whole, trained
from cosmic.errors import InputError
from cosmic.model.architecture import PRESETS, AstroMAEConfig
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.convert import convert as converting
from cosmic.model.convert.modules import MAX_DEPTH, MAX_MODULES
from cosmic.model.convert.objects import MAX_PICKLE_BYTES
from fault_support.evil_pickle import Evil

SMALL = AstroMAEConfig(
    embed_dim=8,
    depth=1,
    heads=2,
    mlp_dim=8,
    conv_dim=8,
    conv_groups=2,
    branch_dim=4,
    magnitude_dim=4,
    fusion_dim=4,
    inception=(4, 4, 4, 4, 4),
)
MOST = 32 << 20


@pytest.fixture(scope="module")
def good() -> bytes:
    return saved_whole(trained(SMALL))


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[[bytes], str]:
    """Why a file is not converted, having made no file and not much in memory."""

    def refused(body: bytes) -> str:
        source, out = tmp_path / "in.pt", tmp_path / "out.safetensors"
        source.write_bytes(body)
        tracemalloc.start()
        with pytest.raises(InputError) as caught:
            converting.convert(source, out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST + 4 * len(body)
        assert caught.value.code == "checkpoint-invalid"
        assert caught.value.hint
        assert not out.exists()
        return caught.value.message

    return refused


def rezipped(body: bytes, change: Callable[[dict[str, bytes]], Any]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def with_pickle(body: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", body)
    return file.getvalue()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_no_code_of_a_pickle_runs(
    tmp_path: Path, refusal: Callable[[bytes], str], protocol: int
) -> None:
    mark = tmp_path / "ran"
    for payload in (
        Evil(os.system, f"touch {mark}"),
        {"state_dict": Evil(eval, f"open({str(mark)!r}, 'w')")},
        {"model": {"head.weight": Evil(getattr, Evil(__import__, "os"), "abort")}},
    ):
        refusal(with_pickle(pickle.dumps(payload, protocol)))
    assert not mark.exists()


class Trap(nn.Module):
    """Code in every hook that unpickling a module may call."""

    mark: Path

    def __setstate__(self, state: Any) -> None:
        self.mark.touch()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Evil(os.system, f"touch {self.mark}").__reduce__()


def test_code_beside_the_weights_stays_where_it_is(tmp_path: Path) -> None:
    """Such a checkpoint is converted all the same: what is not a weight is not looked at."""
    model = trained(SMALL)
    model.note = Evil(os.system, f"touch {tmp_path / 'ran'}")  # type: ignore[assignment]
    source, out = tmp_path / "in.pt", tmp_path / "out.safetensors"
    source.write_bytes(saved_whole(model))
    before = set(sys.modules)
    converting.convert(source, out)
    assert not (tmp_path / "ran").exists()
    assert load_checkpoint(out).config == SMALL
    assert not any(name.startswith("blocks") for name in set(sys.modules) - before)


def test_a_module_that_runs_code_is_no_module(
    tmp_path: Path, refusal: Callable[[bytes], str]
) -> None:
    Trap.mark = tmp_path / "ran"
    file = io.BytesIO()
    torch.save({"model": Trap()}, file)
    assert "posix.system" in refusal(file.getvalue())
    assert not Trap.mark.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b".",
        b"(.",
        b"0.",
        b"}].",
        b"N)R.",
        b"N)\x81.",
        b"cos\nsystem\nNR.",
        b"cos\nsystem\n)R]b.",
        b"]}b.",
        b"Nb.",
        b"}(]Nu.",
        b"}(cos\nsystem\nNu.",
        b"ccollections\nOrderedDict\n](Nee\x85R.",
        b"ccollections\nOrderedDict\n](]Nae\x85R.",
        b"Pos\n.",
        b"\x82\x01.",
        b"(ios\nsystem\n.",
        b"]\x94h\x07.",
        b"\x8b\xff\xff\xff\x7f1.",
        b"(" * 200_000 + b".",
        b"](" * 100_000 + b".",
        b")" + b"\x85" * 200_000 + b".",
        b")" + b"\x85" * 100_000 + b"}s.",
        b"]" + b"\x94" * 50_000 + b".",
    ],
)
def test_broken_pickles(refusal: Callable[[bytes], str], body: bytes) -> None:
    refusal(with_pickle(body))


def test_a_huge_pickle_is_not_read(refusal: Callable[[bytes], str]) -> None:
    assert "at most" in refusal(with_pickle(b"]" * (MAX_PICKLE_BYTES + 1)))


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def module(inner: bytes) -> bytes:
    """A module's pickle with these `_modules`."""
    return b"cm\nM\n)\x81}" + text("_modules") + b"}" + inner + b"sb"


def test_modules_that_hold_themselves(refusal: Callable[[bytes], str]) -> None:
    """A module whose child it is itself has no end."""
    body = b"cm\nM\n)\x81\x94}" + text("_modules") + b"}" + text("a") + b"h\x00sssb."
    body = body.replace(b"sssb", b"ssb")
    assert f"more than {MAX_DEPTH} deep" in refusal(with_pickle(body))


def test_modules_that_multiply(refusal: Callable[[bytes], str]) -> None:
    """Forty levels, each holding the next twice, are 2^40 modules by name."""
    body = module(b"") + b"q\x00"
    for level in range(1, 41):
        body += module(
            text("a") + b"h" + bytes([level - 1]) + b"s" + text("b") + b"h" + bytes([level - 1])
            + b"s"
        ) + b"q" + bytes([level])  # fmt: skip
    assert f"more than {MAX_MODULES} modules" in refusal(with_pickle(body + b"."))


def test_a_wrapper_around_itself(refusal: Callable[[bytes], str]) -> None:
    body = b"cm\nDataParallel\n)\x81\x94}" + text("_modules") + b"}" + text("module") + b"h\x00ssb."
    refusal(with_pickle(body))


def test_names_that_are_none(refusal: Callable[[bytes], str]) -> None:
    assert "no proper name" in refusal(
        with_pickle(module(text("x" * 500) + b"cm\nM\n)\x81s") + b".")
    )
    assert "no proper name" in refusal(with_pickle(module(b"K\x01cm\nM\n)\x81s") + b"."))
    assert "is a int" in refusal(with_pickle(module(text("a") + b"K\x01s") + b"."))


def test_one_number_shown_a_million_million_times(refusal: Callable[[bytes], str]) -> None:
    state = {**trained(SMALL).state_dict(), "head.weight": torch.zeros(1).expand(1 << 20, 1 << 20)}
    file = io.BytesIO()
    torch.save(state, file)
    assert "head.weight has shape" in refusal(file.getvalue())


def test_shared_storages_do_not_multiply(tmp_path: Path) -> None:
    state = trained(PRESETS["tiny"]).state_dict()
    shared = torch.zeros(max(t.numel() for t in state.values()))
    views = {n: shared[: t.numel()].view(t.shape) for n, t in state.items() if "tracked" not in n}
    source = tmp_path / "in.pt"
    torch.save(views, source)
    with pytest.raises(InputError, match="share storages"):
        converting.convert(source, tmp_path / "out", heads=3)


def test_members_that_are_not_as_they_should(refusal: Callable[[bytes], str], good: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        folder = archive.namelist()[0].partition("/")[0]
    for change, says in (
        (lambda m: m.pop(f"{folder}/data/0"), "'data/0' is missing"),
        (lambda m: m.update({f"{folder}/data/0": b"short"}), "in 5 bytes"),
        (lambda m: m.update({f"{folder}/byteorder": b"big"}), "big-endian"),
        (lambda m: m.pop(f"{folder}/data.pkl"), "0 data.pkl"),
    ):
        assert says in refusal(rezipped(good, change))
    assert "not a zip file" in refusal(b"")
    assert "not a zip file" in refusal(pickle.dumps({"legacy": 1}, 2))


def test_every_changed_byte_is_refused_or_harmless(tmp_path: Path, good: bytes) -> None:
    """A checkpoint or a refusal comes of a file with any one byte of its pickle changed."""
    draw = np.random.default_rng(0)
    pickled = good.index(b"cblocks") if b"cblocks" in good else good.index(b"ctorch.nn")
    source, out = tmp_path / "in.pt", tmp_path / "out.safetensors"
    for at in draw.integers(pickled, pickled + 20_000, 80):
        changed = bytearray(good)
        changed[at] ^= int(draw.integers(1, 256))
        source.write_bytes(changed)
        try:
            converting.convert(source, out)
        except InputError as error:
            assert error.code in ("checkpoint-invalid", "heads-unknown")  # noqa: PT017
        else:
            assert load_checkpoint(out).config.embed_dim == SMALL.embed_dim
