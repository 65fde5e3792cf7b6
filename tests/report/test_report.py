"""The report page: complete, self-contained, honest about what is missing, and fit for a real browser."""

import re
import shutil
import subprocess
from collections import Counter
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from sciformer.evaluation import proportion
from sciformer.report import render
from sciformer.report.audit import audit_section
from sciformer.report.targets import Coverage
from sciformer.report.words import number, with_interval

SECTIONS = {"data", "audit", "learning-curves", "results", "examples", "use", "reproduce"}
KINDS = ("regression", "binary", "multiclass", "multitask", "forecast")
VOID = {"meta", "img", "br", "hr", "link", "input"}
ASSAYS = [{"name": name, "kind": "binary", "unit": "", "classes": ["0", "1"]} for name in ("SR-MMP", "SR-p53")]
EVIL = "<script>window.stolen = true</script>"


class Page(HTMLParser):
    """The elements of a page with their attributes, and its visible text."""

    def __init__(self, path: Path):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        assert self.open == [], f"unclosed elements: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.elements if attribute in attributes]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def page(run) -> Page:
    return Page(render(run.path))


@pytest.mark.parametrize("kind", KINDS)
def test_every_section_is_there_and_every_link_and_id_is_sound(complete, kind):
    found = Page(complete(kind) / "report.html")
    ids = found.values("id")
    assert set(ids) >= SECTIONS
    assert [name for name, n in Counter(ids).items() if n > 1] == []
    for link in found.values("href"):
        assert link.startswith("#")
        assert link[1:] in ids
    for used in re.findall(r"url\(#([^)]*)\)", found.source):
        assert used in ids


@pytest.mark.parametrize("kind", KINDS)
def test_page_asks_nothing_of_the_network_and_stays_small(complete, kind):
    found = Page(complete(kind) / "report.html")
    policy = [a["content"] for t, a in found.elements if t == "meta" and "http-equiv" in a]
    assert policy == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ]
    assert not re.search(r"https?:|@import|(src|href)=[\"']//", found.source)
    assert all(source.startswith("data:") for source in found.values("src"))
    assert {t for t, _ in found.elements} & {"script", "link", "iframe", "object", "embed"} == set()
    assert len(found.source.encode()) < 2_000_000
    assert str(complete(kind)) not in found.source


@pytest.mark.parametrize("kind", KINDS)
def test_figures_and_images_have_text_alternatives(complete, kind):
    found = Page(complete(kind) / "report.html")
    drawings = [attributes for tag, attributes in found.elements if tag == "svg"]
    assert len(drawings) >= 5
    assert all(a["role"] == "img" and len(a["aria-label"]) > 20 for a in drawings)
    assert all(a["alt"] for tag, a in found.elements if tag == "img")
    assert found.count("h1") == 1
    assert ("html", {"lang": "en"}) in found.elements


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("regression", ["Predicted against true", "Error against predicted uncertainty", "Width of prediction"]),
        ("binary", ["ROC curve", "Precision and recall", "Reliability", "Size of prediction sets"]),
        ("multiclass", ["ROC curve", "Reliability", "Confusion matrix", "the likeliest class"]),
        ("multitask", ["Coverage against the stated 90 %", "NR-PPAR-gamma", "Over 12 targets"]),
    ],
)
def test_each_kind_of_target_gets_its_figures(complete, kind, expected):
    text = Page(complete(kind) / "report.html").text
    for words in [*expected, "Loss by epoch", "Nearest neighbours", "Attention is not explanation"]:
        assert words in text


def test_units_are_on_the_axes(complete):
    text = Page(complete("regression") / "report.html").text
    for words in ("true logS [log(mol/L)]", "absolute error [log(mol/L)]", "interval width [log(mol/L)]"):
        assert words in text


@pytest.mark.usefixtures("words_alone")
def test_verdict_gives_error_and_measured_coverage_with_intervals(build):
    run = build("regression")
    rows = run.table("predictions.csv")
    truth = rows["truth"].astype(float)
    hits = int(((rows["lower"] <= truth) & (truth <= rows["upper"])).sum())
    share, low, high = (100 * x for x in proportion(hits, len(rows)))
    text = page(run).text
    assert f"hold {share:.1f} % of the true values (95 % interval {low:.1f} to {high:.1f} %)" in text
    score = run.table("scores.csv").query("model == 'sciformer' and part == 'test' and metric == 'RMSE'").iloc[0]
    interval = f"{number(score['lower'])} to {number(score['upper'])}"
    assert f"RMSE for logS is {number(score['value'])} log(mol/L) (95 % interval {interval})" in text


