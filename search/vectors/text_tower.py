"""Run a text tower at the length of the batch's longest caption, exactly.

A causal tower that pools at the end token never looks behind it: positions after the end can't reach the
pooled one, so cutting them changes nothing but rounding. open_clip always runs all 77 positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

POOLS_AT_END = ("argmax", "eos")
"""open_clip's pool types that read the end token's position: the highest id, or the id of the end token."""


@dataclass(frozen=True, slots=True)
class TextTower:
    """The parts of a causal text tower, as open_clip.CLIP or its TextTransformer hold them."""

    parts: Any
    pool: str
    end_id: int | None

    def ends(self, tokens: Tensor) -> Tensor:
        """The end token's position in each row of ``tokens`` (n, context), as open_clip finds it."""
        if self.pool == "argmax":
            return tokens.argmax(dim=-1)
        return (tokens == self.end_id).int().argmax(dim=-1)

    def encode(self, tokens: Tensor, ends: Tensor) -> Tensor:
        """Text features (n, dimension) of ``tokens`` (n, length), cut at or behind the last of ``ends``.

        The steps of open_clip 3's CLIP.encode_text, with mask and positions cut to the length.
        """
        import torch

        parts, length = self.parts, tokens.shape[1]
        dtype = parts.transformer.get_cast_dtype()
        x = parts.token_embedding(tokens).to(dtype) + parts.positional_embedding[:length].to(dtype)
        x = parts.transformer(x, attn_mask=parts.attn_mask[:length, :length])
        pooled = parts.ln_final(x)[torch.arange(len(tokens), device=tokens.device), ends]
        projection = parts.text_projection
        if projection is None:
            return pooled
        return projection(pooled) if isinstance(projection, torch.nn.Linear) else pooled @ projection


def text_tower(network: Any) -> TextTower | None:
    """The tower of ``network`` if it can be cut; None for every other kind (bidirectional, class token, HF).

    Only open_clip's own two kinds are taken, by their exact type: a subclass may do something else.
    """
    from open_clip.model import CLIP, CustomTextCLIP
    from open_clip.transformer import TextTransformer

    kind: type[Any] = type(network)
    if kind is CLIP:
        tower = TextTower(network, network.text_pool_type, network.text_eos_id)
    elif kind is CustomTextCLIP and type(network.text) is TextTransformer:
        text: Any = network.text
        if text.cls_emb is not None or text.use_pad_mask or text.output_tokens:
            return None
        tower = TextTower(text, text.pool_type, text.eos_id)
    else:
        return None
    return tower if tower.pool in POOLS_AT_END and _is_causal(tower.parts.attn_mask) else None


def _is_causal(mask: Tensor | None) -> bool:
    import torch

    if mask is None:
        return False
    causal = torch.full_like(mask, float("-inf")).triu(1)
    return torch.equal(mask, causal)
