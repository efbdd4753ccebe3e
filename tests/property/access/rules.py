"""The policy rules, evaluated by themselves: what a caller sees of a world, and of which rows.

Nothing of Ducat is used. The rules are those of `semantic/README.md` ("Who sees what"):

- of the policies of a cube or view those match that name a group of the caller and whose conditions
  hold; with none that matches, nothing of it is there;
- a member is there when a matching policy grants it, as it is or masked; a view with policies on
  members decides alone about its members, through any other view the cube's policies decide;
- a member is not there when a guarded cube that its SQL reads has no policy that matches;
- each member that a query uses, or that such a member reads, lets through the rows of any policy that
  grants it, and all hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.property.access.world import Caller, Cube, Member, Policy, View, World


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one world for one caller."""

    world: World
    caller: Caller

    def cube(self, name: str) -> Cube:
        """Return a cube."""
        return next(cube for cube in self.world.cubes if cube.name == name)

    def matching(self, owner: Cube | View) -> list[Policy]:
        """Return the policies that are about the caller."""
        return [
            policy
            for policy in owner.policies
            if (policy.group == "*" or policy.group in self.caller.groups)
            and (policy.needs_boss is None or policy.needs_boss == self.caller.is_boss)
        ]

    def granting(self, owner: Cube | View, name: str) -> tuple[list[Policy], list[Policy]]:
        """Return the policies that grant a member as it is, and those that grant it masked."""
        real: list[Policy] = []
        masked: list[Policy] = []
        for policy in self.matching(owner):
            if policy.includes is not None and name not in policy.includes:
                granted = False
            else:
                granted = policy.excludes is None or name not in policy.excludes
            if granted:
                real.append(policy)
            elif name in policy.masked:
                masked.append(policy)
        return real, masked

    def sees(self, cube: Cube, member: Member) -> bool:
        """Whether a member of a cube is there."""
        return self._is_granted(cube, member.name) and self._opens(cube, member)

    def sees_through(self, view: View, alias: str, cube: Cube, member: Member) -> bool:
        """Whether a member of a view is there."""
        if not self._is_granted(view, alias) or not self._opens(cube, member):
            return False
        decides = any(
            policy.includes is not None or policy.excludes is not None for policy in view.policies
        )
        return decides or self._is_granted(cube, member.name)

    def _is_granted(self, owner: Cube | View, name: str) -> bool:
        return not owner.policies or any(self.granting(owner, name))

    def _opens(self, cube: Cube, member: Member) -> bool:
        read = [cube, *(self.cube(name) for name, _ in member.reads)]
        return all(not item.policies or bool(self.matching(item)) for item in read)

    def mask(self, cube: Cube, member: Member, sql: str) -> str:
        """Return the SQL that shows a member to the caller, `sql` where it shows as it is."""
        real, masked = self.granting(cube, member.name)
        if not masked or member.mask is None:
            return sql
        if not real:
            return member.mask
        conditions = self._any(real)
        if conditions is None:
            return sql
        return f"CASE WHEN {conditions} THEN {sql} ELSE {member.mask} END"

    def rows(self, used: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return for each cube whose rows are guarded in a query the condition on its rows.

        `used` are the members of cubes that the query uses, those behind a view's among them.
        """
        conditions: dict[str, dict[str, None]] = {}
        for owner, name in used:
            cube = self.cube(owner)
            member = next(item for item in cube.members if item.name == name)
            for read, part in [(cube.name, name), *member.reads]:
                letting = self._letting(self.cube(read), part)
                condition = self._any(letting) if letting is not None else None
                if condition is not None:
                    conditions.setdefault(read, {})[condition] = None
        return {
            name: " AND ".join(f"({text})" for text in parts) for name, parts in conditions.items()
        }

    def _letting(self, cube: Cube, name: str) -> list[Policy] | None:
        if not cube.policies:
            return None
        real, masked = self.granting(cube, name)
        return [*real, *masked] or self.matching(cube)

    def _any(self, policies: list[Policy]) -> str | None:
        """Return the condition that one of the policies lets a row through; None: all rows."""
        texts: dict[str, None] = {}
        for policy in policies:
            if policy.rows is None:
                return None
            values = ", ".join(str(level) for level in self.caller.levels)
            texts[policy.rows.sql.replace("{values}", values)] = None
        return " OR ".join(f"({text})" for text in texts) or "false"
