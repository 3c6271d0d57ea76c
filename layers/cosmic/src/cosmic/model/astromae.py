"""AstroMAE: a redshift from a five-band image and five magnitudes.

Three branches meet in one head: a vision transformer with a convolution beside each attention, an
Inception network, and an MLP over the magnitudes. Architecture and module names follow AstroMAE
(Fathkouhi & Fox 2024, arXiv 2409.01825, section 3) so that its weights load by name; what the
published model expects of its caller (stretching, standardising, filling gaps) is done here, in
buffers that travel with the weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cosmic.model.architecture import AstroMAEConfig


class InputNormalisation(nn.Module):
    """Physical units in, what a network likes out; fixed buffers, no parameters.

    Pixels: asinh(flux / softening) / scale, so that sky noise is near-linear and cores don't
    saturate (Lupton et al. 2004). Magnitudes: (mag - shift) / scale. What is missing (not finite)
    becomes a neutral value: an empty pixel is sky, an unknown magnitude is `mag_neutral`.
    As built every buffer is neutral but the stretch; `stretch` 0 leaves the pixels as they are.
    """

    stretch: Tensor
    softening: Tensor
    image_scale: Tensor
    mag_shift: Tensor
    mag_scale: Tensor
    mag_neutral: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.register_buffer("stretch", torch.ones(1))
        self.register_buffer("softening", torch.ones(bands))  # nanomaggies
        self.register_buffer("image_scale", torch.ones(bands))
        self.register_buffer("mag_shift", torch.zeros(bands))  # mag
        self.register_buffer("mag_scale", torch.ones(bands))  # mag
        self.register_buffer("mag_neutral", torch.zeros(bands))  # mag

    def forward(self, image: Tensor, mag: Tensor) -> tuple[Tensor, Tensor]:
        soft = self.softening[:, None, None]
        pixels = torch.where(torch.isfinite(image), image, torch.zeros_like(image))  # N, C, H, W
        pixels = pixels / soft
        pixels = torch.where(self.stretch > 0, asinh(pixels), pixels)
        known = torch.where(torch.isfinite(mag), mag, self.mag_neutral)  # N, C
        return pixels / self.image_scale[:, None, None], (known - self.mag_shift) / self.mag_scale


class PatchEmbed(nn.Module):
    """Cuts the image into patches and projects each to a token."""

    def __init__(self, c: AstroMAEConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(c.bands, c.embed_dim, c.patch_size, stride=c.patch_size)

    def forward(self, x: Tensor) -> Tensor:  # N, C, H, W
        tokens: Tensor = self.proj(x)  # N, D, G, G
        return tokens.flatten(2).transpose(1, 2)  # N, G*G, D


class Attention(nn.Module):
    """Multi-head self-attention; queries and values have a bias, keys have none."""

    def __init__(self, c: AstroMAEConfig) -> None:
        super().__init__()
        self.heads = c.heads
        self.qkv = nn.Linear(c.embed_dim, 3 * c.embed_dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(c.embed_dim))
        self.v_bias = nn.Parameter(torch.zeros(c.embed_dim))
        self.proj = nn.Linear(c.embed_dim, c.embed_dim)

    def forward(self, x: Tensor) -> Tensor:  # N, T, D
        n, t, d = x.shape
        bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        qkv = F.linear(x, self.qkv.weight, bias)  # N, T, 3D
        q, k, v = qkv.view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)  # N, heads, T, D/heads
        y: Tensor = self.proj(out.transpose(1, 2).reshape(n, t, d))
        return y  # N, T, D


class Mlp(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, c: AstroMAEConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(c.embed_dim, c.mlp_dim)
        self.fc2 = nn.Linear(c.mlp_dim, c.embed_dim)

    def forward(self, x: Tensor) -> Tensor:  # N, T, D
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class Block(nn.Module):
    """A transformer block with a convolution branch (`PCM`) on the patch tokens beside it."""

    def __init__(self, c: AstroMAEConfig) -> None:
        super().__init__()
        k, g = c.conv_kernel, c.conv_groups
        self.grid = c.grid
        self.norm1 = nn.LayerNorm(c.embed_dim, eps=1e-6)
        self.attn = Attention(c)
        self.PCM = nn.Sequential(
            nn.Conv2d(c.embed_dim, c.conv_dim, k, padding=k // 2, groups=g),
            nn.BatchNorm2d(c.conv_dim),
            nn.SiLU(),
            nn.Conv2d(c.conv_dim, c.embed_dim, k, padding=k // 2, groups=g),
        )
        self.norm2 = nn.LayerNorm(c.embed_dim, eps=1e-6)
        self.mlp = Mlp(c)

    def forward(self, x: Tensor) -> Tensor:  # N, 1 + G*G, D
        n, _, d = x.shape
        patches = x[:, 1:].reshape(n, self.grid, self.grid, d).permute(0, 3, 1, 2)  # N, D, G, G
        local = self.PCM(patches).permute(0, 2, 3, 1).flatten(1, 2)  # N, G*G, D
        x = x + self.attn(self.norm1(x))
        x = torch.cat((x[:, :1], x[:, 1:] + local), dim=1)  # the class token has no neighbours
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class ConvBlock(nn.Module):
    """Convolution that keeps the size, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four parallel paths (1x1, 3x3, 5x5, pooled), joined along the channels.

    `three_paths` leaves the 5x5 path out of the output; its weights stay, as in the published
    checkpoint.
    """

    def __init__(self, inputs: int, width: int, *, three_paths: bool = False) -> None:
        super().__init__()
        self.three_paths = three_paths
        self.branch1 = ConvBlock(inputs, width, 1)
        self.branch2 = nn.Sequential(ConvBlock(inputs, width, 1), ConvBlock(width, width, 3))
        self.branch3 = nn.Sequential(ConvBlock(inputs, width, 1), ConvBlock(width, width, 5))
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), ConvBlock(inputs, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:  # N, inputs, H, W
        if self.three_paths:
            return torch.cat((self.branch1(x), self.branch2(x), self.branch4(x)), dim=1)
        paths = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([path(x) for path in paths], dim=1)  # N, 4*width, H, W


class InceptionBranch(nn.Module):
    """The Inception network over the image, and the MLP over the magnitudes."""

    def __init__(self, c: AstroMAEConfig) -> None:
        super().__init__()
        m, b = c.magnitude_dim, c.branch_dim
        layers: list[nn.Module] = [nn.Conv2d(c.bands, c.stem, 1), nn.AvgPool2d(2)]
        inputs, last = c.stem, len(c.inception) - 1
        for i, width in enumerate(c.inception):
            layers.append(Inception(inputs, width, three_paths=i == last))
            if i % 2 and i != last:
                layers.append(nn.AvgPool2d(2))
            inputs = 4 * width
        side = c.image_size // 2 ** sum(isinstance(layer, nn.AvgPool2d) for layer in layers)
        flat = 3 * c.inception[-1] * side * side
        layers += [nn.Flatten(), nn.Linear(flat, b), nn.ReLU(), nn.Linear(b, b)]
        self.vis_inception = nn.Sequential(*layers)

        dense: list[nn.Module] = [nn.Linear(c.bands, m)]
        for _ in range(4):
            dense += [nn.ReLU(), nn.Linear(m, m)]
        self.magnitude_block = nn.Sequential(*dense)

    def forward(self, image: Tensor, mag: Tensor) -> Tensor:
        return torch.cat((self.vis_inception(image), self.magnitude_block(mag)), dim=1)


class AstroMAE(nn.Module):
    """Redshift from image and magnitudes.

    Args of `forward`:
        image: (N, bands, H, W) float32, nanomaggies, bands u g r i z; NaN where there is no pixel.
        mag: (N, bands) float32, asinh magnitudes; NaN where there is none.

    Returns of `forward`:
        (N,) float32 redshifts.
    """

    z_shift: Tensor
    z_scale: Tensor

    def __init__(self, config: AstroMAEConfig) -> None:
        super().__init__()
        c = self.config = config
        d = c.embed_dim
        self.normalise = InputNormalisation(c.bands)

        self.patch_embed = PatchEmbed(c)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, d))
        self.pos_embed = nn.Parameter(sincos_positions(c.grid, d), requires_grad=False)
        self.blocks = nn.ModuleList([Block(c) for _ in range(c.depth)])
        self.fc_norm = nn.LayerNorm(d, eps=1e-6)
        self.head = nn.Linear(d, d)
        self.vit_block = nn.Sequential(
            nn.Linear(d, c.branch_dim), nn.ReLU(), nn.Linear(c.branch_dim, c.branch_dim)
        )

        self.inception_model = InceptionBranch(c)

        self.concat_block = nn.Sequential(
            nn.Linear(2 * c.branch_dim + c.magnitude_dim, c.fusion_dim),
            nn.ReLU(),
            nn.Linear(c.fusion_dim, 1),
        )
        self.register_buffer("z_shift", torch.zeros(1))
        self.register_buffer("z_scale", torch.ones(1))

    def forward(self, image: Tensor, mag: Tensor) -> Tensor:
        pixels, mags = self.normalise(image, mag)
        pixels = pixels.contiguous(memory_format=torch.channels_last)

        x = self.patch_embed(pixels)  # N, G*G, D
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)  # N, 1 + G*G, D
        x = self.head(self.fc_norm(x[:, 1:].mean(dim=1)))  # N, D
        seen = self.vit_block(x)  # N, branch

        rest = self.inception_model(pixels, mags)  # N, branch + magnitude
        z: Tensor = self.concat_block(torch.cat((seen, rest), dim=1))  # N, 1
        return self.z_shift + self.z_scale * z[:, 0]


def asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine from vectorised parts: five times as fast as `torch.asinh`."""
    return torch.copysign(torch.log(x.abs() + torch.sqrt(x * x + 1.0)), x)


def sincos_positions(grid: int, dim: int) -> Tensor:
    """Fixed 2-D sine-cosine position of each token (He et al. 2022, MAE); zero for the class token.

    Args:
        grid: Patches along a side, G.
        dim: Width of a token, a multiple of 4: half of it encodes the column, half the row.

    Returns:
        (1, 1 + G*G, dim) float32.
    """
    frequency = 10_000.0 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    place = torch.arange(grid, dtype=torch.float64)[:, None] * frequency  # G, dim/4
    wave = torch.cat((place.sin(), place.cos()), dim=1)  # G, dim/2
    column = wave.repeat(grid, 1)  # G*G, dim/2
    row = wave.repeat_interleave(grid, dim=0)
    table = torch.cat((column, row), dim=1).to(torch.float32)
    return torch.cat((torch.zeros(1, dim), table)).unsqueeze(0)


def count_parameters(model: nn.Module) -> int:
    """Numbers in all parameters, fixed positions included, buffers not."""
    return sum(math.prod(p.shape) for p in model.parameters())
