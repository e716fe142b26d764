"""Transfer: what a network learned on many pictures, put to use where there are few.

Freeze it up to a part (parameters and statistics), give it a head of its own, and train that, on
features computed once, or more of the network with small rates; then audit what moved.
"""

from cnncourse.transfer.audit import Audit, audit, snapshot
from cnncourse.transfer.features import Features, features
from cnncourse.transfer.freezing import freeze, is_frozen
from cnncourse.transfer.groups import parameter_groups
from cnncourse.transfer.heads import head_name, replace_head
from cnncourse.transfer.parts import parts
from cnncourse.transfer.probing import train_head

__all__ = [
    "Audit",
    "Features",
    "audit",
    "features",
    "freeze",
    "head_name",
    "is_frozen",
    "parameter_groups",
    "parts",
    "replace_head",
    "snapshot",
    "train_head",
]
