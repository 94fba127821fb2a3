"""Everything in this process's memory: for tests, for trying things out, and as the measure of other repositories.

What is here is gone with the process, and another process does not see it: keep real users' passkeys in SQL.

`tables` has what is kept, and the one lock that guards all of it. `ceremonies`, `passkeys`, `devices`, `actions`,
`events` and `tenancy` have the methods of one protocol or two each; `synchronous` and `asynchronous` put them together.
"""

from .asynchronous import AsyncMemoryRepository
from .synchronous import MemoryRepository

__all__ = ["AsyncMemoryRepository", "MemoryRepository"]
