"""Compare a training step of IFPO with TRL's: `python benchmarks/grpo_step.py [--data FOLDER]`.

Both trainers start each repeat from the same weights. `whole` is a whole step: each side samples its own rollouts of the same prompts
(`sampling` is only that), scores them and updates. For `update` (forward, backward, optimiser) and `step` (scoring, too) both take the
same recorded rollouts. There are two batches: with the project's own rewards, where many groups agree and carry no gradient; and with
random rewards, so that every rollout counts and only the computation differs. Rebalancing is off, except for the cost of IFPO itself.

The floor is the time that the matrix products of the update take at this machine's speed.
"""

from __future__ import annotations

import warnings
from argparse import Namespace
from dataclasses import asdict, dataclass, replace
from statistics import mean, median
from typing import Any

from grpo_world import DrawnScorer, Inputs, Side, StockTrainer, add_arguments, both, flops_per_second, read_inputs, timed
from side_by_side import Timing, parser, ratios, write

from ascl_core.rl.rollouts import describe
from ascl_core.rl.scoring import Scorer

TARGET, OWN_COST_TARGET, KEPT_TARGET = 1.5, 0.005, 0.02


@dataclass(frozen=True)
class Row:
    """One comparison."""

    batch: str
    part: str
    ratio: tuple[float, float, float]
    ours: Timing
    theirs: Timing

    def __str__(self) -> str:
        middle, low, high = self.ratio
        return f"{middle:5.2f}x [{low:.2f}, {high:.2f}]  {self.batch:<17} {self.part:<8} ours {self.ours}  TRL {self.theirs}"


def main() -> None:
    """Compare both batches, then time what IFPO adds."""
    options = parser(__doc__, repeats=7)
    add_arguments(options)
    options.add_argument("--no-whole", action="store_true", help="leave out the steps that sample")
    given = options.parse_args()
    warnings.filterwarnings("ignore")
    rows, equal, sampled, floor = [], {}, {}, 0.0
    inputs = read_inputs(given, rebalance="none")
    for name, scorer in {"every rollout": DrawnScorer, "project's rewards": Scorer}.items():
        ours, theirs = both(inputs, scorer)
        halved = Side(StockTrainer, _halved(inputs), scorer)
        rollouts = _record(ours, theirs, halved, seed=given.seed)
        equal[name] = _equality(ours, theirs, halved, given.seed)
        floor = floor or _floor(theirs, rollouts)
        if not given.no_whole:
            whole, sampled[name] = _compare_whole(name, ours, theirs, given)
            rows += whole
        for side in (ours, theirs):
            side.replay(rollouts)
        rows += _compare(name, ours, theirs, given)
    cost = _own_cost(read_inputs(given), given)
    step = next(row.ours.median for row in rows if row.part == "step" and row.batch == "every rollout")
    share, kept = cost["seconds"] / step, cost["rollouts"] / step
    lines = [str(row) for row in rows]
    lines += [f"target {TARGET}x; floor of the update of every rollout {floor * 1e3:.1f} ms of matrix products"]
    lines += [
        f"equal to TRL, {name}: loss differs by {d['loss']:.1e}, gradient by {d['gradient']:.1e} (TRL from itself {d['itself']:.1e})"
        for name, d in equal.items()
    ]
    lines += [
        f"{name}, {who}: consulted {x['consulted']:.3f}, {x['tokens_written']:.1f} tokens a rollout"
        for name, found in sampled.items()
        for who, x in found.items()
    ]
    lines += [f"IFPO's own cost {share:.2%} of a step ({cost['seconds'] * 1e3:.2f} ms), target under {OWN_COST_TARGET:.1%}"]
    lines += [f"keeping the rollouts {kept:.2%} of a step ({cost['rollouts'] * 1e3:.2f} ms), target under {KEPT_TARGET:.0%}"]
    figures = {
        "rows": [_figures(row) for row in rows],
        "equality": equal,
        "sampled": sampled,
        "floor_s": floor,
        "own_cost": {**cost, "share": share, "share_of_rollouts": kept},
    }
    write(given.json, figures, lines)