@pytest.mark.usefixtures("words_alone")
@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (("better", "better"), "The transformer beats every baseline: better than A, B"),
        (("worse", "no clear difference"), "does NOT beat the baselines: worse than A; no clear difference from B"),
        (("better", "worse"), "does NOT beat every baseline: worse than B; better than A"),
    ],
)
def test_verdict_says_in_words_whether_the_baselines_are_beaten(build, verdicts, said):
    run = build("regression")
    rows = run.table("comparison.csv").query("metric == 'RMSE'")
    run.write("comparison.csv", rows.assign(baseline=["A", "B"], verdict=list(verdicts)))
    assert said in page(run).text


@pytest.mark.usefixtures("words_alone")
def test_verdict_over_several_targets_counts_and_names_the_lost_ones(build):
    run = build("multitask", n=20, targets=ASSAYS)
    rows = run.table("comparison.csv").assign(verdict="better")
    assert "beats every baseline on all 2 targets" in page_with(run, rows)
    rows.loc[rows["target"] == "SR-p53", "verdict"] = "worse"
    said = page_with(run, rows)
    assert "beats every baseline on 1 of 2 targets and does NOT on the other 1: it is worse" in said
    assert "at least one on 1 (SR-p53)" in said
    rows["verdict"] = "no clear difference"
    assert "does NOT beat every baseline on any of the 2 targets: it is worse on none" in page_with(run, rows)


@pytest.mark.usefixtures("words_alone")
def test_names_of_baselines_do_not_colour_the_verdict(build):
    run = build("multitask", n=20, targets=ASSAYS)
    rows = run.table("comparison.csv").assign(baseline="NOT worse net", verdict="no clear difference")
    assert "≈ no clear gain" in page_with(run, rows)
    won = rows[rows["target"] == "SR-p53"].assign(verdict="better")
    run.write("comparison.csv", won)
    found = page(run)
    assert "The transformer beats every baseline: better than NOT worse net" in found.text
    assert [name.split() for name in found.values("class") if name.startswith("contest")] == [["contest"]]
    run.write("comparison.csv", won.assign(verdict="worse"))
    found = page(run)
    assert "contest lost" in found.values("class")
    assert "▼ worse than 2 of 2" in found.text


def page_with(run, comparison) -> str:
    run.write("comparison.csv", comparison)
    return page(run).text


@pytest.mark.usefixtures("words_alone")
def test_intervals_that_are_too_narrow_are_called_so(build):
    run = build("regression")
    rows = run.table("predictions.csv")
    run.write(
        "predictions.csv", rows.assign(lower=rows["prediction"].astype(float), upper=rows["prediction"].astype(float))
    )
    assert "BELOW the stated level" in page(run).text


@pytest.mark.parametrize(
    ("hits", "n", "calibrated", "judgement"),
    [
        (169, 200, None, "BELOW"),  # 84.5 %: were the calibration part endless
        (169, 200, 200, "in line with"),  # its own scatter makes this usual
        (150, 200, 200, "BELOW"),
        (200, 200, 200, "above"),
        (1, 1, 200, "too few test records to judge"),
        (0, 8, 200, "BELOW"),
        (28, 30, 8, "not calibrated"),
        (28, 30, 9, "in line with"),
    ],
)
def test_coverage_is_judged_with_the_scatter_of_test_and_calibration_records(hits, n, calibrated, judgement):
    assert Coverage(hits, n, 0.9, calibrated).judgement == judgement


def test_coverage_that_keeps_its_level_is_rarely_called_off_it():
    """Split conformal by simulation: of 95 in 100 runs, and not of many more, it is said to be in line."""
    rng = np.random.default_rng(0)
    said = []
    for _ in range(600):
        limit = np.sort(rng.random(60))[int(np.ceil(61 * 0.9)) - 1]
        said.append(Coverage(int((rng.random(200) <= limit).sum()), 200, 0.9, 60).judgement)
    assert 0.93 <= said.count("in line with") / 600 <= 0.985


