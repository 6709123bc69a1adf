"""Which code comes next: a small causal transformer (Vaswani et al., 2017) over the square of codes, row by row.

Shapes: N batch, s side of the square, T = s * s places, E width, K codes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.config.networks import CodePriorConfig

Memory = list[tuple[Tensor, Tensor]]
"""Of each layer, the keys and values of the places so far: [N, heads, T, E / heads] each."""


class CodePrior(nn.Module):
    """Codes in, logits of each code given those before it out.

    Args:
        config: What it is made of.
    """

    def __init__(self, config: CodePriorConfig) -> None:
        super().__init__()
        self.config = config
        self.num_places = config.side**2
        self.tokens = nn.Embedding(config.num_codes + 1, config.width)  # the last one stands before the first code
        self.places = nn.Parameter(torch.zeros(self.num_places, config.width))
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.num_codes)

    def forward(self, codes: Tensor) -> Tensor:
        """Args: codes: int64 [N, s, s]. Returns: logits [N, T, K]; those of a place depend on the places before it."""
        before = F.pad(codes.flatten(1)[:, :-1], (1, 0), value=self.config.num_codes)
        x = self.dropout(self.tokens(before) + self.places)
        for layer in self.layers:
            x, _ = layer(x, None)
        return self.head(self.norm(x))

    def next(self, token: Tensor, place: int, memory: Memory | None) -> tuple[Tensor, Memory]:
        """One place more: what `forward` says of it, at the cost of one place.

        Args:
            token: int64 [N], the code before; the number of codes for the first place.
            place: Its number.
            memory: Of the places before.

        Returns:
            Logits [N, K], and the memory with this place.
        """
        x = (self.tokens(token) + self.places[place])[:, None]
        kept: Memory = []
        for number, layer in enumerate(self.layers):
            x, both = layer(x, memory[number] if memory else None)
            kept.append(both)
        return self.head(self.norm(x))[:, 0], kept

    @torch.no_grad()
    def sample(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Squares of codes by chance, int64 [count, s, s]; lower temperatures take likelier codes."""
        device = self.places.device
        token = torch.full((count,), self.config.num_codes, device=device)
        memory: Memory | None = None
        drawn = []
        for place in range(self.num_places):
            logits, memory = self.next(token, place, memory)
            chances = (logits.float() / max(temperature, 1e-4)).softmax(dim=-1)
            token = torch.multinomial(chances, 1, generator=generator)[:, 0]
            drawn.append(token)
        return torch.stack(drawn, dim=1).unflatten(1, (self.config.side, self.config.side))


class _Layer(nn.Module):
    """Attention and two linear layers, each behind a norm and beside a shortcut."""

    def __init__(self, config: CodePriorConfig) -> None:
        super().__init__()
        width = config.width
        self.num_heads = config.num_heads
        self.attention_norm, self.linear_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_all, self.from_heads = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.linear = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, before: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        heads = self.to_all(self.attention_norm(x)).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # [N, heads, T, E / heads] each
        alone = before is None
        if before is not None:
            key, value = torch.cat([before[0], key], dim=2), torch.cat([before[1], value], dim=2)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=alone and x.shape[1] > 1)
        x = x + self.dropout(self.from_heads(seen.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.linear(self.linear_norm(x))), (key, value)
