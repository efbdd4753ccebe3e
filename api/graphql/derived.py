"""Measures that a GraphQL query makes: `shift` and `compareTo` are arguments of a measure's field.

    { cube { sales {
        sold_at { month }  amount
        before: amount(shift: "1 month")
        change: amount(compareTo: "previous period", show: change)
    } } }

They are the `shift` and `compare` of the query JSON, with the same meaning; an alias gives the name.
A query compares with one earlier time: fields that name different ones are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLString,
)

from semantic.errors import QuerySyntaxError
from semantic.query.json_derived import read_compare, read_measures
from semantic.query.query import Compare, ShiftedMeasure

_LONGEST: Final = 50
_WAY: Final = GraphQLEnumType(
    "ShiftDirection", {name: GraphQLEnumValue(name) for name in ("prior", "next")}
)
_SHOW: Final = GraphQLEnumType(
    "Comparison",
    {name: GraphQLEnumValue(name) for name in ("previous", "change", "change_percent")},
)
ARGUMENTS: Final = {
    "shift": GraphQLArgument(
        GraphQLString, description="The measure as it was this interval earlier: `1 year`."
    ),
    "direction": GraphQLArgument(_WAY, description="`next`: later, in place of earlier."),
    "compareTo": GraphQLArgument(
        GraphQLString, description="Compare with `1 year` earlier, or with the `previous period`."
    ),
    "show": GraphQLArgument(_SHOW, description="What of the comparison; default `previous`."),
    "timeDimension": GraphQLArgument(
        GraphQLString, description="`cube.member` that is moved; default: the one of the query."
    ),
}
"""The arguments of the field of a measure."""


@dataclass(slots=True)
class Derivations:
    """What the fields of one query make, while they are read."""

    shifted: dict[str, ShiftedMeasure] = field(default_factory=dict)  # by name
    measures: list[str] = field(default_factory=list)  # those that are compared
    shows: list[str] = field(default_factory=list)
    earlier: tuple[str, str | None] | None = None

    def read(self, member: str, arguments: Mapping[str, Any]) -> tuple[str, str]:
        """Return the measure to ask for because of a field, and the column that fills it.

        Raises:
            QuerySyntaxError: the arguments do not go together, or cannot be read.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        shift, earlier = given.get("shift"), given.get("compareTo")
        if (shift is None) == (earlier is None):
            if not given:
                return member, member
            raise QuerySyntaxError(
                f"{member}: a measure is either shifted or compared",
                suggestion='write (shift: "1 year"), or (compareTo: "1 year", show: change)',
            )
        if shift is not None:
            if "show" in given:
                raise QuerySyntaxError(f"{member}: show goes with compareTo")
            return self._shift(member, given)
        if "direction" in given:
            raise QuerySyntaxError(f"{member}: direction goes with shift")
        return self._compare(member, given)

    def compare(self) -> Compare | None:
        """Return what the query compares."""
        if self.earlier is None:
            return None
        to, time = self.earlier
        written: dict[str, Any] = {
            "to": to,
            "measures": list(dict.fromkeys(self.measures)),
            "show": list(dict.fromkeys(self.shows)),
        }
        return read_compare(written | ({} if time is None else {"timeDimension": time}))

    def _shift(self, member: str, given: Mapping[str, Any]) -> tuple[str, str]:
        owner, _, short = member.rpartition(".")
        written = {key: value for key, value in given.items() if key != "compareTo"}
        for known in self.shifted.values():
            name = known.name.rpartition(".")[2]
            (_, (same,)) = read_measures([{"measure": member, "as": name, **written}])
            if same == known:
                return known.name, known.name
        number = len(self.shifted) + 1
        (_, (made,)) = read_measures(
            [{"measure": member, "as": f"{short[:_LONGEST]}__shift{number}", **written}]
        )
        self.shifted[made.name] = made
        return made.name, f"{owner}.{made.name.rpartition('.')[2]}"

    def _compare(self, member: str, given: Mapping[str, Any]) -> tuple[str, str]:
        earlier = (" ".join(given["compareTo"].split()), given.get("timeDimension"))
        if self.earlier not in (None, earlier):
            raise QuerySyntaxError(
                "one query compares with one earlier time",
                suggestion="ask in two `cube` fields, each with an alias, or use shift",
            )
        self.earlier = earlier
        show = given.get("show", "previous")
        self.measures.append(member)
        self.shows.append(show)
        return member, f"{member}__{show}"
