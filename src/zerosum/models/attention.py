"""Self-attention of SAGAN and BigGAN."""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, scaled_dot_product_attention


class SelfAttention(nn.Module):
    """x + s o(attention), with a learned s that starts at 0 (Zhang et al. 2019, section 3, as in the released code).

    Queries have C / 8 channels; keys, of C / 8, and values, of C / 2, are pooled to a quarter of the places. The text
    of the paper has neither the pooling nor the narrow values.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.query = nn.Conv2d(channels, narrow, 1, bias=False)
        self.key = nn.Conv2d(channels, narrow, 1, bias=False)
        self.value = nn.Conv2d(channels, half, 1, bias=False)
        self.output = nn.Conv2d(half, channels, 1, bias=False)
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, C, H, W) to the same shape."""
        query = self.query(features)
        key, value = max_pool2d(self.key(features), 2), max_pool2d(self.value(features), 2)
        # (B, 1, places, C): ONNX knows attention of heads alone.
        queries, keys, values = (part.flatten(2).transpose(1, 2)[:, None] for part in (query, key, value))
        # The paper does not divide by the root of the length.
        found = scaled_dot_product_attention(queries, keys, values, scale=1.0)[:, 0]
        return features + self.scale * self.output(found.transpose(1, 2).unflatten(2, query.shape[2:]))


def side_of_attention(side: int) -> int:
    """The map that attention looks at: half the side of the image, at most 64 (Brock et al. 2019, appendix B)."""
    return min(64, side // 2)


def insert_attention(blocks: list[nn.Module], sides: list[int], widths: list[int], image: int) -> None:
    """Put self-attention behind the block whose map has `side_of_attention`; sides and widths are those behind each."""
    place = sides.index(side_of_attention(image))
    blocks.insert(place + 1, SelfAttention(widths[place]))
