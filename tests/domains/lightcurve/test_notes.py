"""Remarks about many curves: each kind once, with numbers that somebody can read."""

import dataclasses

import numpy as np
import pandas as pd

from sciformer.domains.lightcurve import notes, reader
from sciformer.domains.lightcurve.curve import Curve

CURVE = Curve(time=np.zeros(1), band=np.array(["g"]), value=np.ones(1), error=np.ones(1))


def noted(*texts: str) -> list[Curve]:
    return [dataclasses.replace(CURVE, notes=(text,)) for text in texts]


def test_counts_that_differ_are_left_out_and_other_numbers_are_those_of_the_first():
    assert notes.reading(noted("left out: 1", "left out: 1")) == ["2 objects: left out: 1"]
    assert notes.reading(noted("left out: 1", "left out: 2")) == ["2 objects: left out"]
    assert notes.reading(noted("times of 5 to 9.5 cannot be HJD", "times of 6 to 7 cannot be HJD")) == [
        "2 objects: times of 5 to 9.5 cannot be HJD (the first of them)"
    ]
    assert notes.reading(noted("No N in NaN 3: 4")) == ["1 object: No N in NaN 3: 4"]


def test_only_objects_whose_fluxes_were_converted_say_so():
    rows = {"object_id": list("aabb"), "mjd": [58000.0, 58001.0] * 2, "band": "g", "flux": 1.0}
    records = list(reader.read(pd.DataFrame(rows).assign(zp=[27.5, 27.5, 25.0, 27.5])))
    assert notes.reading([record.data for record in records])[1:] == [
        "1 object: fluxes of another zero point, brought to 27.5: 1"
    ]