def test_a_handful_of_test_records_decides_nothing(build):
    run = build("regression", n=3)
    run.write("comparison.csv", run.table("comparison.csv").assign(verdict="better"))
    text = page(run).text
    assert "On 3 test records (too few to judge by), RMSE" in text
    assert "too few test records to judge it against the stated level" in text
    assert "The test part is too small to say whether the transformer beats a simple model." in text
    assert "beats every baseline" not in text


def test_coverage_beside_its_level_shows_on_which_side_it_is():
    assert str(Coverage(8998, 10000, 0.9)).startswith("89.98 % [")
    assert str(Coverage(9, 10, 0.9)).startswith("90.0 % [")


@pytest.mark.usefixtures("words_alone")
def test_the_scatter_of_calibration_reaches_the_verdict(build):
    run = build("regression", n=200)
    rows = run.table("predictions.csv")
    truth = rows["truth"].astype(float)
    upper = truth.where(rows.index < 169, truth - 1)
    run.write("predictions.csv", rows.assign(lower=truth - 2, upper=upper))
    assert "hold 84.5 % of the true values" in page(run).text
    assert "BELOW the stated level" in page(run).text
    run.change(calibration={"logS": {"n": 200}})
    text = page(run).text
    assert "BELOW" not in text
    assert "Judged with the scatter of 200 test and 200 calibration records" in text
    run.change(calibration={"logS": {"n": 3}})
    assert "not calibrated, so nothing holds it to the stated level" in page(run).text


@pytest.mark.usefixtures("words_alone")
def test_a_class_that_its_sets_do_not_cover_is_named(build):
    run = build("binary", n=200)
    rows = run.table("predictions.csv")
    rows["set"] = "passes"
    run.write("predictions.csv", rows)
    run.change(calibration={"p_np": {"n": 100, "classes": {"blocked": 60, "passes": 40}}})
    scores = run.table("scores.csv")
    extra = scores[(scores["metric"] == "coverage") & (scores["part"] == "test")].assign(metric="coverage of blocked")
    run.write("scores.csv", pd.concat([scores, extra]))
    text = page(run).text
    n = (rows["truth"] == "blocked").sum()
    assert "It is BELOW the level for class blocked (0.0 %)." in text
    assert re.search(rf"blocked {n} 0\.0 % \[0\.0, [\d.]+\] 60 ▼ BELOW", text)
    assert re.search(r"passes \d+ 100\.0 % \[[\d.]+, 100\.0\] 40 above", text)
    assert "coverage of blocked" not in text  # told once


@pytest.mark.usefixtures("words_alone")
@pytest.mark.parametrize("held", ["all", "none"])
def test_beyond_what_was_calibrated_no_level_is_promised(build, held):
    """Neither is low coverage a failure of the calibration there, nor high coverage a success of it."""
    run = build("binary", n=200)
    rows = run.table("predictions.csv")
    other = rows["truth"].map({"blocked": "passes", "passes": "blocked"})
    run.write("predictions.csv", rows.assign(set="blocked|passes" if held == "all" else other))
    run.change(calibration={"p_np": {"n": 100, "classes": {"blocked": 60, "passes": 40}}})
    run.json("splits.json", {"kind": "size", "seed": 0, "beyond": True})
    text = page(run).text
    assert "on a test part beyond what was calibrated, so nothing holds it to the stated level" in text
    share = "100.0" if held == "all" else "0.0"
    for label, calibrated in (("blocked", 60), ("passes", 40)):
        assert re.search(rf"{label} \d+ {share} % \[[\d.]+, [\d.]+\] {calibrated} beyond what was calibrated", text)
    for judged in ("BELOW", "above the", "in line with", "It is BELOW", "Judged with the scatter"):
        assert judged not in text


@pytest.mark.usefixtures("words_alone")
def test_of_many_targets_beyond_what_was_calibrated_none_is_judged(build):
    run = build("multitask")
    run.json("splits.json", {"kind": "size", "seed": 0, "beyond": True})
    told = re.search(r"Coverage against the stated 90 %: ([^.]+)\.", page(run).text)
    assert told
    assert told[1].startswith("promised by nothing, the test part being beyond what was calibrated, on ")
    assert not re.search("BELOW|above it|in line", told[1])


