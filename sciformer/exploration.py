"""What a model has learned, on the command line: vectors of records, and what substitutions change.

The signatures are the options and the docstrings the help.
"""

from typing import TYPE_CHECKING, Any

from sciformer.inputs import file
from sciformer.output import check_output, counted, say_notes, say_unreadable, write_table

if TYPE_CHECKING:
    import pandas as pd

    from sciformer.foundation import Backbone
    from sciformer.predictor import Predictor
    from sciformer.tokens import Target


def embed(checkpoint: str, input: str, output: str, domain: str = "", columns: dict[str, str] | None = None) -> None:
    """Write one vector per row, the mean of the backbone's token vectors, and why a row has none.

    Args:
        checkpoint: Directory of the checkpoint, its address hf://owner/name, or the name of one that comes with
            sciformer.
        input: File of records.
        output: Table to write (.csv or .parquet).
        domain: Of a backbone that reads several domains, that of the records.
        columns: Options of the reader, such as --columns.smiles SMILES; of light curves --columns.time NAME and
            --columns.objects FILE, the table of objects.
    """
    import pandas as pd

    from sciformer import summary
    from sciformer.ensemble import status
    from sciformer.pretrained import load

    check_output(output, input)
    model = load(checkpoint, domain=domain)
    records = model.read(file(input), **(columns or {}))
    vectors = pd.DataFrame(model.vectors(records)).rename(columns=str)
    vectors.insert(0, "record", [record.key for record in records])
    vectors["status"] = [status(record) for record in records]
    write_table(vectors, output)
    noun = summary.noun_of(model.adapter)
    bad = say_unreadable(vectors.set_index("record")["status"], f"column status of {output}", noun)
    print(f"{counted(len(vectors) - bad, noun)} of {vectors.shape[1] - 2} numbers, {bad} unreadable: {output}")


def mutate(
    checkpoint: str,
    output: str,
    input: str | None = None,
    sites: str | None = None,
    level: float | None = None,
    domain: str = "",
    columns: dict[str, str] | None = None,
) -> None:
    """Tell every single substitution of a protein: what a trained model predicts of it, or how likely a backbone holds
    it.

    Args:
        checkpoint: Directory of the checkpoint, its address hf://owner/name, or the name of one that comes with
            sciformer.
        output: Table to write (.csv or .parquet).
        input: File of one sequence; by default the wild type that was learned.
        sites: Only these, as --sites M1,K5.
        level: Share of truths that intervals and sets shall hold; by default that of training. A backbone has none.
        domain: Of a backbone that reads several domains, that of the record.
        columns: Options of the reader, such as --columns.sequence NAME.
    """
    from sciformer.foundation import Backbone
    from sciformer.predictor import Predictor
    from sciformer.pretrained import load

    check_output(output, input or "")
    model = load(checkpoint, domain=domain)
    chosen = None if sites is None else [site.strip() for site in sites.split(",")]
    options: dict[str, Any] = {"sites": chosen, **(columns or {})}
    source = None if input is None else file(input)
    if isinstance(model, Backbone):
        if level is not None:
            raise ValueError("a backbone tells how likely substitutions are, without intervals: leave --level out")
        table = _likelihoods(model, source, options)
    elif isinstance(model, Predictor):
        table = _predictions(model, source, level, options)
    else:
        raise ValueError(f"{checkpoint} predicts no property of a whole record, so nothing of its variants")
    write_table(table, output, exact=("variant", "site", "to"))
    say_notes(table.attrs["notes"])
    for line in table.attrs["strongest"]:
        print(line)
    rows = table[table["site"] != ""]
    where = counted(int(rows["site"].nunique()), "site")
    print(f"{counted(len(rows), 'substitution')} at {where} of {input or 'the wild type'}: {output}")


def _predictions(model: "Predictor", source: Any, level: float | None, options: dict[str, Any]) -> "pd.DataFrame":
    """What a trained model predicts of every substitution, and its effect."""
    from sciformer.predictor import effects_of

    table = model.scan(source, level=level, **options)
    effects = {_effect(target): effects_of(table, target) for target in model.targets}
    told = table.drop(columns="status").assign(**effects, status=table["status"])
    learned = ((table["status"] == "ok") & (table["site"] != "")).to_numpy()
    strongest = [
        _strongest(_called(target), effects[_effect(target)].set_axis(table["variant"])[learned])
        for target in model.targets
    ]
    told.attrs = {"notes": table.attrs["notes"], "strongest": strongest}
    return told


def _likelihoods(model: "Backbone", source: Any, options: dict[str, Any]) -> "pd.DataFrame":
    """How likely a backbone holds every substitution, compared with what stands there."""
    table = model.scan(source, **options)
    known = table["status"] == "ok"
    odd = list(dict.fromkeys(table["site"][~known]))
    notes = ["effects are log odds of a backbone that has met no measured effect, not predictions of a property"]
    notes += [f"{counted(len(odd), 'site')} without effects: {', '.join(odd[:5])}"] if odd else []
    effects = table.set_index("variant")["effect"][known.to_numpy()]
    table.attrs = {"notes": notes, "strongest": [_strongest("log odds [nat]", effects)]}
    return table


def _effect(target: "Target") -> str:
    """The column of effects: on the answer, or on the probability of the class that it names."""
    return f"effect_{target.name}_p_{target.classes[-1]}" if target.classes else f"effect_{target.name}"


def _called(target: "Target") -> str:
    return f"{target.name}, probability of {target.classes[-1]}" if target.classes else target.label


def _strongest(what: str, effects: "pd.Series", most: int = 3) -> str:
    """The largest effects either way, in one line."""
    order = effects.sort_values(kind="stable")
    sides = {"up": order[order > 0].iloc[::-1].head(most), "down": order[order < 0].head(most)}
    told = [f"{side} {', '.join(f'{k} {v:+.3g}' for k, v in some.items()) or 'none'}" for side, some in sides.items()]
    return f"  {what}: {'; '.join(told)}"
