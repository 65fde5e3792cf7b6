"""From a light curve to tokens: one per observation, one for what else is known of the object.

Nothing is resampled or filled. Times are differences to the record's first observation, taken in float64, so that
no absolute epoch can be read: it would betray the instrument, and with it often the class.
"""

from collections.abc import Container, Sequence

import numpy as np
import torch

from sciformer.domains.lightcurve.curve import META, Curve
from sciformer.tokens import AXES, Axis, Category, Schema, Tokens, Value

_TIME = AXES.index("time")
OBJECT = "object"
"""The band of the token that holds what is known of the object beside its light."""
MEASURED = 2 + len(META)
"""Value columns of measurements; behind them stand those of ``folding``, if any."""


def schema(bands: Sequence[str], unit: str, shortest: float, longest: float, derived: Sequence[Value] = ()) -> Schema:
    """Band; value with its error, the columns of ``META``, and what is derived from them; time in days."""
    return Schema(
        ids=(Category("band", len(bands) + 2, (*bands, OBJECT)),),
        values=(
            Value("value", unit, scale="per_sample"),
            Value("error", unit, error_of="value"),
            *(Value(name, "1", scale="none") for name in META),
            *derived,
        ),
        axes=(Axis("time", "day", shortest=shortest, longest=longest),),
    )


def tokenize(
    curve: Curve,
    modality: str,
    bands: Sequence[str],
    asked: Curve | None = None,
    derived: int = 0,
    meta: Container[str] = META,
) -> Tokens:
    """Unbatched tokens: the object's token if anything is known of it, the observations by time, then a question
    for each time and band of ``asked``, whose values are not looked at. ``derived`` columns are left to be filled.

    A band that is not in ``bands`` gets id 0, unknown; of the object, what is not in ``meta`` is left out.
    """
    times = [curve.time, *([] if asked is None else [asked.time])]
    names = [curve.band, *([] if asked is None else [asked.band])]
    origin = curve.time[0] if len(curve) else np.concatenate(times)[0]
    known = [j for j, name in enumerate(META) if name in curve.meta and name in meta]
    first, n = int(bool(known)), sum(map(len, times))
    ids = torch.zeros(first + n, 1, dtype=torch.long)
    width = MEASURED + derived
    values, observed = torch.zeros(first + n, width), torch.zeros(first + n, width, dtype=torch.bool)
    coords = torch.zeros(first + n, len(AXES))
    if known:
        ids[0] = len(bands) + 1
        values[0, [2 + j for j in known]] = torch.tensor([float(curve.meta[META[j]]) for j in known])
        observed[0, [2 + j for j in known]] = True
    places = {name: j + 1 for j, name in enumerate(bands)}
    ids[first:, 0] = torch.tensor([places.get(str(name), 0) for name in np.concatenate(names)], dtype=torch.long)
    coords[first:, _TIME] = torch.from_numpy(np.concatenate(times) - origin).float()
    seen = slice(first, first + len(curve))
    error = np.where(np.isfinite(curve.error) & (curve.error > 0), curve.error, 0.0)
    values[seen, 0], values[seen, 1] = torch.from_numpy(curve.value).float(), torch.from_numpy(error).float()
    observed[seen, 0], observed[seen, 1] = True, torch.from_numpy(error > 0)
    return Tokens.of(modality, ids=ids, values=values, observed=observed, coords=coords)


def with_level(tokens: Tokens, place: int) -> Tokens:
    """Tokens, batched or not, with the mean of the visible values of each record in the column ``place``, of all its
    tokens; a record of which nothing is visible has none."""
    same = (tokens.sample.unsqueeze(-1) == tokens.sample.unsqueeze(-2)).double()
    seen = (tokens.observed[..., 0] & tokens.exists).double().unsqueeze(-1)
    count = (same @ seen).squeeze(-1)
    mean = (same @ (tokens.values[..., :1].double() * seen)).squeeze(-1) / count.clamp(min=1)
    known = (count > 0) & tokens.exists
    values, observed = tokens.values.clone(), tokens.observed.clone()
    values[..., place] = mean.to(values.dtype).masked_fill(~known, 0.0)
    observed[..., place] = known
    return tokens.replace(values=values, observed=observed)
