"""What somebody changed in Superset since it was published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dashboards.assets import Assets

# Superset's own numbers and caches of them: they differ between installations.
_VOLATILE: Final = frozenset(
    {
        "chartId",
        "chartsInScope",
        "chart_configuration",
        "dashboards",
        "datasource",
        "excluded",
        "id",
        "map_label_colors",
        "query_context",
        "slice_id",
        "sqlalchemy_uri",
        "tabsInScope",
        "timestamp",
    }
)
# Where people put things in the interface, every key counts; elsewhere Superset adds its defaults.
_WHOLE: Final = frozenset({"params", "position"})
_NAMES: Final = ("metric_name", "column_name")
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: the file, the place in it, and the two values."""

    path: str
    key: str
    here: str
    superset: str

    def __str__(self) -> str:
        return f"{self.path}: {self.key}: {self.here} here, {self.superset} in Superset"


def compare(assets: Assets, superset: Mapping[str, Mapping[str, Any]]) -> tuple[Change, ...]:
    """Return in what Superset differs from the assets, in order of file.

    `superset` is its export by UUID. What exists only there is a person's own work, no difference.
    """
    changes: list[Change] = []
    for kind in ("databases", "datasets", "charts", "dashboards"):
        for asset in assets.files:
            if asset.kind != kind:
                continue
            if asset.uuid not in superset:
                changes.append(Change(asset.path, asset.title, "is", "is not"))
                continue
            for key, here in asset.content.items():
                there = superset[asset.uuid].get(key)
                whole = key in _WHOLE
                changes.extend(
                    Change(asset.path, place, _show(one), _show(other))
                    for place, one, other in _differences(key, here, there, whole=whole)
                )
    return tuple(changes)


def pull(assets: Assets, superset: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the files that take over what was changed in Superset: content by path.

    Charts and dashboards only: the datasets come from the model, and the database is ours to say.
    """
    changed = {change.path for change in compare(assets, superset)}
    return {
        asset.path: _renumber(
            {key: _clean(superset[asset.uuid].get(key)) for key in asset.content},
            _chart_numbers(asset.content),
        )
        for asset in assets.files
        if asset.path in changed
        and asset.kind in {"charts", "dashboards"}
        and asset.uuid in superset
    }


def _chart_numbers(dashboard: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of each chart inside a dashboard's file, by UUID; {} for a chart."""
    metas = [
        item["meta"]
        for item in (dashboard.get("position") or {}).values()
        if isinstance(item, Mapping) and item.get("type") == "CHART"
    ]
    return {str(meta["uuid"]): int(meta["chartId"]) for meta in metas}


def _renumber(content: dict[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    """Give the charts of a dashboard the numbers that they have in the file, new ones the next."""
    theirs = _chart_numbers(content)
    ours = dict(numbers)
    for uuid in theirs:
        ours.setdefault(uuid, max(ours.values(), default=0) + 1)
    renamed = {theirs[uuid]: ours[uuid] for uuid in theirs}

    def walk(value: Any, key: str = "") -> Any:
        match value:
            case Mapping():
                return {name: walk(item, name) for name, item in value.items()}
            case list():
                return [walk(item, key) for item in value]
            case int() if key in {"chartId", "excluded"}:
                return renamed.get(value, value)
            case _:
                return value

    return {key: walk(value, key) for key, value in content.items()}


def _clean(value: Any) -> Any:
    """Return a value without what belongs to one installation.

    Numbers that refer to each other inside a dashboard stay.
    """
    match value:
        case Mapping():
            return {
                key: _clean(item)
                for key, item in value.items()
                if key not in _VOLATILE - {"chartId", "excluded", "id"}
            }
        case list():
            return [_clean(item) for item in value]
        case _:
            return value


def _differences(
    place: str, here: Any, there: Any, *, whole: bool
) -> Iterator[tuple[str, Any, Any]]:
    if place.rpartition(".")[2] in _VOLATILE:
        return
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        keys = list(here) + [key for key in there if whole and key not in here]
        for key in keys:
            yield from _differences(
                f"{place}.{key}", here.get(key, _MISSING), there.get(key, _MISSING), whole=whole
            )
        return
    if isinstance(here, list) and isinstance(there, list):
        if place in {"metrics", "columns"}:
            yield from _differences(place, _by_name(here), _by_name(there), whole=whole)
            return
        if len(here) == len(there):
            for number, (one, other) in enumerate(zip(here, there, strict=True)):
                yield from _differences(f"{place}.{number}", one, other, whole=whole)
            return
    if here != there and not (_is_nothing(here) and _is_nothing(there)):
        yield place, here, there


def _by_name(items: list[Any]) -> dict[str, Any]:
    return {
        str(next((item[name] for name in _NAMES if name in item), number)): item
        for number, item in enumerate(items)
    }


def _is_nothing(value: Any) -> bool:
    return value is _MISSING or value is None or value in ("", [], {})


def _show(value: Any) -> str:
    return "nothing" if value is _MISSING else repr(value)
