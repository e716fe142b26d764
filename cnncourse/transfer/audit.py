"""Which tensors of a network moved, and by how much: what "frozen" is checked by."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

STATISTICS = ("running_mean", "running_var")  # of batch normalisation, moved by batches alone
COUNTER = "num_batches_tracked"
HEADINGS = ("part", "parameters moved", "statistics drifted", "counters moved", "largest change")


@dataclass(frozen=True)
class Change:
    """One tensor of a state_dict, before and after."""

    name: str
    kind: str  # "parameter", "statistic" or "counter", by its name
    moved: bool
    largest: float  # change of any number in it; nan where one became so
    relative: float  # norm of the change to the norm before; inf where that was 0


@dataclass(frozen=True)
class Audit:
    """What happened to every tensor, in the order of the state_dict; a table, summed by part."""

    rows: tuple[Change, ...]

    def of(self, kind: str, *, moved: bool = True) -> tuple[str, ...]:
        """Names of the tensors of a kind that moved, or of those that did not."""
        return tuple(row.name for row in self.rows if (row.kind, row.moved) == (kind, moved))

    @property
    def moved(self) -> tuple[str, ...]:
        """Names of the parameters that moved."""
        return self.of("parameter")

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the running means and variances that moved."""
        return self.of("statistic")

    @property
    def counters(self) -> tuple[str, ...]:
        """Names of the counters of batches that moved."""
        return self.of("counter")

    def lines(self) -> list[tuple[str, ...]]:
        """The table: a line for each first part of the names, then the whole."""
        groups: dict[str, list[Change]] = {}
        for row in self.rows:
            groups.setdefault(row.name.partition(".")[0], []).append(row)
        return [*(line(name, rows) for name, rows in groups.items()), line("whole", self.rows)]

    def __str__(self) -> str:
        lines = [HEADINGS, *self.lines()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                word.rjust(width) if number else word.ljust(width)
                for number, (word, width) in enumerate(zip(words, widths, strict=True))
            )
            for words in lines
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{heading}</th>' for heading in HEADINGS)
        body = "".join(html_row(words) for words in self.lines())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def line(name: str, rows: Sequence[Change]) -> tuple[str, ...]:
    """A line of the table: of each kind how many moved, of how many."""
    words = [name]
    for kind in ("parameter", "statistic", "counter"):
        moved = [row.moved for row in rows if row.kind == kind]
        words.append(f"{sum(moved)} of {len(moved)}" if moved else "–")
    largest = [row.largest for row in rows if row.kind != "counter"]
    worst = max(largest, key=lambda value: float("inf") if value != value else value, default=0.0)
    return (*words, f"{worst:.2g}" if worst else "0")


def html_row(words: Sequence[str]) -> str:
    """A line of the table for a notebook; names are text, whatever is in them."""
    name, *rest = (html.escape(word) for word in words)
    cells = "".join(f'<td style="text-align: right">{word}</td>' for word in rest)
    return f'<tr><th scope="row" style="text-align: left">{name}</th>{cells}</tr>'


# --- computed -------------------------------------------------------------------------------------

State = Mapping[str, Tensor] | nn.Module


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of a network's state_dict, on the CPU: what trains later does not move it."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def audit(before: State, after: State) -> Audit:
    """Compare two states, tensor by tensor and number by number; a network stands for its own.

    nan before and after is no change. Raises ValueError where the states are not of one network,
    and where they share memory: a state_dict() that was not copied moves along, and shows nothing.
    """
    first, second = (
        state.state_dict() if isinstance(state, nn.Module) else state for state in (before, after)
    )
    for name in [*first, *second]:
        forms = [form(state, name) for state in (first, second)]
        if forms[0] != forms[1]:
            raise ValueError(
                f"{name}: before {forms[0]}, after {forms[1]}: must be states of one network. "
                "Try: a snapshot after the head was replaced."
            )
        if share_memory(first[name], second[name]):
            raise ValueError(
                f"{name}: before and after share memory, so no change can be seen: state_dict() "
                "copies nothing. Try: before = snapshot(model)."
            )
    return Audit(tuple(change(name, first[name], second[name]) for name in first))


def form(state: Mapping[str, Tensor], name: str) -> str:
    """Shape and type of a tensor in a state, in words."""
    if name not in state:
        return "none"
    return f"{tuple(state[name].shape)} {str(state[name].dtype).removeprefix('torch.')}"


def share_memory(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same numbers in memory."""
    return one.numel() > 0 and one.device == other.device and one.data_ptr() == other.data_ptr()


def change(name: str, before: Tensor, after: Tensor) -> Change:
    """How far one tensor moved."""
    own = name.rpartition(".")[2]
    kind = "counter" if own == COUNTER else "statistic" if own in STATISTICS else "parameter"
    one, other = (tensor.detach().cpu().double() for tensor in (before, after))
    same = (one == other) | (one.isnan() & other.isnan())
    moved = not bool(same.all())
    difference = torch.where(same, torch.zeros_like(one), other - one)
    size, largest = float(one.norm()), float(difference.abs().max()) if moved else 0.0
    relative = float(difference.norm()) / size if size else float("inf") if moved else 0.0
    return Change(name, kind, moved, largest, relative)
