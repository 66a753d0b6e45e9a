"""Log-probabilities of rollouts on a CPU: each prompt once for its group, little padding, the head on scored tokens alone.

Shapes: B rollouts of U different prompts; P prompt tokens with padding on the left, C completion tokens with padding on
the right, H hidden, N scored tokens. The values and gradients are those of one forward over (B, P + C).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import DynamicCache

from ascl_core.cpu.decoding import keeps_plain_cache

_ROWS_TOGETHER = 16
"""Rollouts of like length that are forwarded together: fewer pad less, more make larger products."""
_MAX_LOGITS = 2**25
"""Logits that are kept at once (128 MiB in float32); where there are more, they are computed again in the backward pass."""
_SCALED = ("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling")


def can_share_prompts(model: Any) -> bool:
    """Return whether the model's cache is plain keys and values, and its logits are the head's."""
    config = model.config.get_text_config()
    plain = all(kind == "full_attention" for kind in getattr(config, "layer_types", None) or [])
    plain &= not getattr(config, "sliding_window", None) or not getattr(config, "use_sliding_window", True)
    rotation = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    plain &= "dynamic" not in rotation and rotation != "longrope"  # these turn earlier keys by the length of what is read
    return plain and has_plain_head(model) and not model.is_gradient_checkpointing and keeps_plain_cache(model)


def has_plain_head(model: Any) -> bool:
    """Return whether the logits are those of the language model's head, neither scaled nor capped."""
    config = model.config.get_text_config()
    return all(getattr(config, name, None) is None for name in _SCALED)


def completion_log_probs(
    model: Any, input_ids: Tensor, attention_mask: Tensor, scored: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return log-probabilities and entropies (B, C) of the completion tokens where `scored` (B, C) is True; 0 elsewhere.

    No gradient flows through the entropies.
    """
    width = scored.shape[1]
    scored = scored & attention_mask[:, -width:].bool()
    decoder = model.get_decoder()
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    cache, last, prompt_of = _prompts(decoder, input_ids[:, :-width], attention_mask[:, :-width])
    lengths = attention_mask[:, -width:].sum(1).clamp_min(1)  # (B,)
    for part in lengths.argsort(stable=True).split(_ROWS_TOGETHER):
        own, length = prompt_of[part], int(lengths[part].max())
        completion = input_ids[part, -width:][:, :length]
        mask = attention_mask[part][:, : attention_mask.shape[1] - width + length - 1]
        hidden = _continued(decoder, cache, own, last, completion[:, :-1], mask)  # (b, length, H)
        here = scored[part, :length]
        positions = part[:, None] * width + torch.arange(length, device=part.device)
        rows.append((hidden[here], completion[here], positions[here]))
    hidden, targets, positions = (torch.cat(parts) for parts in zip(*rows, strict=True))
    log_probs, entropies = _score(hidden, model.get_output_embeddings(), targets, temperature)
    flat = log_probs.new_zeros(scored.numel())
    spread = (flat.index_copy(0, positions, values).view(scored.shape) for values in (log_probs, entropies))
    return next(spread), next(spread)


def _prompts(decoder: Any, ids: Tensor, mask: Tensor) -> tuple[Any, Tensor, Tensor]:
    """Return the cache (U, ...) of the different prompts, their last hidden states (U, H), and each rollout's prompt (B,)."""
    both, prompt_of = torch.unique(torch.cat([ids, mask.to(ids)], dim=1), dim=0, return_inverse=True)
    unique_ids, unique_mask = both.chunk(2, dim=1)
    output = decoder(input_ids=unique_ids, attention_mask=unique_mask, use_cache=True)
    return output.past_key_values, output.last_hidden_state[:, -1], prompt_of


def _continued(decoder: Any, cache: Any, own: Tensor, last: Tensor, completion: Tensor, mask: Tensor) -> Tensor:
    """Return hidden states (b, C, H) that predict the completion: the prompt's last, then those after each of its tokens."""
    first = last[own][:, None]
    if completion.shape[1] == 0:
        return first
    of_rows = DynamicCache([(layer.keys[own], layer.values[own]) for layer in cache.layers])
    output = decoder(input_ids=completion, attention_mask=mask, past_key_values=of_rows, use_cache=True)
    return torch.cat([first, output.last_hidden_state], dim=1)


def _score(hidden: Tensor, head: Any, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return log-probabilities and entropies (N,) of the targets."""
    size = max(1, _MAX_LOGITS // head.weight.shape[0])
    if len(hidden) <= size:
        return _score_part(hidden, head, targets, temperature)
    pairs = zip(hidden.split(size), targets.split(size), strict=True)
    parts = [checkpoint(_score_part, h, head, t, temperature, use_reentrant=False) for h, t in pairs]
    log_probs, entropies = zip(*parts, strict=True)
    return torch.cat(log_probs), torch.cat(entropies)


def _score_part(hidden: Tensor, head: Any, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    logits = head(hidden)
    logits = logits.float() if logits.dtype.itemsize < 4 else logits
    log_probs = torch.log_softmax(logits if temperature == 1 else logits / temperature, dim=-1)  # (N, vocabulary)
    with torch.no_grad():
        entropies = -(log_probs.exp() * log_probs).sum(-1)
    return log_probs.gather(1, targets[:, None])[:, 0], entropies
