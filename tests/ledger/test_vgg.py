import pytest
import torchvision

from cnncourse.ledger import vgg


@pytest.fixture(scope="module")
def ledger():
    return vgg.ledger()


FIGURES = {
    "parameters, column A": 132_863_336,
    "parameters, column B": 133_047_848,
    "parameters, column C": 133_638_952,
    "parameters, column D": 138_357_544,
    "parameters, column E": 143_667_240,
    "MACs in 10⁹, column A": 7.609,
    "MACs in 10⁹, column B": 11.308,
    "MACs in 10⁹, column D": 15.470,
    "MACs in 10⁹, column E": 19.632,
    "parameters of D's full connections": 123_642_856,
    "their share of D's parameters, %": 89.36,
    "their share of D's MACs, %": 0.80,
    "values held in a forward pass of D": 15_237_608,
    "the same in MiB, float32": 58.1,
    "receptive field of D's last map, px": 212,
    "receptive field of E's last map, px": 268,
    "weights, three 3x3 for one 7x7": "27C² for 49C²",
    "the 7x7 has": "81 % more",
}


@pytest.mark.parametrize(("figure", "value"), FIGURES.items())
def test_what_is_computed_is_what_is_known(figure, value, ledger):
    line = ledger[figure]
    assert line.ours == value
    assert line.torchvision in (value, None)


@pytest.mark.parametrize("column", vgg.COLUMNS)
def test_the_papers_millions_are_ours_rounded(column, ledger):
    line = ledger[f"parameters, column {column}"]
    assert line.paper == f"{round(line.ours / 1e6)} million"


@pytest.mark.parametrize("column", ["A", "B", "D", "E"])
def test_torchvisions_figures_are_its_own(column, ledger):
    name = vgg.COLUMNS[column][1]
    meta = torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta
    assert ledger[f"parameters, column {column}"].torchvision == meta["num_params"]
    assert ledger[f"MACs in 10⁹, column {column}"].torchvision == meta["_ops"]


@pytest.mark.parametrize("name", vgg.ACCURACY)
def test_torchvisions_accuracies_are_those_of_its_weights(name):
    meta = torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta
    known = meta["_metrics"]["ImageNet-1K"]
    assert vgg.ACCURACY[name] == (known["acc@1"], known["acc@5"])


def test_column_c_and_batch_norm_stand_alone(ledger):
    assert ledger["parameters, column C"].torchvision is None
    assert ledger["parameters, column D with batch norm"].torchvision == 138_365_992
    assert ledger["top-1 / top-5 error, column C, %"].torchvision is None


def test_errors_are_what_accuracies_leave(ledger):
    assert ledger["top-1 / top-5 error, column D, %"].torchvision == "28.41 / 9.62"


def test_weights_start_as_he_et_al_say(ledger):
    line = ledger["standard deviation of fresh weights"]
    assert line.torchvision == "0.059 (64 channels) to 0.021 (512)"


def test_every_figure_is_there_once_and_every_quoted_one_has_its_source(ledger):
    assert len({line.figure for line in ledger.lines}) == len(ledger.lines)
    assert all(line.source for line in ledger.lines if line.paper is not None)
