"""Drawings of the domain on the page, and the page of a run that answers every residue."""

import pytest

from sciformer.report import render

STATE = {"name": "state", "kind": "multiclass", "unit": "", "classes": ["C", "E", "H"], "part": "residue"}
EXPOSURE = {"name": "exposure", "kind": "regression", "unit": "Å2", "classes": [], "part": "residue"}
SVG = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'><script>window.stolen = true</script></svg>"


def page(run) -> str:
    return " ".join(render(run.path).read_text("utf-8").split())


@pytest.fixture
def residues(build):
    """A run of which ten residues in a row are of one record."""

    def make(target: dict, n: int = 400):
        run = build("regression", n=n, targets=[target])
        rows = run.table("predictions.csv")
        run.write("predictions.csv", rows.assign(key=[f"p{i // 10}" for i in range(len(rows))]))
        run.json("examples.json", [])
        return run

    return make


def test_drawings_are_images_with_their_captions(build):
    run = build("regression")
    drawn = [{"title": "Effects <b>", "caption": "Dots & marks.", "svg": SVG}, {"title": "None", "svg": None}]
    run.json("figures.json", drawn)
    html = page(run)
    assert 'href="#drawings"' in html
    assert 'alt="Effects &lt;b&gt;. Dots &amp; marks."' in html
    assert "<script" not in html
    assert html.count('class="drawn"') == 1
    assert "Worst errors" in html


@pytest.mark.parametrize("text", [None, "[]", '[{"svg": 3}, {}, {"title": "x"}]'])
def test_without_drawings_there_is_no_section(build, text):
    run = build("regression")
    if text:
        (run.path / "figures.json").write_text(text)
    assert 'id="drawings"' not in page(run)


def test_broken_drawings_are_named(build):
    run = build("regression")
    (run.path / "figures.json").write_text("{")
    assert "figures.json is not valid JSON" in page(run)


@pytest.mark.parametrize("target", [STATE, EXPOSURE])
def test_residues_are_counted_as_such_and_records_are_the_evidence(residues, target):
    html = page(residues(target))
    assert "On 400 test residues of 40 records, " in html
    assert "of 400 test residues (95 % interval by bootstrap over their 40 records)" in html
    assert "of 40 records." in html
    assert "Brackets: 95 % intervals by bootstrap over the 40 test records." in html
    assert "loss (mean per residue)" in html
    assert "sciformer residues" in html
    assert "model.residues(records)" in html
    assert "Worst errors" not in html


def test_coverage_of_a_class_counts_the_records_that_have_it(residues):
    run = residues(STATE)
    rows = run.table("predictions.csv")
    rows.loc[rows.index >= 20, "truth"] = "C"
    rows.loc[[3, 12], "truth"] = "E"
    run.write("predictions.csv", rows)
    assert '<th scope="row">E</th><td class="num">2</td>' in page(run)


def test_few_records_judge_nothing_however_many_residues_they_have(residues):
    html = page(residues(STATE, n=90))
    assert "On 90 test residues of 9 records (too few to judge by)" in html
    assert "The test part is too small to say whether the transformer beats a simple model." in html


def test_residues_of_one_record_have_no_interval_and_the_page_says_so(residues):
    run = residues(STATE, n=40)
    run.write("predictions.csv", run.table("predictions.csv").assign(key="p"))
    assert "% [–, –]" in page(run)


def test_the_rank_correlation_stands_beside_its_comparison(build):
    run = build("regression")
    rows = run.table("comparison.csv")
    run.write("comparison.csv", rows.assign(metric=rows["metric"].replace({"MAE": "Spearman"})))
    html = page(run)
    assert "<td>Spearman</td>" in html
    assert html.index("<td>RMSE</td>") < html.index("<td>Spearman</td>")