@pytest.mark.usefixtures("words_alone")
@pytest.mark.parametrize(("patience", "used"), [(0, "The last weights"), (5, "The best weights")])
def test_it_says_which_weights_are_used_and_what_that_costs(build, patience, used):
    run = build("regression")
    (run.path / "config.yaml").write_text(f"optim:\n  patience: {patience}\n")
    metrics = run.metrics(1)
    metrics["validation_loss"] = [*np.linspace(2, 0.5, 20), *np.linspace(0.55, 1.5, 20)]
    run.write("metrics.csv", metrics)
    text = page(run).text
    assert used in text
    assert ("stopping and choosing the weights" in text) == bool(patience)
    warned = "ends at 1.50, well above its lowest 0.500 at epoch 20"
    assert (warned in text) == (not patience)
    metrics["validation_loss"] = np.linspace(2, 0.5, 40)
    run.write("metrics.csv", metrics)
    assert "well above its lowest" not in page(run).text


@pytest.mark.parametrize("epochs", [1, 2, 3, 40])
def test_epochs_are_whole_numbers_on_the_axis(build, epochs):
    run = build("regression")
    run.write("metrics.csv", run.metrics(1).head(epochs))
    html = render(run.path).read_text("utf-8")
    curve = html[html.index("Loss by epoch") :]
    curve = curve[: curve.index("</svg>")]
    ticks = re.findall(r">([\d.]+)</text>", curve[: curve.index(">epoch</text>")])
    assert ticks
    assert all("." not in tick for tick in ticks)


def test_cards_show_probability_set_and_identity(complete):
    text = Page(complete("binary") / "report.html").text
    told = "true blocked (p = 0.031) predicted passes (p = 0.938) set blocked, passes"
    assert f"{told} identity C1CC1" in text
    assert "The stronger the shade" in text
    assert "only wrong answers" not in Page(complete("regression") / "report.html").text


def test_rare_neighbours_are_counted_and_not_rounded_away():
    nearest = {"counts": [798, 3], "edges": [0, 0.9, 1]}
    facts = {"nearest": nearest, "share above 0.9": 3 / 801, "share equal 1": 3 / 801, "equal but no copies": 2}
    section = audit_section(
        {"similarity": {"test to train": facts}, "groupings": {"scaffold": {"share of test seen in train": 0.9999}}}
    )
    caption = section.plots[0].caption
    assert "Above 0.9: 3 of 801 (<1 %)" in caption
    assert "Of these 2 are no copies" in caption
    assert section.groupings[0][3] == ">99 %"


@pytest.mark.usefixtures("words_alone")
def test_the_title_names_the_data_unless_it_does_already(build):
    run = build("regression")
    run.change(title="Properties of molecules", data={"source": "data/tox21.csv"})
    assert page(run).text.startswith("Properties of molecules: tox21.csv · sciformer report")
    run.change(title="Toxicity (Tox 21)", data={"source": "data/tox21.csv"})
    assert page(run).text.startswith("Toxicity (Tox 21) · sciformer report")


@pytest.mark.usefixtures("words_alone")
@pytest.mark.parametrize(("kind", "told"), [("random", "kind random, seed 0."), ("scaffold", "seed 0, order balanced")])
def test_an_order_is_told_only_of_splits_that_have_one(build, kind, told):
    run = build("regression")
    run.json("splits.json", {"kind": kind, "seed": 0, "order": "balanced"})
    assert told in page(run).text


def test_percent_signs_stay_with_their_numbers_and_commands_as_they_are(build):
    run = build("regression")
    run.change(command="echo 7 % 5", notes=["only 53% are known"])
    html = render(run.path).read_text("utf-8")
    assert "<code>echo 7 % 5</code>" in html
    assert re.findall(r"\d %", html) == ["7 %"]
    assert "only 53\u00a0% are known" in html


def test_no_python_notation_leaks_into_the_page(build):
    run = build("binary")
    run.write("predictions.csv", run.table("predictions.csv").assign(truth="blocked"))
    text = page(run).text
    assert "All test records are of class blocked" in text
    assert "np." not in text


