"""The spine: the one vocabulary that every domain produces and every layer consumes.

Axis letters used throughout the package: ``b`` batch row, ``n`` token, ``q`` query, ``d`` width,
``h`` head, ``k`` head width, ``a`` coordinate axis, ``i``/``v``/``p`` id/value/pair column,
``t`` target.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

AXES = ("order", "time", "x", "y", "z")
"""Real-valued coordinates of a token. An axis that a domain does not use stays 0: no rotation."""

PADDING = -1
"""The ``sample`` id of a token that does not exist."""


@dataclass(frozen=True)
class Category:
    """A categorical column with ids ``0 .. size-1``; id 0 is reserved for unknown or hidden."""

    name: str
    size: int
    labels: tuple[str, ...] = ()
    """Optional readable names of the ids 1, 2, ... (at most ``size - 1`` of them)."""
    embedded: bool = True
    """Whether the backbone reads it. What is not is an answer that is carried along: a label of every token."""
    silent: bool = False
    """Whether an id says nothing before training has met it: its vector starts at 0."""

    def __post_init__(self):
        if self.size < 2:
            raise ValueError(f"Category {self.name!r} needs size >= 2 (id 0 is reserved), got {self.size}")
        if len(self.labels) >= self.size:
            raise ValueError(f"Category {self.name!r} has {len(self.labels)} labels for {self.size - 1} free ids")


@dataclass(frozen=True)
class Value:
    """A continuous column in physical units; ``scale`` says how the model normalises it: ``fixed`` by mean and standard
    deviation of the training part, ``per_sample`` by those of the sample's own observed values, ``none`` not at all."""

    name: str
    unit: str = "1"
    scale: Literal["fixed", "per_sample", "none"] = "fixed"
    error_of: str = ""
    """The column whose one-sigma error this one holds, in the same unit. It has no scale of its own: the model
    reads its logarithm in spreads of that column, so that signal to noise stays visible."""
    guess_of: str = ""
    """The column of which this derived one holds a first guess by classical means, in the same unit: a forecast starts
    from it."""
    derived: bool = False
    """Whether it follows from the other columns and the coordinates (``DomainAdapter.derive``). It is no measurement:
    never asked for, and a token that has nothing else is still a question."""
    given: bool = False
    """Whether it is known of any moment beforehand (the time of year, a planned covariate): no task hides it, and a
    token that has nothing else is still a question."""
    embedded: bool = True
    """Whether the backbone reads it. What is not is carried for those who answer in physical units."""
    wavy: bool = False
    """Whether answers may change sharply with it, as those about stars do with the period: it is then also embedded by
    waves of learned frequency. Its scaled values should be of the order of 1."""


@dataclass(frozen=True)
class Axis:
    """A coordinate axis in use, with the shortest and longest period worth telling apart (in its unit)."""

    name: Literal["order", "time", "x", "y", "z"]
    unit: str
    shortest: float
    longest: float
    periods: tuple[float, ...] = ()
    """All periods one by one, where published weights bring their own."""


