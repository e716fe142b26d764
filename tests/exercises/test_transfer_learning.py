from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cnncourse import transfer
from cnncourse.exercises import compiled
from cnncourse.exercises.transfer_learning import AUDIT, PREPARE, RATES, TWINS, small
from cnncourse.models.resnet import BasicBlock, ResNet, resnet18


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


# --- the line that freezes too much ---------------------------------------------------------------


def test_a_resnet_is_prepared_and_only_its_head_trains():
    model = solution(PREPARE)(resnet18(num_classes=10), 3)
    named = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert named == ["fc.weight", "fc.bias"]
    assert model.fc.out_features == 3


def test_the_faulty_function_gives_no_gradient_to_anything():
    faulty = compiled(PREPARE.stub, "prepare")
    assert PREPARE.run(faulty, 0) == (["no parameter gets a gradient"], (4, 2), [])


def test_the_packages_way_to_prepare_is_right_too():
    def prepare(model, num_classes):
        name = transfer.replace_head(model, num_classes)
        transfer.freeze(model, until=name)
        return model

    assert PREPARE.check(prepare).kind == "right"


def test_naming_what_is_frozen_is_right_too():
    def prepare(model, num_classes):
        model.requires_grad_(False)
        model.fc = nn.Linear(model.fc.in_features, num_classes)
        return model

    assert PREPARE.check(prepare).kind == "right"


def test_setting_the_modules_own_attribute_freezes_nothing_and_is_wrong():
    def prepare(model, num_classes):
        model.requires_grad = False  # of a module that is just an attribute
        model.fc = nn.Linear(model.fc.in_features, num_classes)
        return model

    told = PREPARE.check(prepare)
    assert told.kind == "wrong"
    assert told.text.startswith("Nothing is frozen now")


def test_statistics_of_batch_normalisation_made_anew_are_lost_knowledge():
    def prepare(model, num_classes):
        for block in model.blocks:
            block[1] = nn.BatchNorm2d(block[1].num_features)
        model.requires_grad_(False)
        model.fc = nn.Linear(model.fc.in_features, num_classes)
        return model

    told = PREPARE.check(prepare)
    assert told.kind == "wrong"
    assert "['blocks.0.1.weight', 'blocks.0.1.bias', 'blocks.0.1.running_mean'" in told.text


# --- auditing a difference ------------------------------------------------------------------------


def test_an_audit_agrees_with_the_packages():
    for number in range(AUDIT.cases):
        before, after = AUDIT.case(number)
        found = transfer.audit(before, after)
        assert solution(AUDIT)(before, after) == ([*found.moved], [*found.drifted])


def test_the_cases_have_each_kind_of_change_and_changes_that_cancel():
    cases = [AUDIT.case(number) for number in range(AUDIT.cases)]
    audits = [transfer.audit(before, after) for before, after in cases]
    assert any(not audit.moved and audit.drifted for audit in audits)
    assert any(audit.counters and not audit.drifted and not audit.moved for audit in audits)
    cancelled = [
        name
        for before, after in cases
        for name in before
        if not torch.equal(before[name], after[name])
        and abs(float((after[name] - before[name]).sum())) < 1e-6
    ]
    assert cancelled


def test_a_change_of_the_last_digits_is_one_too():
    def moved(before, after):
        changed = [name for name in before if not torch.allclose(before[name], after[name])]
        changed = [name for name in changed if not name.endswith("num_batches_tracked")]
        statistics = [name for name in changed if "running_" in name]
        return [name for name in changed if name not in statistics], statistics

    told = AUDIT.check(moved)
    assert told.text.startswith("Small changes pass as none.")


# --- rates by depth -------------------------------------------------------------------------------


