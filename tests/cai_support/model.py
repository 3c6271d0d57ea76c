"""The published AstroMAE as its own package has it: module by module, without our conveniences.

Names of modules, attributes and classes are those in the published checkpoint's pickle.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from cosmic.model.architecture import AstroMAEConfig
from cosmic.model.astromae import sincos_positions


class PatchEmbed(nn.Module):
    def __init__(self, c: AstroMAEConfig) -> None:
        super().__init__()
        self.img_size, self.patch_size = (c.image_size,) * 2, (c.patch_size,) * 2
        self.proj = nn.Conv2d(c.bands, c.embed_dim, c.patch_size, c.patch_size)
        self.norm = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.norm(torch.flatten(self.proj(x), 2).mT)
        return tokens


class Attention(nn.Module):
    def __init__(self, c: AstroMAEConfig) -> None:
        super().__init__()
        self.num_heads = c.heads
        self.scale = (c.embed_dim // c.heads) ** -0.5
        self.qkv = nn.Linear(c.embed_dim, c.embed_dim * 3, bias=False)
        self.q_bias = nn.Parameter(torch.randn(c.embed_dim) / 9)
        self.v_bias = nn.Parameter(torch.randn(c.embed_dim) / 9)
        self.register_buffer("k_bias", torch.zeros(c.embed_dim), persistent=False)
        self.proj = nn.Linear(c.embed_dim, c.embed_dim)
        self.proj_drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        heads = [
            t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for t in (q + self.q_bias, k, v + self.v_bias)
        ]
        weights = (heads[0] @ heads[1].mT * self.scale).softmax(dim=-1)
        y: Tensor = self.proj_drop(self.proj((weights @ heads[2]).transpose(1, 2).flatten(2)))
        return y


class Mlp(nn.Module):
    def __init__(self, c: AstroMAEConfig) -> None:
        super().__init__()
        self.fc1, self.act = nn.Linear(c.embed_dim, c.mlp_dim), nn.GELU()
        self.fc2, self.drop = nn.Linear(c.mlp_dim, c.embed_dim), nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.drop(self.fc2(self.act(self.fc1(x))))
        return y


class NormalCell(nn.Module):
    def __init__(self, c: AstroMAEConfig) -> None:
        super().__init__()
        self.class_token, self.drop_path = True, nn.Identity()
        self.norm1 = nn.LayerNorm(c.embed_dim, eps=1e-6)
        self.attn = Attention(c)
        self.norm2 = nn.LayerNorm(c.embed_dim, eps=1e-6)
        self.mlp = Mlp(c)
        self.PCM = nn.Sequential(
            nn.Conv2d(c.embed_dim, c.conv_dim, c.conv_kernel, groups=c.conv_groups),
            nn.BatchNorm2d(c.conv_dim),
            nn.SiLU(inplace=True),
            nn.Conv2d(c.conv_dim, c.embed_dim, c.conv_kernel, groups=c.conv_groups),
        )

    def forward(self, x: Tensor) -> Tensor:
        side = int((x.shape[1] - 1) ** 0.5)
        patches = x[:, 1:].mT.reshape(len(x), -1, side, side)
        local: Tensor = self.PCM(patches).flatten(2).mT
        x = x + self.attn(self.norm1(x))
        x[:, 1:] = x[:, 1:] + local
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class ConvBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, **options: Any) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(inputs, outputs, **options), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.bn(self.conv(x)))


class InceptionBlock(nn.Module):
    def __init__(self, inputs: int, n: int, is_custom: bool) -> None:
        super().__init__()
        self.is_custom = is_custom
        one = {"kernel_size": 1}
        self.branch1 = ConvBlock(inputs, n, **one)
        self.branch2 = nn.Sequential(
            ConvBlock(inputs, n, **one), ConvBlock(n, n, kernel_size=3, padding=1)
        )
        self.branch3 = nn.Sequential(
            ConvBlock(inputs, n, **one), ConvBlock(n, n, kernel_size=5, padding=2)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, padding=1, stride=1), ConvBlock(inputs, n, **one)
        )

    def forward(self, x: Tensor) -> Tensor:
        third = [] if self.is_custom else [self.branch3(x)]
        return torch.cat([self.branch1(x), self.branch2(x), *third, self.branch4(x)], 1)


class Input_Mix_Model(nn.Module):  # noqa: N801 - the published name
    def __init__(self, c: AstroMAEConfig) -> None:
        super().__init__()
        self.device, self.magnitude = "cpu", True
        self.conv2d_init = nn.Conv2d(c.bands, c.stem, kernel_size=(1, 1))
        self.avgpool, self.avgpool2 = nn.AvgPool2d(2, 2), nn.AvgPool2d(2, 2)
        m = c.magnitude_dim
        self.magnitude_block = nn.Sequential(
            nn.Linear(c.bands, m), *(layer for _ in range(4) for layer in (nn.ReLU(), linear(m)))
        )
        self.config = [{"in_channel": n} for n in c.inception]
        layers: list[nn.Module] = [self.conv2d_init, self.avgpool]
        for i, n in enumerate(c.inception):
            layers.append(InceptionBlock(4 * c.inception[i - 1] if i else c.stem, n, i == 4))
            layers += [nn.AvgPool2d(2)] * (i % 2)
        side = c.image_size // 8
        layers += [nn.Flatten(), nn.Linear(3 * c.inception[-1] * side**2, c.branch_dim)]
        self.vis_inception = nn.Sequential(*layers, nn.ReLU(), linear(c.branch_dim))

    def forward(self, x: list[Tensor]) -> Tensor:
        return torch.cat((self.vis_inception(x[0]), self.magnitude_block(x[1].float())), dim=1)


class ViT_Astro(nn.Module):  # noqa: N801 - the published name
    def __init__(self, c: AstroMAEConfig) -> None:
        super().__init__()
        d, b = c.embed_dim, c.branch_dim
        self.fc_norm, self.head = nn.LayerNorm(d, eps=1e-6), linear(d)
        self.inception_model = Input_Mix_Model(c)
        self.cls_token = nn.Parameter(torch.randn(1, 1, d), requires_grad=False)
        self.pos_embed = nn.Parameter(sincos_positions(c.grid, d), requires_grad=False)
        self.blocks = nn.ModuleList(NormalCell(c) for _ in range(c.depth))
        self.patch_embed = PatchEmbed(c)
        self.vit_block = nn.Sequential(nn.Linear(d, b), nn.ReLU(), linear(b))
        fused = nn.Linear(2 * b + c.magnitude_dim, c.fusion_dim)
        self.concat_block = nn.Sequential(fused, nn.ReLU(), nn.Linear(c.fusion_dim, 1))

    def forward(self, x: list[Tensor]) -> Tensor:
        tokens = self.patch_embed(x[0])
        tokens = torch.cat((self.cls_token.expand(len(tokens), -1, -1), tokens), dim=1)
        tokens = tokens + self.pos_embed
        for cell in self.blocks:
            tokens = cell(tokens)
        seen = self.vit_block(self.head(self.fc_norm(tokens[:, 1:].mean(dim=1))))
        y: Tensor = self.concat_block(torch.cat((seen, self.inception_model(x)), dim=1))
        return y


def linear(width: int) -> nn.Linear:
    return nn.Linear(width, width)


PLACES: dict[str, tuple[type[nn.Module], ...]] = {
    "blocks.model_vit_inception": (ViT_Astro,),
    "blocks.photoz": (ConvBlock, InceptionBlock, Input_Mix_Model),
    "NormalCell": (Attention, Mlp, NormalCell),
    "timm.models.vision_transformer": (PatchEmbed,),
}


@contextmanager
def published_package() -> Iterator[None]:
    """Let the classes be those of the published package, which is not here."""
    homes = {kind: kind.__module__ for kinds in PLACES.values() for kind in kinds}
    names = {name.rpartition(".")[0] for name in PLACES} | set(PLACES) | {"timm"}
    made = {name: ModuleType(name) for name in names if name}
    for place, kinds in PLACES.items():
        for kind in kinds:
            kind.__module__ = place
            setattr(made[place], kind.__name__, kind)
    sys.modules.update(made)
    try:
        yield
    finally:
        for kind, home in homes.items():
            kind.__module__ = home
        for name in made:
            del sys.modules[name]


def trained(config: AstroMAEConfig, seed: int = 5) -> ViT_Astro:
    """A model whose statistics are not those of a fresh one, in evaluation mode."""
    torch.manual_seed(seed)
    model = ViT_Astro(config)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            module.num_batches_tracked.fill_(1000)  # type: ignore[union-attr]
    return model.eval()


def saved_whole(model: nn.Module, **options: Any) -> bytes:
    """As CAI's checkpoint was saved: the module with its wrapper and its classes' names."""
    file = io.BytesIO()
    with published_package():
        torch.save(nn.DataParallel(model), file, **options)
    return file.getvalue()