@dataclass(frozen=True)
class Schema:
    """What the tokens of a modality carry. Embedding, masking, scaling and reconstruction follow from it."""

    ids: tuple[Category, ...] = ()
    values: tuple[Value, ...] = ()
    pairs: tuple[Category, ...] = ()
    axes: tuple[Axis, ...] = ()

    def __post_init__(self):
        names = [x.name for x in (*self.ids, *self.values, *self.pairs)]
        if len(names) != len(set(names)):
            raise ValueError(f"Schema columns need different names, got {names}")
        told = [x.name for x in self.values if not x.error_of and (x.guess_of or not x.derived)]
        if lost := [column.name for column in self.values if column.error_of and column.error_of not in told]:
            raise ValueError(f"{lost[0]!r} must be the error of a value column, one of {', '.join(told) or 'none'}")

    @property
    def measured(self) -> tuple[int, ...]:
        """Places of the value columns that are neither derived nor given beforehand."""
        return tuple(j for j, column in enumerate(self.values) if not column.derived and not column.given)

    def place(self, name: str) -> int:
        """Of the value column of that name."""
        return [x.name for x in self.values].index(name)

    def check(self, tokens: "Tokens") -> None:
        """Raise ``ValueError`` unless ``tokens`` has the columns and id ranges of this schema."""
        for kind, columns, got in (
            ("id", self.ids, tokens.ids.shape[-1]),
            ("value", self.values, tokens.values.shape[-1]),
            ("pair", self.pairs, 0 if tokens.pair is None else tokens.pair.shape[-1]),
        ):
            if len(columns) != got:
                names = ", ".join(column.name for column in columns) or "none"
                raise ValueError(
                    f"{tokens.modality!r} tokens must have {len(columns)} {kind} columns ({names}), got {got}"
                )
        for columns, data in ((self.ids, tokens.ids), (self.pairs, tokens.pair)):
            for j, column in enumerate(columns):
                assert data is not None  # the column count above says so
                if data.numel() and not 0 <= int(data[..., j].min()) <= int(data[..., j].max()) < column.size:
                    raise ValueError(
                        f"ids of {column.name!r} must lie in 0..{column.size - 1}, "
                        f"got {int(data[..., j].min())}..{int(data[..., j].max())}"
                    )


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Tokens of one modality; unbatched when ``*b`` is empty. Frozen: methods return new ones."""

    modality: str
    ids: Int[Tensor, "*b n i"]
    values: Float[Tensor, "*b n v"]
    """Physical units. Where ``observed`` is False the number is 0 and means nothing."""
    observed: Bool[Tensor, "*b n v"]
    """False: missing in the record, or hidden by the task."""
    coords: Float[Tensor, "*b n 5"]
    """float32, relative to an origin that the record keeps in float64; see ``AXES``."""
    sample: Int[Tensor, "*b n"]
    """Tokens attend to each other where these are equal; -1 marks no token, several in a row are packed records."""
    pair: Integer[Tensor, "*b n n p"] | None = None
    """Categories of token pairs (bond, graph distance), which become an additive attention bias."""

    def __post_init__(self):
        shape = self.sample.shape
        for name in ("ids", "values", "observed", "coords"):
            if (got := getattr(self, name).shape)[:-1] != shape:
                raise ValueError(f"`{name}` must have shape {tuple(shape)} + columns like `sample`, got {tuple(got)}")
        if self.values.shape != self.observed.shape:
            shapes = f"{tuple(self.values.shape)}, got {tuple(self.observed.shape)}"
            raise ValueError(f"`observed` must match `values` {shapes}")
        if self.coords.shape[-1] != len(AXES):
            raise ValueError(f"`coords` must have the {len(AXES)} axes {AXES}, got {self.coords.shape[-1]}")
        if self.pair is not None and self.pair.shape[:-1] != (*shape, shape[-1]):
            raise ValueError(f"`pair` must have shape {(*shape, shape[-1])} + columns, got {tuple(self.pair.shape)}")

    @classmethod
    def of(
        cls,
        modality: str,
        *,
        ids: Tensor | None = None,
        values: Tensor | None = None,
        observed: Tensor | None = None,
        coords: Tensor | None = None,
        pair: Tensor | None = None,
    ) -> "Tokens":
        """One record's tokens from whatever columns it has. ``coords`` defaults to 0, ``observed`` to True."""
        n = next(len(x) for x in (ids, values, coords) if x is not None)
        values = torch.zeros(n, 0) if values is None else values.float()
        observed = torch.ones(values.shape, dtype=torch.bool) if observed is None else observed
        return cls(
            modality=modality,
            ids=torch.zeros(n, 0, dtype=torch.long) if ids is None else ids,
            values=torch.where(observed, values, 0.0),
            observed=observed,
            coords=torch.zeros(n, len(AXES)) if coords is None else coords.float(),
            sample=torch.zeros(n, dtype=torch.long),
            pair=pair,
        )

    @property
    def size(self) -> int:
        """Number of token places in a row, padding included."""
        return self.sample.shape[-1]

    @property
    def exists(self) -> Bool[Tensor, "*b n"]:
        return self.sample != PADDING

    def replace(self, **changes: object) -> "Tokens":
        return dataclasses.replace(self, **changes)

    def to(self, device: torch.device | str) -> "Tokens":
        return self.replace(**{name: x.to(device) for name, x in vars(self).items() if isinstance(x, Tensor)})

    def hide(self, where: Bool[Tensor, "*b n"]) -> "Tokens":
        """Wipe the content of the chosen tokens and keep their place: what is left is a question."""
        content = where.unsqueeze(-1)
        return self.replace(
            ids=self.ids.masked_fill(content, 0),
            values=self.values.masked_fill(content, 0.0),
            observed=self.observed & ~content,
        )

    def keep(self, where: Bool[Tensor, "*b n"]) -> "Tokens":
        """Wipe and detach every other token, so that nothing of it can leak: not even its place."""
        gone = ~where
        hidden = self.hide(gone)
        pair = self.pair
        if pair is not None:
            pair = pair.masked_fill((gone.unsqueeze(-1) | gone.unsqueeze(-2)).unsqueeze(-1), 0)
        return hidden.replace(
            coords=self.coords.masked_fill(gone.unsqueeze(-1), 0.0),
            sample=self.sample.masked_fill(gone, PADDING),
            pair=pair,
        )

    def gather(self, where: Bool[Tensor, "b n"]) -> "Tokens":
        """The chosen tokens of each row alone, in their order, padded to the longest row."""
        most = max(int(where.sum(-1).max()), 1) if where.numel() else 1
        order = (~where).to(torch.uint8).argsort(dim=-1, stable=True)[:, :most]
        kept = self.keep(where)

        def pick(x: Tensor) -> Tensor:
            index = order if x.ndim == 2 else order.unsqueeze(-1).expand(-1, -1, x.shape[-1])
            return x.gather(1, index)

        pair = kept.pair
        if pair is not None:
            rows = torch.arange(len(order), device=order.device)[:, None, None]
            pair = pair[rows, order[:, :, None], order[:, None, :]]
        columns = ("ids", "values", "observed", "coords", "sample")
        return kept.replace(pair=pair, **{name: pick(getattr(kept, name)) for name in columns})