@pytest.mark.usefixtures("words_alone")
def test_a_run_tells_what_it_started_from_and_nothing_where_it_started_at_random(build):
    run = build("regression")
    assert "Started from" not in page(run).text
    start = {"checkpoint": "hf://owner/name@v1", "mode": "lora", "sha256": "0123456789abcdef" * 4}
    run.change(start=start)  # the shape alone was taken
    assert "Started from" not in page(run).text
    counts = {"loaded": {"blocks": 1200, "embedder molecule": 34}, "fresh": {"task readouts": 5}, "unused": {}}
    run.change(start={**start, **counts, "learning": 1005})
    assert (
        "Learning curves Started from hf://owner/name@v1 (sha256 0123456789ab) in mode lora: 1,234 weights are from "
        "the checkpoint, 5 started at random, 0 of the checkpoint are not used; 1,005 were free to learn."
    ) in page(run).text
    run.change(start={"checkpoint": EVIL, "loaded": {"blocks": EVIL}, "fresh": 3})
    found = page(run)
    assert found.count("script") == 0
    assert "0 weights are from the checkpoint" in found.text
    run.change(start=[1])
    assert "Started from" not in page(run).text


@pytest.mark.usefixtures("words_alone")
def test_simulated_data_and_warnings_are_loud(build):
    run = build("regression")
    assert "Simulated data" not in page(run).text
    run.change(simulated=True, notes=["The label is a fit."])
    text = page(run).text
    for words in ("Simulated data.", "The label is a fit.", "2 test records have exact copies in training."):
        assert text.index(words) < text.index("Data and split")


@pytest.mark.usefixtures("words_alone")
@pytest.mark.parametrize(("state", "told"), [("finished", False), ("failed", True), ("interrupted", True)])
def test_unfinished_run_does_not_look_finished(build, state, told):
    run = build("regression")
    run.change(state=state)
    assert ("Not a finished run" in page(run).text) == told


def test_missing_files_are_named_in_words(build):
    run = build("regression")
    for path in run.path.iterdir():
        if path.is_file() and path.name != "run.json":
            path.unlink()
    shutil.rmtree(run.path / "checkpoint")
    text = page(run).text
    for name in ("audit.json", "metrics.csv", "rows.csv", "scores.csv", "predictions.csv", "comparison.csv"):
        assert f"{name} " in text
    for words in ("examples.json is missing", "config.yaml is missing", "No complete checkpoint", "no verdict"):
        assert words in text


def test_broken_files_are_left_out_with_a_warning(build):
    run = build("regression")
    (run.path / "audit.json").write_text("{")
    (run.path / "examples.json").write_text("{}")
    (run.path / "scores.csv").write_text('part,model\n"a,b\n')
    text = page(run).text
    assert "audit.json is not valid JSON" in text
    assert "examples.json must hold a JSON list, got dict" in text
    assert "scores.csv is not a readable CSV table" in text


def test_audit_of_another_form_is_no_error(build):
    run = build("regression")
    run.json(
        "audit.json", {"warnings": "x", "similarity": {"a": {"nearest": {"counts": [1], "edges": [0]}}}, "parts": 3}
    )
    assert "Leakage audit" in page(run).text


