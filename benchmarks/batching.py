"""Training speed on chains of unequal length: batches of like length against batches drawn at random.

    SCIFORMER_MIRROR=... python benchmarks/batching.py

Steps on the proteins of a proteome (30 to 1000 residues), in residues per CPU second; both ways take turns, the table
gives the medians and their ratio. Every result is appended to ``benchmarks/batching.csv``.
"""

import statistics
import time
from datetime import date
from pathlib import Path

import pandas as pd
import torch

from sciformer.data import cards
from sciformer.data.batching import BatchConfig
from sciformer.data.sampler import EpochBatchSampler
from sciformer.domains.protein import Protein
from sciformer.model import Sciformer, SciformerConfig
from sciformer.optim import parameter_groups
from sciformer.tasks.reconstruct import Reconstruct
from sciformer.tokens import Example, collate

RESULTS = Path(__file__).with_suffix(".csv")
CONFIG = SciformerConfig(width=256, depth=4, heads=8)
RECORDS, STEPS, TURNS = 8, 12, 5
WAYS = {"drawn at random": RECORDS, "of like length": 1024}
"""Records that are sorted by length together; a batch has no more than a pool has."""


def examples() -> list[Example]:
    table = cards.load("proteomes")
    table = table[(table["species"] == table["species"].iloc[0]) & table["sequence"].str.len().between(30, 1000)]
    adapter = Protein()
    records = adapter.read(table[["id", "sequence"]])
    return [Example(key=r.key, tokens={adapter.name: adapter.tokenize(r)}) for r in records if r.ok]


def speed(rows: list[Example], pool: int, turn: int) -> tuple[float, float]:
    """Residues per CPU second of training, and the share of the batch that is no padding."""
    torch.manual_seed(0)
    adapter = Protein()
    model, task = Sciformer(CONFIG, {adapter.name: adapter}), Reconstruct(CONFIG, adapter.schema, adapter.name)
    both = torch.nn.ModuleList([model, task]).train()
    optimizer = torch.optim.AdamW(parameter_groups(both, 0.01), lr=1e-4, fused=True)
    config = BatchConfig(records=RECORDS, tokens=2**20, pool=pool, row=0)
    sampler = EpochBatchSampler([row.size for row in rows], config, seed=turn)
    seen = padded = 0
    for step, batch in enumerate(sampler.batches(0)[: STEPS + 2]):
        if step == 2:  # the first steps warm up
            start, seen, padded = time.process_time(), 0, 0
        chosen = collate([rows[i] for i in batch])
        problem = task.pose(chosen, torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        task.score(task(model, problem), problem)["loss"].backward()
        optimizer.step()
        seen += sum(rows[i].size for i in batch)
        padded += chosen.tokens[adapter.name].sample.numel()
    return seen / (time.process_time() - start), seen / padded


def main() -> None:
    rows = examples()
    found = []
    for turn in range(TURNS):
        for way, pool in WAYS.items():
            rate, useful = speed(rows, pool, turn)
            found.append((date.today().isoformat(), torch.get_num_threads(), turn, way, rate, useful))
    table = pd.DataFrame(found, columns=["date", "threads", "turn", "batches", "residues_per_cpu_second", "useful"])
    table.to_csv(RESULTS, mode="a", index=False, header=not RESULTS.exists())
    medians = {way: statistics.median(rows["residues_per_cpu_second"]) for way, rows in table.groupby("batches")}
    print(table.groupby("batches")[["residues_per_cpu_second", "useful"]].median().to_string(float_format="%.3g"))
    slow, fast = (medians[way] for way in WAYS)
    print(f"ratio {fast / slow:.2f}")


if __name__ == "__main__":
    main()
