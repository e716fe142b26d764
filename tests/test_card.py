import torch

from cnncourse import card, files, weights
from cnncourse.distill import Recipe, asdict
from cnncourse.models.resnet import resnet18

ROW = {"kl": 1.25, "features": 0.5, "images_per_s": 100.0, "probe": 0.5432}
MARKS = {"teacher": 0.6, "untrained": 0.33}


def exported(folder):
    torch.manual_seed(0)
    state = resnet18().state_dict()
    return state, card.export(folder, state, asdict(Recipe()), [ROW, ROW], MARKS, photos=77)


def test_the_file_loads_by_name_with_its_preprocessing_and_is_small(tmp_path):
    state, path = exported(tmp_path)
    assert path.name == weights.KNOWN["resnet18"].of_course
    assert path.stat().st_size <= 24_000_000
    found = weights.load_weights("resnet18", path)
    assert found.preprocess == weights.LITE.at(64)
    for key, tensor in found.model.state_dict().items():
        expected = state[key].half().float() if tensor.ndim > 1 else state[key]
        assert torch.equal(tensor, expected)


def test_the_card_has_what_was_measured_and_used(tmp_path):
    _, path = exported(tmp_path)
    text = path.with_suffix(".md").read_text("utf-8")
    for part in (
        "| **this one** | **0.543** |",
        "| its teacher at 64 px | 0.600 |",
        "| ResNet-18 that knows nothing | 0.330 |",
        "KL divergence in the last round: 1.250.",
        "11,689,512 parameters, 23.4 MB",
        f"SHA-256 {files.sha256(path.read_bytes())}.",
        "crops of 77 photographs, 24,000 at a time, 25,000 in all.",
        "45,000 images of CIFAR-10's training half",
        "38,400 of 1,536,000 images planned",
    ):
        assert part in text
    assert "{" not in text