@dataclass(frozen=True)
class Target:
    """A property to answer, in the record's own unit.

    ``classes`` are the labels of a ``multiclass`` target (or the two of a ``binary`` one, negative first). A number
    that cannot be less than ``lower`` or more than ``upper`` is never answered so.
    """

    name: str
    kind: Literal["regression", "binary", "multiclass"] = "regression"
    unit: str = ""
    classes: tuple[str, ...] = ()
    lower: float | None = None
    upper: float | None = None

    def __post_init__(self):
        if self.kind == "binary" and len(self.classes) != 2:
            raise ValueError(f"binary target {self.name!r} needs two classes, got {self.classes}")
        if self.kind == "multiclass" and len(self.classes) < 2:
            raise ValueError(f"multiclass target {self.name!r} needs at least two classes, got {self.classes}")

    @property
    def label(self) -> str:
        """Name with unit, for plots and tables."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


@dataclass(frozen=True, kw_only=True)
class Example:
    """One record ready for a batch: its tokens by modality and what is known of the answers.

    ``targets`` holds a number per known target (class index for classes); an absent name is unknown.
    """

    key: str
    tokens: Mapping[str, Tokens]
    targets: Mapping[str, float] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(tokens.size for tokens in self.tokens.values())


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a model step reads: ``r`` records in ``b`` rows. A row holds one record, or several packed ones."""

    tokens: Mapping[str, Tokens]
    place: Int[Tensor, "r 2"]
    """Row and ``sample`` id of every record."""
    targets: Mapping[str, Float[Tensor, " r"]]
    known: Mapping[str, Bool[Tensor, " r"]]
    """Which targets are known: never inferred from a value."""
    keys: tuple[str, ...]
    task: str = ""
    """Where several tasks are learned at once, the one that the batch is for."""

    def __len__(self) -> int:
        return len(self.keys)

    def to(self, device: torch.device | str) -> "Batch":
        return dataclasses.replace(
            self,
            tokens={name: x.to(device) for name, x in self.tokens.items()},
            place=self.place.to(device),
            targets={name: x.to(device) for name, x in self.targets.items()},
            known={name: x.to(device) for name, x in self.known.items()},
        )