def test_directory_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run directory with run\.json, got .*; train one first"):
        render(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(ValueError, match=r"must hold one JSON object: .*got list"):
        render(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_everything_written_by_others_is_escaped(build):
    target = {
        "name": f"T{EVIL}",
        "kind": "multiclass",
        "unit": EVIL,
        "classes": [f"a{EVIL}", "b$\\frac{x", 'c" id="data'],
    }
    run = build("multiclass", targets=[target])
    run.change(title=EVIL, notes=[EVIL], data={"source": EVIL}, checkpoint=f"c {EVIL}", command=EVIL)
    rows = run.rows()
    rows.loc[rows["status"] == "unreadable", ["key", "problem"]] = EVIL
    run.write("rows.csv", rows)
    (run.path / "config.yaml").write_text(EVIL)
    run.json("environment.json", {EVIL: EVIL})
    run.json("audit.json", {**run.audit(), "warnings": [EVIL], "groupings": {EVIL: {"groups": EVIL}}})
    run.json("splits.json", {"kind": EVIL})
    found = page(run)
    assert found.count("script") == 0
    assert "<script" not in found.source
    assert found.text.count(EVIL) >= 12
    assert found.values("id").count("data") == 1


def test_labels_that_no_font_or_xml_can_hold_do_not_cost_the_page(build):
    target = {"name": "溶解度\u0007", "kind": "regression", "unit": "µmol·L⁻¹ 単位\ud800", "classes": []}
    assert "溶解度" in page(build("regression", targets=[target])).text


def test_keys_and_labels_stay_the_texts_they_are(build):
    target = {"name": "kind", "kind": "binary", "unit": "", "classes": ["NA", "None"]}
    run = build("binary", targets=[target])
    rows = run.rows()
    rows.loc[rows["status"] == "unreadable", "key"] = "007"
    run.write("rows.csv", rows)
    text = page(run).text
    assert "007 SMILES" in text
    assert "class None: 0." in text  # the ROC curve of the positive class, with its area


@pytest.mark.parametrize("column", ["truth", "prediction", "lower", "upper", "scale"])
def test_numbers_that_are_none_are_left_out_and_counted(build, column):
    run = build("regression")
    rows = run.table("predictions.csv")
    rows[column] = rows[column].astype(object)
    rows.loc[:4, column] = "nan"
    rows.loc[5:6, column] = "inf"
    run.write("predictions.csv", rows)
    found = page(run)
    assert "nan" not in set(found.text.split())
    assert ("7 test rows without finite" in found.text) == (column in ("truth", "prediction"))
    drawn = " ".join(found.values("d") + found.values("x") + found.values("y"))
    assert not re.search("nan|inf", drawn, re.IGNORECASE)


@pytest.mark.parametrize("kind", KINDS[:3])
@pytest.mark.parametrize("n", [1, 2])
def test_a_handful_of_test_records_is_enough(build, kind, n):
    assert "Results on the test part" in page(build(kind, n=n)).text


def test_all_predictions_missing_is_said(build):
    run = build("regression")
    rows = run.table("predictions.csv")
    run.write("predictions.csv", rows.assign(truth="", prediction="", lower="", upper="", scale=""))
    assert "nothing to draw" in page(run).text


def test_unbounded_intervals_count_as_covered_and_are_counted(build):
    run = build("regression")
    rows = run.table("predictions.csv")
    run.write("predictions.csv", rows.assign(lower=-np.inf, upper=np.inf))
    text = page(run).text
    assert "hold 100.0 %" in text
    assert "113 of 113 intervals are unbounded" in text


def test_one_class_in_the_test_part_is_said_instead_of_drawn(build):
    run = build("binary")
    run.write("predictions.csv", run.table("predictions.csv").assign(truth="blocked"))
    text = page(run).text
    assert "curves need both classes" in text
    assert "ROC curve The" not in text
    assert "Reliability" in text


def test_constant_predictions_are_drawn(build):
    run = build("regression")
    run.write(
        "predictions.csv", run.table("predictions.csv").assign(truth=1.0, prediction=1.0, scale=0.0, lower=1, upper=1)
    )
    assert "The scale is the same for every record" in page(run).text


def test_many_records_are_thinned_out_openly(build):
    found = page(build("regression", n=5000))
    assert "A random 1500 of 5000 records are drawn." in found.text
    assert len(found.source.encode()) < 2_000_000


def test_many_targets_are_folded_below_a_summary(complete):
    found = Page(complete("multitask") / "report.html")
    folded = [attributes for _, attributes in found.elements if attributes.get("class") == "target"]
    assert len(folded) == 12
    assert all("open" not in attributes for attributes in folded)
    assert found.text.index("against baselines") < found.text.index("ROC curve")


def test_same_run_gives_the_same_page_and_leaves_no_trace(build):
    run = build("regression")
    before, settings = {path.name for path in run.path.iterdir()}, dict(mpl.rcParams)
    first = render(run.path).read_bytes()
    assert render(run.path).read_bytes() == first
    assert {path.name for path in run.path.iterdir()} == before | {"report.html"}
    assert dict(mpl.rcParams) == settings


def test_failed_rendering_keeps_the_old_page(build, monkeypatch):
    run = build("regression")
    old = render(run.path).read_bytes()

    def full(*args: object) -> None:
        raise OSError("no space left on device")

    before = {path.name for path in run.path.iterdir()}
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        render(run.path)
    assert (run.path / "report.html").read_bytes() == old
    assert {path.name for path in run.path.iterdir()} == before


@pytest.mark.usefixtures("words_alone")
def test_the_environment_says_what_was_different_where_a_run_went_on(build):
    run = build("regression")
    first = {"python": "3.11.9", "device": "CPU", "threads": 2, "packages": {"torch": "2.12.1"}}
    other = first | {"device": "H100", "packages": {"torch": "2.13.0"}}
    run.json("environment.json", {**first, "command": "sciformer", "resumed": [first, other]})
    text = page(run).text
    assert "device CPU threads 2 torch 2.12.1" in text
    assert "resumed (1) in the same environment resumed (2) device H100, torch 2.13.0" in text
    run.json("environment.json", {**first, "resumed": [1]})
    assert "device CPU" in page(run).text


@pytest.mark.usefixtures("words_alone")
def test_checkpoint_snippets_name_the_checkpoint_of_the_run(build):
    run = build("regression")
    run.change(checkpoint="best model")
    found = page(run)
    assert "sciformer.load('best model')" in found.text
    assert "sciformer predict 'best model' input.csv" in found.text
    assert "predictions.csv" not in found.text  # the run's own, in the same folder
    assert "No complete checkpoint" in found.text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.6123, "0.612"), (-1.5, "−1.50"), (1234.5, "1,234"), (0.0, "0.000"), (float("nan"), "–"), (None, "–"),
     (113, "113"), (float("-inf"), "−∞"), (3.2e-9, "3.20\xa0·\xa010⁻⁹"), (-2.5e7, "−2.50\xa0·\xa010⁷"),
     ("passes", "passes"), (0.00123, "0.00123")],
)  # fmt: skip
def test_numbers_read_as_in_a_paper(value, text):
    assert number(value) == text


