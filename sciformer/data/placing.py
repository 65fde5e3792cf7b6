"""Which part a group of records goes to: rules that place groups of unlike size."""

import random
from collections.abc import Sequence


def balanced(sizes: Sequence[int], fractions: Sequence[float | int], seed: int) -> list[int]:
    """Index of the part of each group: groups over half of a held-out part first, both kinds shuffled;
    each goes to the first part that has room, the last part takes the rest."""
    n = sum(sizes)
    room = [max(1, round(fraction * n)) if fraction else 0 for fraction in fractions]
    room[0] = n - sum(room[1:])
    limit = min((r for r in room[1:] if r), default=n) / 2
    large = [i for i, size in enumerate(sizes) if size > limit]
    small = [i for i, size in enumerate(sizes) if size <= limit]
    rng = random.Random(seed)
    rng.shuffle(large)
    rng.shuffle(small)
    last = max(p for p, fraction in enumerate(fractions) if fraction)
    chosen = [last] * len(sizes)
    for i in large + small:
        chosen[i] = next((p for p in range(last) if sizes[i] <= room[p]), last)
        room[chosen[i]] -= sizes[i]
    return chosen


def deepchem(sizes: Sequence[int], fractions: Sequence[float | int]) -> list[int]:
    """Index of the part of each group, by falling size, of equal ones the later in the table first; a group
    goes to the first part at whose end the cumulative count still lies within the cumulative fraction."""
    n = sum(sizes)
    ends = [sum(fractions[: p + 1]) * n + 1e-9 for p in range(len(fractions))]  # 0.7 + 0.1 is under 0.8
    last = max(p for p, fraction in enumerate(fractions) if fraction)
    filled, chosen = [0] * len(fractions), [last] * len(sizes)
    for i in sorted(range(len(sizes)), key=lambda i: (sizes[i], i), reverse=True):
        fits = (p for p in range(last) if fractions[p] and sum(filled[: p + 1]) + sizes[i] <= ends[p])
        chosen[i] = next(fits, last)
        filled[chosen[i]] += sizes[i]
    return chosen
