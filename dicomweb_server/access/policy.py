"""What a principal may touch: a policy fixes a Scope, each statement has it in its WHERE."""

from dataclasses import dataclass
from enum import Enum

from dicomweb_server.access.principal import ANONYMOUS, Principal


class Action(Enum):
    """What the caller wants to do; the audit speaks of the same kinds (PS3.15 A.5)."""

    SEARCH = "search"
    RETRIEVE = "retrieve"
    STORE = "store"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Scope:
    """The studies a caller may touch: those of some institutions, or some studies of them.

    `study_instance_uids` None means all. `everything`: there are no other institutions. Outside
    one's scope looks the same as absent. `principal` is on whose behalf, for the audit.
    """

    institution_ids: tuple[int, ...]
    study_instance_uids: tuple[str, ...] | None = None
    principal: str = ANONYMOUS.name
    everything: bool = False

    @property
    def home(self) -> int:
        """The institution into which this caller stores."""
        return self.institution_ids[0]


DEFAULT_INSTITUTION = 1


def decide(principal: Principal, action: Action) -> Scope:
    """The scope of `principal` for `action`: today everything of the one institution."""
    del action
    return Scope((DEFAULT_INSTITUTION,), principal=principal.name)
