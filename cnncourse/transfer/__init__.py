"""Transfer: what a network learned on many pictures, put to use where there are few.

Freeze it up to a part (parameters and statistics), give it a head of its own, and train that, on
features computed once, or more of the network with small rates; then audit what moved.
"""

from cnncourse.transfer.audit import Audit, audit, snapshot
from cnncourse.transfer.features import Features, features
from cnncourse.transfer.fine_tuning import Stage, fine_tune
from cnncourse.transfer.freezing import freeze, is_frozen
from cnncourse.transfer.groups import parameter_groups
from cnncourse.transfer.heads import head_name, replace_head
from cnncourse.transfer.memory import Memory, check_memory, free_memory, memory_estimate
from cnncourse.transfer.parts import parts
from cnncourse.transfer.probing import train_head

__all__ = [
    "Audit",
    "Features",
    "Memory",
    "Stage",
    "audit",
    "check_memory",
    "features",
    "fine_tune",
    "free_memory",
    "freeze",
    "head_name",
    "is_frozen",
    "memory_estimate",
    "parameter_groups",
    "parts",
    "replace_head",
    "snapshot",
    "train_head",
]
