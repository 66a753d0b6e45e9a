"""TRL's `SFTTrainer` without the work that a CPU would waste on padding and on tokens that carry no loss, and with safeguards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch.utils.data import Sampler
from trl import SFTTrainer

from ascl_core.cpu.log_probs import has_plain_head
from ascl_core.sft.safeguards import Safeguards
from ascl_core.sft.samples import NO_LOSS


class LengthSortedBatches(Sampler[int]):
    """Random batches whose rows are ordered by length, so that micro-batches cut from them need little padding.

    Which rows meet in one batch stays random, and the loss is normalised over the whole batch: no gradient is biased.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        order = torch.randperm(len(self._lengths), generator=generator).tolist()
        for start in range(0, len(order), self._batch_size):
            yield from sorted(order[start : start + self._batch_size], key=lambda row: (self._lengths[row], row))

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which with the seed decides the order; the data loader calls it, also when it resumes."""
        self._epoch = epoch


class AssistantLossTrainer(SFTTrainer):
    """The same loss as TRL's; on a CPU, by the language model head on the assistant's tokens alone."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        lengths = [len(ids) for ids in cast(Any, train_dataset or self.train_dataset)["input_ids"]]
        batch = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return LengthSortedBatches(lengths, batch, self.args.data_seed or self.args.seed)

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
        """Return the mean negative log-likelihood over the labelled tokens of the whole batch, in nats."""
        plain = self.accelerator.unwrap_model(model)
        if return_outputs or not self._on_one_cpu() or not has_plain_head(plain):
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        hidden = plain.get_decoder()(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
        labels = inputs["labels"][:, 1:]
        labelled = labels != NO_LOSS
        logits = plain.get_output_embeddings()(hidden.last_hidden_state[:, :-1][labelled])
        total = torch.nn.functional.cross_entropy(logits.float(), labels[labelled], reduction="sum")
        return total / (labelled.sum() if num_items_in_batch is None else num_items_in_batch)

    def _on_one_cpu(self) -> bool:
        """Return whether one process trains on a CPU: elsewhere the model's wrapper must see the forward, as it averages gradients."""
        return self.accelerator.device.type == "cpu" and self.accelerator.num_processes == 1


class SupervisedTrainer(Safeguards, AssistantLossTrainer):
    """The trainer of the stage `sft`."""
