"""Alerts on measures, linked: every member exists, and is named as queries name it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, cast

from semantic.catalog.catalog import (
    Cube,
    FilterTerm,
    FilterTree,
    MemberReference,
    ModelFilter,
    View,
)
from semantic.errors import Problem, Span, suggest
from semantic.spec.alerts import AlertSpec, Rule
from semantic.spec.cube import CubeSpec, FilterTreeSpec, MeasureSpec, ModelFilterSpec
from semantic.spec.reader import Text

Severity = Literal["info", "warning", "critical"]
_NO_NUMBERS: Final = frozenset({"string", "time", "boolean"})


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert. Members are `cube.member`, or `view.member` when it asks through a view.

    `key` is unique in the model: cube.measure.name. Periods are those of `granularity` on the wall
    clock of `timezone`; one is judged when it ended `delay` ago, by the clock or (`as_of: data`) by
    the newest event in the served table.
    """

    key: str
    name: str
    title: str
    description: str | None
    measure: str
    measure_title: str
    format: str | None
    time_dimension: str
    granularity: str
    rule: Rule
    dimensions: tuple[str, ...]
    filters: tuple[ModelFilter, ...]
    timezone: str
    as_of: Literal["now", "data"]
    delay: timedelta
    cooldown: timedelta
    missing: bool
    severity: Severity
    owners: tuple[str, ...]
    receivers: tuple[str, ...]
    groups: tuple[str, ...]
    link: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where the members of an alert are looked up: the measure's cube, or a view."""

    name: str
    kinds: Mapping[str, str]
    times: frozenset[str]
    problems: list[Problem]

    def find(self, text: Text, kind: str) -> str | None:
        """Return the full name of a member, or None after saying why not."""
        owner, _, name = text.value.rpartition(".")
        if owner in {"", "CUBE", self.name} and self.kinds.get(name) == kind:
            return f"{self.name}.{name}"
        near = [member for member, its in self.kinds.items() if its == kind]
        self.problems.append(
            Problem(
                "unknown_reference",
                f"{self.name} has no {kind} `{text.value[:60]}`",
                text.span,
                suggest(name, near) or "for members of other cubes give the alert a `view`",
            )
        )
        return None


def link_alerts(
    specs: Iterable[CubeSpec],
    cubes: Mapping[str, Cube],
    views: Mapping[str, View],
    problems: list[Problem],
) -> tuple[Alert, ...]:
    """Return the alerts of all measures; what is wrong is added to `problems`."""
    found = [
        _link(alert, measure, cubes[spec.name], cubes, views, problems)
        for spec in specs
        for measure in spec.measures
        for alert in measure.alerts
        if spec.name in cubes and measure.name in cubes[spec.name].measures
    ]
    return tuple(alert for alert in found if alert is not None)


def _link(
    spec: AlertSpec,
    measure: MeasureSpec,
    cube: Cube,
    cubes: Mapping[str, Cube],
    views: Mapping[str, View],
    problems: list[Problem],
) -> Alert | None:
    known = cube.measures[measure.name]
    if known.type in _NO_NUMBERS:
        problems.append(
            Problem("invalid_value", f"`{measure.name}` is no number: it has no alerts", spec.span)
        )
    if spec.view is None:
        scope, name = _scope_of_cube(cube, problems), measure.name
    else:
        view = views.get(spec.view.value)
        if view is None:
            problems.append(
                Problem(
                    "unknown_reference",
                    f"there is no view `{spec.view.value}`",
                    spec.view.span,
                    suggest(spec.view.value, views),
                )
            )
            return None
        shown = [
            item.name
            for item in view.members.values()
            if (item.kind, item.cube, item.member) == ("measure", cube.name, measure.name)
        ]
        if not shown:
            problems.append(
                Problem(
                    "unknown_reference",
                    f"view `{view.name}` does not show {cube.name}.{measure.name}",
                    spec.view.span,
                )
            )
            return None
        scope, name = _scope_of_view(view, cubes, problems), shown[0]
    time = _find_time(spec.time_dimension, scope)
    dimensions = [scope.find(text, "dimension") for text in spec.dimensions]
    filters = [_link_filter(item, scope) for item in spec.filters]
    if time is None:
        return None
    return Alert(
        key=f"{cube.name}.{measure.name}.{spec.name}",
        name=spec.name,
        title=spec.title or f"{known.short_title}: {spec.name.replace('_', ' ')}",
        description=spec.description or known.description,
        measure=f"{scope.name}.{name}",
        measure_title=known.short_title,
        format=known.format,
        time_dimension=time,
        granularity=spec.granularity,
        rule=spec.rule,
        dimensions=tuple(dict.fromkeys(item for item in dimensions if item is not None)),
        filters=tuple(item for item in filters if item is not None),
        timezone=spec.timezone,
        as_of=cast("Literal['now', 'data']", spec.as_of),
        delay=spec.delay,
        cooldown=spec.cooldown,
        missing=spec.missing,
        severity=cast("Severity", spec.severity),
        owners=spec.owners or _list_owners(known.meta) or _list_owners(cube.meta),
        receivers=spec.receivers,
        groups=spec.groups,
        link=spec.link,
        span=spec.span,
    )


def _scope_of_cube(cube: Cube, problems: list[Problem]) -> _Scope:
    kinds = dict.fromkeys(cube.dimensions, "dimension") | dict.fromkeys(cube.measures, "measure")
    times = frozenset(name for name, item in cube.dimensions.items() if item.type == "time")
    return _Scope(cube.name, kinds, times, problems)


def _scope_of_view(view: View, cubes: Mapping[str, Cube], problems: list[Problem]) -> _Scope:
    times = frozenset(
        name
        for name, item in view.members.items()
        if item.kind == "dimension" and cubes[item.cube].dimensions[item.member].type == "time"
    )
    return _Scope(
        view.name, {name: item.kind for name, item in view.members.items()}, times, problems
    )


def _find_time(text: Text, scope: _Scope) -> str | None:
    found = scope.find(text, "dimension")
    if found is not None and found.rpartition(".")[2] not in scope.times:
        scope.problems.append(
            Problem(
                "invalid_reference",
                f"`{text.value[:60]}` is no time dimension",
                text.span,
                suggest(text.value, scope.times),
            )
        )
        return None
    return found


def _link_filter(spec: ModelFilterSpec, scope: _Scope) -> ModelFilter | None:
    if isinstance(spec, FilterTreeSpec):
        parts = [_link_filter(part, scope) for part in spec.parts]
        return FilterTree(
            cast("Literal['and', 'or']", spec.word),
            tuple(part for part in parts if part is not None),
        )
    found = scope.find(spec.member, "dimension")
    if found is None:
        return None
    return FilterTerm(
        MemberReference(scope.name, found.rpartition(".")[2]), spec.operator, spec.values
    )


def _list_owners(meta: Mapping[str, Any]) -> tuple[str, ...]:
    owner = meta.get("owner")
    return (owner,) if isinstance(owner, str) and owner else ()