@settings(max_examples=20)
@given(lr=st.floats(1e-3, 1), decay=st.floats(0.1, 1), frozen=st.integers(0, 2))
def test_the_rates_are_the_packages_in_its_reverse_order(lr, decay, frozen):
    model = ResNet(partial(BasicBlock, shortcut="B"), (1, 1), (4, 8), num_classes=3)
    names = transfer.parts(model)
    transfer.freeze(model, until=names[frozen])
    parts = [model.get_submodule(name) for name in names]
    found = solution(RATES)(parts, lr, decay)
    expected = transfer.parameter_groups(model, lr=lr, decay=decay)[::-1]
    assert [group["lr"] for group in found] == [group["lr"] for group in expected]
    for one, other in zip(found, expected, strict=True):
        own = {id(parameter) for parameter in one["params"]}
        assert own <= {id(parameter) for parameter in other["params"]}  # the stem's norm is beside


def test_some_parts_are_frozen_whole_and_some_heads_in_part():
    cases = [RATES.case(number)[0] for number in range(RATES.cases)]
    whole = [
        any(not any(p.requires_grad for p in m.parameters()) for m in parts) for parts in cases
    ]
    assert 0 < sum(whole) < len(cases)
    assert any(not parts[-1].bias.requires_grad for parts in cases)


def test_a_part_between_two_that_train_is_frozen_in_some_cases():
    """Without such a case, counting only the parts that train would pass."""

    def groups(parts, lr, decay):
        live = [part for part in parts if any(p.requires_grad for p in part.parameters())]
        return solution(RATES)(live, lr, decay)

    assert RATES.check(groups).text.startswith("A frozen part is no step in yours")


def test_tuples_of_parameters_and_sgds_own_keys_are_right_too():
    def groups(parts, lr, decay):
        rate, found = lr, []
        for part in reversed(parts):
            trained = tuple(p for p in part.parameters() if p.requires_grad)
            found = [{"params": trained, "lr": rate, "momentum": 0.9}, *found] if trained else found
            rate *= decay
        return found

    assert RATES.check(groups).kind == "right"


# --- the picture that is in both ------------------------------------------------------------------


@settings(max_examples=20)
@given(seed=st.integers(0, 999), planted=st.sets(st.tuples(st.integers(0, 4), st.integers(0, 3))))
def test_twins_that_were_planted_are_found_and_nothing_else(seed, planted):
    draw = torch.Generator().manual_seed(seed)
    train, test = torch.rand(5, 3, 4, 4, generator=draw), torch.rand(4, 3, 4, 4, generator=draw)
    chosen = {j: i for i, j in sorted(planted)}  # a test picture has one twin
    for j, i in chosen.items():
        test[j] = train[i].flip(-1) if (i + j) % 2 else train[i]
    assert solution(TWINS)(train, test) == sorted((i, j) for j, i in chosen.items())


def test_twins_found_all_at_once_are_right_too():
    def twins(train, test):
        both = torch.stack([train, train.flip(-1)])
        same = (both[:, :, None] == test).flatten(3).all(dim=3).any(dim=0)
        return [tuple(pair) for pair in same.nonzero().tolist()]

    assert TWINS.check(twins).kind == "right"


@pytest.mark.parametrize(
    "alike",
    [
        lambda one, other: bool((one == other).any()),
        lambda one, other: torch.allclose(one, other, atol=0.01),
        lambda one, other: torch.equal(one.sort().values, other.sort().values),
        lambda one, other: torch.equal(one[..., :-1], other[..., :-1]),
        lambda one, other: torch.equal(one.flatten().sort().values, other.flatten().sort().values),
    ],
)
def test_pictures_that_are_only_alike_are_no_twins(alike):
    def twins(train, test):
        pairs = [(i, j) for i in range(len(train)) for j in range(len(test))]
        return [
            (i, j)
            for i, j in pairs
            if alike(train[i], test[j]) or alike(train[i].flip(-1), test[j])
        ]

    assert TWINS.check(twins).kind == "wrong"


def test_most_cases_have_twins_and_some_have_none():
    found = [len(solution(TWINS)(*TWINS.case(number))) for number in range(TWINS.cases)]
    assert 0 in found
    assert sum(count > 1 for count in found) >= 4


def test_the_small_network_is_the_same_whenever_it_is_asked_for():
    torch.manual_seed(1)
    one = small(4).state_dict()
    torch.manual_seed(2)
    other = small(4).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
