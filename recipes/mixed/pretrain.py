"""One backbone for proteins, molecules, climate series and light curves, pretrained without labels.

Question: can sequences of four sciences share a backbone?
Data: those of the recipes that pretrain a backbone for one domain; every domain has a quarter of the batches.
Cost: about an hour on one CPU core.
Score: the errors on held-out records are in the model card; what it is worth, beside backbones of one domain that were
    trained for as many steps of it, in benchmarks/RESULTS.md.

    python recipes/mixed/pretrain.py --out runs/sciformer-small
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.climate.data import ClimateData
from sciformer.domains.lightcurve.corpus import LightCurveCorpus
from sciformer.domains.molecule.corpus import MoleculeCorpus
from sciformer.domains.protein.corpus import ProteinCorpus
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.pretraining import Pretraining
from sciformer.streams import Stream

TESTED = "esol,freesolv,lipophilicity,bace,bbbp,clintox,tox21,photoswitch"
SPECIES = "Escherichia coli,Plasmodium falciparum"
SERIES = ("beijing_pm25", "etth1", "era5_cities")
WEATHER = "tas,tasmax,tasmin,pr,ps,hurs,sfcWind,rsds"


def series(source: str) -> ClimateData:
    variables = WEATHER if source == "era5_cities" else ""
    return ClimateData(source=source, variables=variables, context=96, horizon=24, patch=8, stride=8)


def recipe() -> Pretraining:
    molecules, atoms = MoleculeCorpus(apart=TESTED), BatchConfig(records=64, row=64, pool=64)
    proteins = ProteinCorpus(apart={"species": SPECIES})
    residues = BatchConfig(records=16, tokens=8192, pool=256, row=0)
    curves, observations = LightCurveCorpus(simulated=6000), BatchConfig(records=16, row=0, pool=256)
    past = SplitConfig(kind="time", fractions=(0.5, 0.1, 0.0, 0.4), calibration_share=0.0)
    return Pretraining(
        title="sciformer-small: four sciences, pretrained",
        streams={
            "molecule_descriptors": Stream(molecules, objective="descriptors", weight=2.0, batch=atoms),
            "molecule_masked": Stream(molecules, objective="masked", weight=1.0, batch=atoms),
            "protein_masked": Stream(proteins, objective="masked", weight=3.0, batch=residues),
            "lightcurve_descriptors": Stream(curves, objective="descriptors", weight=2.0, batch=observations),
            "lightcurve_forecast": Stream(curves, objective="forecast", weight=1.0, batch=observations),
            **{
                f"climate_{source}": Stream(
                    series(source), split=past, objective="forecast", weight=1.0, batch=BatchConfig(row=0)
                )
                for source in SERIES
            },
        },
        model=SciformerConfig(dropout=0.0),
        optim=OptimConfig(epochs=10, lr=1e-3),
        steps=500,
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
