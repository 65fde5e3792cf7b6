"""A run directory built in code, as ``sciformer train`` would leave it, for every kind of target."""

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

TARGETS = {
    "forecast": [{"name": "value", "kind": "forecast", "unit": "mag", "classes": [], "ahead": "day"}],
    "weather": [
        {"name": name, "kind": "forecast", "unit": unit, "classes": [], "ahead": "day"}
        for name, unit in (("tas", "K"), ("pr", "kg m-2 s-1"), ("ps", "Pa"), ("<b>wind</b>", "m s-1"))
    ],
    "regression": [{"name": "logS", "kind": "regression", "unit": "log(mol/L)", "classes": []}],
    "binary": [{"name": "p_np", "kind": "binary", "unit": "", "classes": ["blocked", "passes"]}],
    "multiclass": [
        {"name": "solubility_class_" + "x" * 60, "kind": "multiclass", "unit": "", "classes": ["low", "medium", "high"]}
    ],
    "multitask": [
        {"name": name, "kind": "binary", "unit": "", "classes": ["0", "1"]}
        for name in (
            "NR-AR",
            "NR-AR-LBD",
            "NR-AhR",
            "NR-Aromatase",
            "NR-ER",
            "NR-ER-LBD",
            "NR-PPAR-gamma",
            "SR-ARE",
            "SR-ATAD5",
            "SR-HSE",
            "SR-MMP",
            "SR-p53",
        )
    ],
}
DRAWING = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 200 150'>"
    "<rect width='200' height='150' fill='white'/>"
    "<circle cx='60' cy='75' r='22' fill='#f6c48f'/>"
    "<path d='M60 75 L100 52 L140 75 L140 112 L100 135 L60 112 Z' fill='none' stroke='black' stroke-width='2'/>"
    "<script>window.stolen = true</script></svg>"
)
LATER = 25
"""Held-out observations of each record of a forecast run."""
BASELINES = ("descriptors + gradient boosting", "Morgan + random forest")

CLASSICAL = ("climatology", "persistence", "damped persistence", "kriging", "seasonal naive", "linear (ridge)")