def collate(examples: Sequence[Example], targets: Sequence[str] = (), row: int = 0) -> Batch:
    """Lay examples side by side in one batch.

    With ``row`` 0 every example has a row of its own. Otherwise short ones share rows of up to ``row`` tokens,
    so that little is spent on padding although the batch was drawn at random.

    Raises ``ValueError`` when there is no example or when they do not all have the same modalities.
    """
    if not examples:
        raise ValueError("collate needs at least one example")
    modalities = list(examples[0].tokens)
    for example in examples:
        if list(example.tokens) != modalities:
            raise ValueError(
                f"examples of a batch must share their modalities: {examples[0].key!r} has {modalities}, "
                f"{example.key!r} has {list(example.tokens)}"
            )
    rows = share_rows([example.size for example in examples], row)
    place = {i: (r, slot) for r, members in enumerate(rows) for slot, i in enumerate(members)}
    return Batch(
        tokens={
            name: pad([pack([examples[i].tokens[name] for i in members]) for members in rows]) for name in modalities
        },
        place=torch.tensor([place[i] for i in range(len(examples))]),
        targets={t: torch.tensor([float(e.targets.get(t, 0.0)) for e in examples]) for t in targets},
        known={t: torch.tensor([t in e.targets for e in examples]) for t in targets},
        keys=tuple(example.key for example in examples),
    )


def share_rows(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """Indices of the records in each row: first fit, longest first. Capacity 0 gives each its own row."""
    if not capacity:
        return [[i] for i in range(len(sizes))]
    rows: list[list[int]] = []
    free: list[int] = []
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        r = next((r for r, room in enumerate(free) if room >= sizes[i]), len(rows))
        if r == len(rows):
            rows.append([])
            free.append(max(capacity, sizes[i]))
        rows[r].append(i)
        free[r] -= sizes[i]
    return rows


def pad(rows: Sequence[Tokens]) -> Tokens:
    """Stack unbatched tokens of one modality, filling up with ``PADDING``."""
    n = max(row.size for row in rows)

    def stack(name: str, fill: float | int) -> Tensor:
        first = getattr(rows[0], name)
        paired = name == "pair"
        shape = (n, n) if paired else (n,)
        out = first.new_full((len(rows), *shape, *first.shape[len(shape) :]), fill)
        for target, row in zip(out, rows, strict=True):
            part = target[: row.size, : row.size] if paired else target[: row.size]
            part.copy_(getattr(row, name))
        return out

    return Tokens(
        modality=rows[0].modality,
        ids=stack("ids", 0),
        values=stack("values", 0.0),
        observed=stack("observed", False),
        coords=stack("coords", 0.0),
        sample=stack("sample", PADDING),
        pair=None if rows[0].pair is None else stack("pair", 0),
    )


def pack(rows: Sequence[Tokens]) -> Tokens:
    """Lay unbatched tokens end to end in one row; their ``sample`` ids become 0, 1, ..."""
    if len(rows) == 1:
        return rows[0]
    pair = None
    if rows[0].pair is not None:
        n = sum(row.size for row in rows)
        pair = rows[0].pair.new_zeros(n, n, rows[0].pair.shape[-1])
        start = 0
        for row in rows:
            assert row.pair is not None  # one modality, one schema
            pair[start : start + row.size, start : start + row.size] = row.pair
            start += row.size
    return Tokens(
        modality=rows[0].modality,
        sample=torch.cat([torch.full_like(row.sample, i) for i, row in enumerate(rows)]),
        pair=pair,
        **{name: torch.cat([getattr(row, name) for row in rows]) for name in ("ids", "values", "observed", "coords")},
    )
