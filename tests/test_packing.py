import copy
import json
import random

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from cnncourse import files, packing


def trained(**changed) -> packing.Trained:
    """A model, Adam and one cycle, after two steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=9)
    for _ in range(2):
        model(torch.rand(5, 1, 2, 2)).sum().backward()
        optimizer.step()
        schedule.step()
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule} | changed
    return packing.Trained(**parts)


ROW = {"train_loss": 0.5}
FACTS = {"configuration": {"seed": 0}, "history": [{"epoch": 1} | ROW, {"epoch": 2} | ROW]}


def state(parts: packing.Trained) -> list:
    """Everything that a checkpoint puts back, copied."""
    found = parts.optimizer.state_dict()
    return copy.deepcopy(
        [
            {name: value.tolist() for name, value in parts.model.state_dict().items()},
            json.dumps(found["param_groups"]),  # a pair of betas may come back as a list
            {
                (index, name): value.tolist()
                for index, values in found["state"].items()
                for name, value in values.items()
            },
            parts.schedule.state_dict(),
        ]
    )


def test_what_is_packed_is_put_back():
    one, other = trained(), trained()
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.zero_()
    other.optimizer.state.clear()
    other.schedule.step()
    tensors, facts = packing.unpack(packing.pack(one, FACTS))
    packing.check(other, tensors, facts, epochs=2)
    packing.restore(other, tensors, facts)
    assert state(other) == state(one)
    assert facts["history"] == FACTS["history"]


def test_a_scaler_is_put_back():
    one = trained(scaler=torch.amp.GradScaler("cpu", init_scale=8.0))
    one.scaler.scale(torch.ones(1))  # makes its numbers
    other = trained(scaler=torch.amp.GradScaler("cpu", init_scale=2.0))
    tensors, facts = packing.unpack(packing.pack(one, FACTS))
    packing.check(other, tensors, facts, epochs=2)
    packing.restore(other, tensors, facts)
    assert other.scaler.get_scale() == 8.0
    with pytest.raises(files.DamagedFile):
        packing.check(trained(), tensors, facts, epochs=2)


# What a file can be, and its SHA-256 be right: edited, of another run, of another epoch.


def a_name(tensors, facts, draw):
    name = draw.choice(sorted(tensors))
    tensors[name + "x"] = tensors.pop(name)


def a_tensor_less(tensors, facts, draw):
    del tensors[draw.choice(sorted(tensors))]


def a_tensor_more(tensors, facts, draw):
    tensors[draw.choice(["model.9.weight", "optimizer.77.exp_avg", "x"])] = torch.zeros(2)


def a_shape(tensors, facts, draw):
    name = draw.choice(sorted(name for name in tensors if tensors[name].ndim))
    tensors[name] = torch.stack([tensors[name], tensors[name]])


def a_type(tensors, facts, draw):
    name = draw.choice(sorted(tensors))
    tensors[name] = tensors[name].to(draw.choice([torch.float64, torch.int32, torch.bool]))


def a_shape_told_too(tensors, facts, draw):
    a_shape(tensors, facts, draw)
    facts["forms"] = packing.forms(tensors)


def a_fact_less(tensors, facts, draw):
    del facts[draw.choice(sorted(facts))]


def a_fact_of_another_kind(tensors, facts, draw):
    facts[draw.choice(sorted(facts))] = draw.choice([7, "x", [1], {"a": 1}])


def a_row(tensors, facts, draw):
    facts["history"] = draw.choice([facts["history"][:1], facts["history"] * 2, [], [3, 4]])


def a_group(tensors, facts, draw):
    group = facts["groups"][0]
    draw.choice([lambda: group.pop("lr"), lambda: group["params"].pop()])()


def a_schedule(tensors, facts, draw):
    facts["schedule"].pop(draw.choice(sorted(facts["schedule"])))


EDITS = [
    a_name, a_tensor_less, a_tensor_more, a_shape, a_type, a_shape_told_too, a_fact_less,
    a_fact_of_another_kind, a_row, a_group, a_schedule,
]  # fmt: skip


def edited(content: bytes, edit, draw: random.Random) -> bytes:
    """The bytes of a checkpoint with one thing changed in its parts."""
    tensors, facts = packing.unpack(content)
    edit(tensors, facts, draw)
    return save(tensors, metadata={packing.METADATA: json.dumps(facts)})


def scrambled(content: bytes, draw: random.Random) -> bytes:
    """One byte of the header changed, cut, or put in."""
    length = int.from_bytes(content[:8], "little")
    at, byte = draw.randrange(8, 8 + length), bytes([draw.randrange(256)])
    return draw.choice(
        [content[:at] + byte + content[at + 1 :], content[:at], content[:at] + byte + content[at:]]
    )


def test_200_edited_checkpoints_are_called_damaged_before_anything_is_put_back(tell):
    content, draw = packing.pack(trained(), FACTS), random.Random(0)
    parts = trained()
    before, noticed = state(parts), 0
    for number in range(220):
        edit = EDITS[number % len(EDITS)]
        try:
            tensors, facts = packing.unpack(edited(content, edit, draw))
            packing.check(parts, tensors, facts, epochs=2)
        except files.DamagedFile:
            noticed += 1
        else:
            assert facts["configuration"] != FACTS["configuration"], edit  # another run's: `Run`
            noticed += 1
    assert noticed == 220
    assert state(parts) == before
    tell(f"edited checkpoints noticed, their SHA-256 right: {noticed} of 220")


def test_200_scrambled_headers_give_no_other_error_and_no_other_weights():
    """Some bytes are of no matter, such as a digit of a loss: then the weights are right."""
    content, draw = packing.pack(trained(), FACTS), random.Random(0)
    parts, right, noticed = trained(), load(content), 0
    for _ in range(200):
        try:
            tensors, facts = packing.unpack(scrambled(content, draw))
            packing.check(parts, tensors, facts, epochs=2)
        except files.DamagedFile:
            noticed += 1
        else:
            assert all(torch.equal(tensors[name], right[name]) for name in right)
    assert noticed > 100


def test_bytes_that_are_no_checkpoint_are_called_damaged():
    for content in (b"", b"0" * 100, save({"a": torch.zeros(2)})):
        with pytest.raises(files.DamagedFile):
            packing.unpack(content)


def test_pairs_of_keys_that_are_no_text_come_back():
    value = {"milestones": {4: 2, 9: 1}, "steps": [1, {"a": (2, 3)}]}
    assert packing.unpaired(json.loads(json.dumps(packing.paired(value)))) == {
        "milestones": {4: 2, 9: 1},
        "steps": [1, {"a": [2, 3]}],
    }