class RunBuilder:
    """Writes a run directory of ``n`` test records; methods change one file at a time."""

    def __init__(self, path: Path, kind: str, n: int = 113, targets: list[dict[str, Any]] | None = None):
        self.path, self.n, self.rng = path, n, np.random.default_rng(7)
        self.targets = targets or TARGETS[kind]
        path.mkdir(parents=True, exist_ok=True)
        (path / "checkpoint").mkdir(exist_ok=True)
        (path / "checkpoint" / "manifest.json").write_text("{}")
        (path / "config.yaml").write_text(
            "data:\n  source: molecules.csv\n  smiles: smiles\nsplit:\n  kind: scaffold\nseed: 0\n"
        )
        self.json("run.json", self.run())
        self.json(
            "splits.json",
            {"version": 1, "kind": "scaffold", "seed": 0, "parts": {"train": ["1"], "test": ["2"]}},
        )
        self.json("audit.json", self.audit())
        versions = {"torch": "2.12.1", "rdkit": "2026.3.1"}
        self.json("environment.json", {"python": "3.11.9", "device": "CPU", "threads": 2, "packages": versions})
        self.json("examples.json", [self.example(i) for i in range(6)])
        self.rows().to_csv(path / "rows.csv", index=False)
        self.metrics(members=2).to_csv(path / "metrics.csv", index=False)
        scores, comparison, predictions = zip(*(self.target(t) for t in self.targets), strict=True)
        pd.concat(scores).to_csv(path / "scores.csv", index=False)
        pd.concat(comparison).to_csv(path / "comparison.csv", index=False)
        pd.concat(predictions).to_csv(path / "predictions.csv", index=False)
        if kind in ("forecast", "weather"):
            self.forecasts()
        if kind == "weather":
            self.windows()

    def forecasts(self) -> None:
        """What only a run of forecasts writes, and its examples."""
        drawing = DRAWING.replace("0 0 200 150", "0 0 200 220")
        every = [{"key": str(i), "target": "relative CRPS", "score": 0.1 + i / 50, "svg": drawing} for i in range(4)]
        self.json("examples.json", every)
        scores = self.table("scores.csv").query("part == 'test'").drop(columns="part")
        self.write("gaps.csv", pd.concat([scores.assign(dropped=dropped) for dropped in (0.0, 0.3, 0.6)]))
        levels = np.array([0.5, 0.68, 0.8, 0.9, 0.95, 0.99])
        self.write(
            "levels.csv", pd.DataFrame({"level": levels, "value": levels, "lower": levels - 0.03, "upper": levels})
        )

    def windows(self, leads: float = 10.0) -> None:
        """What a run of windows in time writes besides: five of them begin at every moment."""
        models = dict(zip(BASELINES, CLASSICAL[:2], strict=True))
        self.write("scores.csv", self.table("scores.csv").replace({"model": models}).assign(n=self.n // 5))
        self.write("comparison.csv", self.table("comparison.csv").replace({"baseline": models}))
        names, ahead = [t["name"] for t in self.targets], np.linspace(leads / 10, leads, 10)
        rows = [
            (name, model, lead, metric, 2.9e-5 * (1 + lead / leads + j / 9), 2e-5, 4e-5, self.n // 5)
            for name in names
            for j, model in enumerate(("sciformer", *CLASSICAL))
            for lead in ahead
            for metric in ("CRPS", "RMSE")
        ]
        rows += [
            (x, "sciformer", lead, "coverage", 0.9 + 0.1 * (lead > 5), 0.85, 1.0, 9) for x in names for lead in ahead
        ]
        rows += [
            (x, model, lead, f"skill over {other}", *(1 - 0.3 * (j + 1) + spread for spread in (0, -0.2, 0.2)), 9)
            for x in names
            for other in CLASSICAL[:2]
            for j, model in enumerate(("sciformer", *CLASSICAL))
            for lead in ahead
            if model != other
        ]
        columns = ["target", "model", "ahead", "metric", "value", "lower", "upper", "n"]
        self.write("leads.csv", pd.DataFrame(rows, columns=columns))
        levels = self.table("levels.csv")
        self.write("levels.csv", pd.concat([levels.assign(target=name) for name in names]))
        self.places([(lat, lon) for lat in (50.0, 50.5, 51.0) for lon in (359.0, 359.5, 0.0, 0.5)][:-2])

    def places(self, where: list[tuple[float, float]]) -> None:
        """Scores by place, in the first of which the transformer is better than the others."""
        rows = [
            (target["name"], model, lat, lon, 0.5 if i == 0 and model == "sciformer" else 1.0)
            for target in self.targets
            for model in ("sciformer", *CLASSICAL)
            for i, (lat, lon) in enumerate(where)
        ]
        self.write("places.csv", pd.DataFrame(rows, columns=["target", "model", "lat", "lon", "CRPS"]))

    def early(self) -> None:
        """What a run writes that met truncated records in training."""
        rows = [
            (days, target["name"], model, metric, value, value - 0.05, value + 0.05, 300)
            for target in self.targets
            for days, value in ((0.0, 0.4), (5.0, 0.7), (20.0, 0.79), (100.0, 0.8))
            for model, metric in (("sciformer", "accuracy"), ("sciformer", "coverage"), ("majority class", "accuracy"))
        ]
        columns = ["days", "target", "model", "metric", "value", "lower", "upper", "n"]
        self.write("early.csv", pd.DataFrame(rows, columns=columns))

    def json(self, name: str, data: Any) -> None:
        (self.path / name).write_text(json.dumps(data))

    def change(self, **changes: Any) -> None:
        self.json("run.json", self.run() | changes)

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.path / name, dtype={"key": str, "truth": str, "prediction": str})

    def write(self, name: str, table: pd.DataFrame) -> None:
        table.to_csv(self.path / name, index=False)

    def run(self) -> dict[str, Any]:
        return {
            "state": "finished",
            "title": "Aqueous solubility (ESOL), scaffold split",
            "recipe": "molecule/esol",
            "domain": "molecule",
            "started": "2026-03-02T10:14:03+00:00",
            "seconds": 214.2,
            "seed": 0,
            "sciformer": "0.1.0",
            "command": "sciformer train recipes/molecule/esol.py --out runs/esol",
            "checkpoint": "checkpoint",
            "notes": ["Training stopped at the time limit.", "x" * 120],
            "simulated": False,
            "data": {"source": "molecules.csv", "rows": 1133, "readable": 1128, "unreadable": 5},
            "targets": self.targets,
            "level": 0.9,
            "members": 2,
            "parameters": 1_912_345,
        }

    def known(self, target: dict[str, Any]) -> dict[str, Any]:
        if not target["classes"]:
            return {"known": 100, "mean": -3.05, "standard deviation": 2.1}
        return {"known": 100, **dict.fromkeys(target["classes"], 100 // len(target["classes"]))}

    def audit(self) -> dict[str, Any]:
        counts, edges = np.histogram(self.rng.beta(4, 4, self.n), np.linspace(0, 1, 21))
        return {
            "parts": {
                part: {"records": 100, **{t["name"]: self.known(t) for t in self.targets}}
                for part in ("train", "validation", "calibration", "test")
            },
            "similarity": {
                pair: {
                    "nearest": {"counts": counts.tolist(), "edges": edges.tolist()},
                    "quantile 0.5": 0.52,
                    "share above 0.9": 0.03,
                    "share equal 1": 0.0,
                }
                for pair in ("test to train", "test to validation and calibration")
            },
            "duplicates": {
                "groups in several parts": 3,
                "test records also in train": 2,
                "first": [{"group": "CCO", "row 17": "train", "row 640": "test"}],
            },
            "contradictions": {
                "repeated groups": 9,
                "groups": 1,
                "first": [{"target": self.targets[0]["name"], "group": "CCO", "row 17": -1.2, "row 640": -3.4}],
            },
            "groupings": {"scaffold": {"groups": 269, "share of largest": 0.31, "share of test seen in train": 0.0}},
            "warnings": ["2 test records have exact copies in training."],
        }

    def example(self, i: int) -> dict[str, Any]:
        target = self.targets[i % len(self.targets)]
        if not target["classes"]:
            answer = {"truth": -7.1 + i, "prediction": -3.21, "lower": -4.4, "upper": -2.0}
        else:
            answer = {
                "truth": target["classes"][0],
                "prediction": target["classes"][1],
                "lower": None,
                "upper": None,
                "p_truth": 0.03125,
                "p_prediction": 0.9375,
                "set": "|".join(target["classes"][:2]),
            }
        return {"key": str(1000 + i), "target": target["name"], **answer, "svg": DRAWING, "group": "C1CC1", "tokens": 3}

    def rows(self) -> pd.DataFrame:
        parts = self.rng.choice(["train", "validation", "calibration", "test"], 1128, p=[0.7, 0.1, 0.1, 0.1])
        rows = [{"key": str(i), "status": "ok", "part": part, "problem": ""} for i, part in enumerate(parts, 1)]
        bad = "SMILES 'C1CC' cannot be parsed: unclosed ring; correct it or leave the row out"
        return pd.DataFrame(
            [
                *rows,
                *({"key": str(1129 + i), "status": "unreadable", "part": "", "problem": bad} for i in range(5)),
            ]
        )

    def metrics(self, members: int) -> pd.DataFrame:
        epoch = np.arange(1, 41)
        tables = [
            pd.DataFrame(
                {
                    "member": member,
                    "epoch": epoch,
                    "step": epoch * 28,
                    "train_loss": 1.6 * np.exp(-epoch / 9) - 0.9 + self.rng.normal(0, 0.02, 40),
                    "validation_loss": 1.4 * np.exp(-epoch / 8) - 0.4 + 0.004 * epoch + self.rng.normal(0, 0.05, 40),
                    "learning_rate": 3e-4,
                    "seconds": epoch * 5.0,
                }
            )
            for member in range(members)
        ]
        return pd.concat(tables)

    def target(self, target: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        if target["kind"] == "forecast":
            predictions = self.observations(target)
            metrics = {"CRPS": 0.1, "relative CRPS": 0.15, "coverage": 0.93, "interval width": 0.5}
        elif target["kind"] == "regression":
            predictions = self.regression(target)
            metrics = {
                "RMSE": 0.83,
                "MAE": 0.61,
                "R2": 0.84,
                "Spearman": 0.9,
                "coverage": 0.885,
                "interval width": 2.6,
            }
        else:
            predictions = self.classes(target)
            metrics = {
                "ROC-AUC": 0.81,
                "PR-AUC": 0.77,
                "accuracy": 0.78,
                "Brier": 0.16,
                "coverage": 0.91,
                "set size": 1.3,
            }
        scores, comparison = [], []
        for j, model in enumerate(("sciformer", *BASELINES)):
            shift = self.rng.normal(0, 0.02) + 0.03 * j
            for part in ("validation", "test"):
                for metric, value in metrics.items():
                    if j and metric in ("coverage", "interval width", "set size"):
                        continue
                    scores.append(
                        (
                            part,
                            model,
                            target["name"],
                            metric,
                            value + shift,
                            value + shift - 0.06,
                            value + shift + 0.07,
                            self.n,
                        )
                    )
        for metric in list(metrics)[:2]:
            comparison.append((target["name"], metric, BASELINES[0], 0.01, -0.05, 0.07, "no clear difference"))
            comparison.append((target["name"], metric, BASELINES[1], 0.12, 0.03, 0.21, "worse"))
        return (
            pd.DataFrame(scores, columns=["part", "model", "target", "metric", "value", "lower", "upper", "n"]),
            pd.DataFrame(
                comparison,
                columns=["target", "metric", "baseline", "difference", "lower", "upper", "verdict"],
            ),
            predictions,
        )

    def regression(self, target: dict[str, Any]) -> pd.DataFrame:
        truth, scale = self.rng.normal(-3, 2, self.n), self.rng.uniform(0.3, 1.2, self.n)
        prediction = truth + scale * self.rng.standard_normal(self.n)
        return pd.DataFrame(
            {
                "key": [str(i) for i in range(self.n)],
                "part": "test",
                "target": target["name"],
                "truth": truth,
                "prediction": prediction,
                "lower": prediction - 1.645 * scale,
                "upper": prediction + 1.645 * scale,
                "scale": scale,
                "set": "",
            }
        )

    def observations(self, target: dict[str, Any]) -> pd.DataFrame:
        """``LATER`` observations of each record, up to a hundred days ahead."""
        table = pd.concat([self.regression(target)] * LATER, ignore_index=True).drop(columns="set")
        return table.assign(ahead=self.rng.uniform(0.1, 100, len(table)), band="g", error=0.02, spread=0.6)

    def classes(self, target: dict[str, Any]) -> pd.DataFrame:
        labels = np.array(target["classes"])
        logits = self.rng.normal(0, 1.4, (self.n, len(labels)))
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        truth = np.array([self.rng.choice(len(labels), p=row) for row in p])
        sets = ["|".join(labels[row > 0.2]) for row in p]
        table = pd.DataFrame(
            {
                "key": [str(i) for i in range(self.n)],
                "part": "test",
                "target": target["name"],
                "truth": labels[truth],
                "prediction": labels[p.argmax(1)],
                "lower": np.nan,
                "upper": np.nan,
                "scale": np.nan,
                "set": sets,
            }
        )
        return table.assign(**{f"p_{label}": p[:, j] for j, label in enumerate(labels)})


@pytest.fixture(autouse=True)
def page_with_figures(request: pytest.FixtureRequest) -> None:
    """A page is judged with its figures, labels that no font can hold included."""
    if "words_alone" not in request.fixturenames:
        request.getfixturevalue("painted")


@pytest.fixture
def words_alone() -> None:
    """For a test of what a page says: its figures are made and not drawn, which would take most of the time."""


@pytest.fixture(scope="session")
def complete(paint, tmp_path_factory: pytest.TempPathFactory):
    """``complete("regression")`` -> the directory of a whole run with 400 test records, its page rendered once, with
    its figures."""
    from sciformer.report import render

    @functools.cache
    def make(kind: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            paint(patch)
            return render(RunBuilder(tmp_path_factory.mktemp(kind), kind, n=400).path).parent

    return make


@pytest.fixture
def build(tmp_path: Path):
    """``build("regression")`` -> a ``RunBuilder`` whose directory is complete."""

    def make(kind: str, **options: Any) -> RunBuilder:
        return RunBuilder(tmp_path / "run", kind, **options)

    return make
