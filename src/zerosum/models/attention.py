"""Self-attention of SAGAN and BigGAN."""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, scaled_dot_product_attention

from zerosum.errors import UserError


class SelfAttention(nn.Module):
    """x + s o(attention), with a learned s that starts at 0 (Zhang et al. 2019, section 3, as in the released code).

    Queries have C / 8 channels; keys, of C / 8, and values, of C / 2, are pooled to a quarter of the places. The text
    of the paper has neither the pooling nor the narrow values.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.key = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.value = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.output = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, C, H, W) to the same shape."""
        query = self.query(features)
        key, value = max_pool2d(self.key(features), 2), max_pool2d(self.value(features), 2)
        queries, keys, values = (part.flatten(2).transpose(1, 2) for part in (query, key, value))  # (B, places, C)
        # The paper does not divide by the root of the length.
        found = scaled_dot_product_attention(queries, keys, values, scale=1.0)
        return features + self.scale * self.output(found.transpose(1, 2).unflatten(2, query.shape[2:]))


def insert_attention(blocks: list[nn.Module], after: int | None, widths: list[int]) -> None:
    """Put self-attention behind that many blocks; UserError if there are fewer."""
    if after is None:
        return
    if not 1 <= after <= len(blocks):
        raise UserError(f"attention={after}: choose how many blocks stand before it, 1 to {len(blocks)}, or null")
    blocks.insert(after, SelfAttention(widths[after - 1]))