def _halved(inputs: Inputs) -> Inputs:
    """Return the same batch in micro-batches of half the size."""
    section = inputs.params.ifpo.model_copy(update={"micro_batch_size": inputs.params.ifpo.micro_batch_size // 2})
    return replace(inputs, params=inputs.params.model_copy(update={"ifpo": section}))


def _record(ours: Side, theirs: Side, *others: Side, seed: int) -> Any:
    """Record one generation of TRL's loop, which all sides get."""
    theirs.rewind(seed)
    rollouts = theirs.sample()
    for side in (ours, theirs, *others):
        side.replay(rollouts)
    return rollouts


def _equality(ours: Side, theirs: Side, halved: Side, seed: int) -> dict[str, float]:
    """Return how far loss and gradient are from TRL's; `itself` is how far TRL's gradient moves with micro-batches of half the size."""
    found = []
    for side in (theirs, ours, halved):
        side.rewind(seed)
        found.append(side.whole())
    (loss, gradient), (our_loss, our_gradient), (_, half) = found
    far = [float((other - gradient).norm() / gradient.norm()) for other in (our_gradient, half)]
    return {"loss": abs(our_loss - loss), "gradient": far[0], "itself": far[1]}


def _compare(name: str, ours: Side, theirs: Side, given: Namespace) -> list[Row]:
    """Time a step on recorded rollouts, and its update alone."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for number in range(-1, given.repeats):
        for who, side in (("ours", ours), ("theirs", theirs)):
            side.rewind(given.seed)
            scored, updated = timed(side.prepare), timed(side.update)
            if number >= 0:
                seconds.setdefault((who, "update"), []).append(updated)
                seconds.setdefault((who, "step"), []).append(scored + updated)
    return _rows(name, seconds)


def _compare_whole(name: str, ours: Side, theirs: Side, given: Namespace) -> tuple[list[Row], dict[str, dict[str, float]]]:
    """Time a step with its sampling, and the sampling alone; return also what each side sampled, on average."""
    seconds: dict[tuple[str, str], list[float]] = {}
    sampled: dict[str, list[Any]] = {"ours": [], "theirs": []}
    for number in range(-1, given.repeats):
        for who, side in (("ours", ours), ("theirs", theirs)):
            side.sample_again()
            side.rewind(given.seed + number)
            taken = timed(side.whole)
            side.rewind(given.seed + number)
            sampling, (_, _, masks, *_) = side.generate()
            if number >= 0:
                seconds.setdefault((who, "whole"), []).append(taken)
                seconds.setdefault((who, "sampling"), []).append(sampling)
                sampled[who] += masks
    found = {
        who: {"consulted": mean(0 in mask for mask in masks), "tokens_written": mean(map(sum, masks))} for who, masks in sampled.items()
    }
    return _rows(name, seconds), found


def _rows(name: str, seconds: dict[tuple[str, str], list[float]]) -> list[Row]:
    timings = {key: Timing(tuple(values)) for key, values in seconds.items()}
    parts = [part for who, part in seconds if who == "ours"]
    pairs = [({"a": timings["ours", part], "b": timings["theirs", part]}, part) for part in parts]
    return [Row(name, part, ratios(pair, "a", "b"), pair["a"], pair["b"]) for pair, part in pairs]


def _own_cost(inputs: Inputs, given: Namespace) -> dict[str, float]:
    """Return the seconds that IFPO adds to a step of GRPO: modes, weights and advantages; and those of writing the rollouts."""
    ours, theirs = both(inputs)
    _record(ours, theirs, seed=given.seed)
    ours.rewind(given.seed)
    ours.prepare()
    trainer = ours.trainer
    scored = trainer._scored
    advantages = trainer._rebalanced(scored)

    def add() -> None:
        trainer._rebalanced(scored)

    def keep() -> None:
        describe(ours.batch, scored, [row["text"] for row in trainer._rows], trainer.editions)
        trainer._keep_rollouts(advantages)

    return {"seconds": median(timed(add) for _ in range(200)), "rollouts": median(timed(keep) for _ in range(20))}


def _floor(side: Side, rollouts: Any) -> float:
    """Return the seconds of matrix products in a forward and a backward of all rollouts, each prompt once."""
    model = side.trainer.model
    config = model.config
    body = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name and "lm_head" not in name)
    prompts = {tuple(ids) for ids in rollouts[0]}
    tokens = sum(map(len, prompts)) + sum(map(len, rollouts[1]))
    scored = sum(map(sum, rollouts[2]))
    return 6 * (body * tokens + config.hidden_size * config.vocab_size * scored) / flops_per_second(config.hidden_size, 4096)


def _figures(row: Row) -> dict[str, Any]:
    return {**asdict(row), "ours": row.ours.to_json(), "theirs": row.theirs.to_json()}


if __name__ == "__main__":
    main()