def test_score_and_interval_share_their_decimals():
    assert with_interval(0.98, 0.912, 1.041) == "0.98 [0.91, 1.04]"
    assert with_interval(0.5, float("nan"), float("nan")) == "0.500"
    assert with_interval(2.97e-5, 2.8e-5, 3.1e-5) == "2.97 [2.80, 3.10]\xa0·\xa010⁻⁵"


MEASURE = """<script>
document.querySelectorAll("details").forEach(d => d.open = true);
document.querySelectorAll("img").forEach(i => i.loading = "eager");
addEventListener("load", () => parent.document.documentElement.setAttribute("data-" + innerWidth, [
  document.documentElement.scrollWidth, window.stolen === true,
  performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).length,
  [...document.images].filter(i => i.naturalWidth === 0).length].join(" ")));
</script></body>"""
"""Run inside a frame: unfolds everything, then tells its page the width needed, whether a foreign script ran,
how many requests were made and how many images are broken."""


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs Chromium on the PATH, for instance the Debian package chromium")
    return found


def dump(chromium: str, path: Path, profile: Path) -> subprocess.CompletedProcess[str]:
    flags = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
        "--enable-logging=stderr", f"--user-data-dir={profile}", "--window-size=1400,900", "--dump-dom",
    )  # fmt: skip
    command = [chromium, *flags, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, encoding="utf-8")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_real_browser_shows_it_without_sideways_scrolling_or_complaint(complete, chromium, tmp_path, kind):
    report = complete(kind) / "report.html"
    shown = dump(chromium, report, tmp_path / "profile")
    assert [line for line in shown.stderr.splitlines() if "CONSOLE" in line] == []
    # The page forbids scripts, so copies without that rule are measured, in frames: a window has a least width.
    copy = re.sub(r"<meta http-equiv.*?>", "", report.read_text("utf-8")).replace("</body>", MEASURE)
    frames = [f'<iframe style="width:{width}px" srcdoc="{escape(copy)}"></iframe>' for width in (1280, 390)]
    (tmp_path / "frames.html").write_text("".join(["<!doctype html><body>", *frames]), "utf-8")
    done = dump(chromium, tmp_path / "frames.html", tmp_path / "profile")
    for width in (1280, 390):
        found = re.search(rf'data-{width}="(\d+) (\w+) (\d+) (\d+)"', done.stdout)
        assert found, done.stderr
        scroll, stolen, requests, broken = found.groups()
        assert int(scroll) <= width
        assert (stolen, requests, broken) == ("false", "0", "0")
