"""The network: a small U-Net (Ronneberger et al. 2015); its first and last step trade pixels for channels."""

from itertools import pairwise

from torch import Tensor, nn

INPUTS, OUTPUTS = 4, 3
"""Red, green, blue and the face's outline; covers, glasses, beard."""
WIDTHS = (16, 32, 48, 64, 96)
"""Channels at a half, a quarter, … of the crop's resolution."""


def block(width: int) -> nn.Sequential:
    """What a residual block adds (He et al. 2016)."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
    )


class Unet(nn.Module):  # type: ignore[misc]
    """float[N, 4, s, s] in [0, 1] to logits float[N, 3, s, s]; s divisible by 32."""

    def __init__(self) -> None:
        super().__init__()
        first = WIDTHS[0]
        self.enter = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * INPUTS, first, 3, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
        )
        self.down = nn.ModuleList(block(width) for width in WIDTHS)
        self.shrink = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 2, stride=2, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True))
            for a, b in pairwise(WIDTHS)
        )
        self.deepest = block(WIDTHS[-1])
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(WIDTHS))
        self.up = nn.ModuleList(block(width) for width in WIDTHS[:-1])
        self.leave = nn.Sequential(nn.Conv2d(first, 4 * OUTPUTS, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, crops: Tensor) -> Tensor:
        x = self.enter(crops)
        kept = []
        for level, down in enumerate(self.down):
            x = x + down(x)
            if level < len(self.shrink):
                kept.append(x)
                x = self.shrink[level](x)
        x = x + self.deepest(x)
        for level in reversed(range(len(self.up))):
            x = nn.functional.interpolate(self.narrow[level](x), scale_factor=2, mode="nearest") + kept[level]
            x = x + self.up[level](x)
        return self.leave(x)
