import pytest
import torchvision

from cnncourse.ledger import efficientnet
from cnncourse.models.efficientnet import VARIANTS

LEDGER = efficientnet.ledger()
META = {name: torchvision.models.get_model_weights(name).IMAGENET1K_V1 for name in VARIANTS}


@pytest.mark.parametrize("name", VARIANTS)
def test_torchvisions_column_is_that_of_its_weights(name):
    short, meta = name[-2:].upper(), META[name].meta
    assert LEDGER[f"{short}: parameters"].torchvision == meta["num_params"]
    assert LEDGER[f"{short}: GMACs"].torchvision == pytest.approx(meta["_ops"], abs=0.0006)
    accuracy = meta["_metrics"]["ImageNet-1K"]["acc@1"]
    assert LEDGER[f"{short}: top-1 accuracy, %"].torchvision == accuracy
    assert efficientnet.PUBLISHED[name].crop_px == META[name].transforms().crop_size[0]


FACTS = {
    "B0: parameters": 5_288_548,
    "B1: parameters": 7_794_184,
    "B2: parameters": 9_109_994,
    "B3: parameters": 12_233_232,
    "B4: parameters": 19_341_616,
    "B5: parameters": 30_389_784,
    "B6: parameters": 43_040_704,
    "B7: parameters": 66_347_960,
    "alpha * beta^2 * gamma^2": "1.920",
    "phi = 7: depth, width, resolution": "3.58, 1.95, 596 px",
    "B0: squeeze-and-excitation, parameters": 636_540,
    "B0: squeeze-and-excitation, % of parameters": "12.0",
    "weight of new batch statistics": 0.01,
}


@pytest.mark.parametrize(("figure", "ours"), FACTS.items())
def test_our_column_has_the_known_figures(figure, ours):
    assert LEDGER[figure].ours == ours


@pytest.mark.parametrize(("short", "gmacs"), [("B0", 0.386), ("B2", 0.994), ("B7", 37.746)])
def test_our_macs_are_at_the_authors_resolution(short, gmacs):
    assert LEDGER[f"{short}: GMACs"].ours == pytest.approx(gmacs, abs=0.0005)


def test_the_papers_flops_are_macs():
    assert LEDGER["B0: GMACs"].paper == "0.39B"
    assert round(LEDGER["B0: GMACs"].ours, 2) == 0.39


def test_b7_is_not_the_seventh_power():
    assert LEDGER["phi = 7: depth, width, resolution"].torchvision == "3.10, 2.00, 600 px"


def test_the_papers_results_name_their_table():
    first, last = (LEDGER[f"{short}: top-1 accuracy, %"] for short in ("B0", "B7"))
    assert (first.paper, last.paper) == (77.1, 84.3)
    assert all(line.source for line in LEDGER.lines if line.paper is not None)
