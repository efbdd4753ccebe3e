"""Questions drawn from the building blocks, the same ones in each run, with their SQL by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.matrix.blocks import BOOKINGS, ENTRIES, FLIGHTS, Subject
from tests.matrix.question import Question

SEED: Final = 20241027
SHARES: Final = ((ENTRIES, 96), (BOOKINGS, 20), (FLIGHTS, 38))


@dataclass(slots=True)
class Draft:
    """A query in both spellings while it is drawn: the JSON, and the parts of a SELECT."""

    document: dict[str, Any]
    keys: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    where: list[str] = field(default_factory=list)
    having: list[str] = field(default_factory=list)
    tail: str = ""

    def write(self, subject: Subject) -> str:
        """Return the SELECT."""
        text = f"SELECT {', '.join([*self.keys, *self.values])} FROM {subject.tables}"
        if self.where:
            text += f" WHERE {' AND '.join(self.where)}"
        if self.keys:
            text += f" GROUP BY {', '.join(str(place + 1) for place in range(len(self.keys)))}"
        if self.having:
            text += f" HAVING {' AND '.join(self.having)}"
        zone = self.document.get("timezone", "UTC")
        return (text + self.tail).replace("{zone}", zone)


def draw_questions() -> list[Question]:
    """Return the questions; each block that a subject has is in one of its own first."""
    random = Random(SEED)
    questions = []
    for subject, share in SHARES:
        forced = _list_blocks(subject)
        for number in range(share):
            block = next(forced, None)
            questions.append(_draw(random, subject, f"{subject.name}_{number:03}", block))
        left = list(forced)
        assert not left, f"{subject.name} has {len(left)} more blocks than questions"
    return questions


Block = tuple[str, Any]


def _list_blocks(subject: Subject) -> Iterator[Block]:
    yield from (("measure", name) for name in subject.measures)
    yield from (("dimension", name) for name in subject.dimensions)
    for name, (_, cuts) in subject.times.items():
        yield from (("cut", (name, cut)) for cut in cuts)
    yield from (("range", item) for item in subject.ranges)
    yield from (("filter", item) for item in subject.filters)
    yield from (("having", item) for item in subject.having)
    yield from (("segment", name) for name in subject.segments)


def _draw(random: Random, subject: Subject, name: str, block: Block | None) -> Question:
    kind: str
    forced: Any
    kind, forced = block or ("", None)
    draft = Draft({})
    _add_members(random, subject, draft, kind, forced)
    zone = random.choice(subject.zones)
    if zone != "UTC":
        draft.document["timezone"] = zone
    if kind in {"cut", "range"} or random.random() < 0.35:
        _add_time(random, subject, draft, kind, forced)
    filters = random.sample(subject.filters, random.choice((0, 0, 0, 1)))
    if kind == "filter":
        filters = [forced, *(item for item in filters if item != forced)]
    _add_filters(random, subject, draft, filters)
    if kind == "having" or random.random() < 0.08:
        _add_having(subject, draft, forced if kind == "having" else subject.having[0])
    if kind == "segment" or random.random() < 0.08:
        segment = forced if kind == "segment" else next(iter(subject.segments))
        draft.document["segments"] = [f"{subject.name}.{segment}"]
        draft.where.append(subject.segments[segment])
    ordered = bool(draft.keys) and random.random() < 0.4
    if ordered:
        _add_order(random, draft)
    if random.random() < 0.1:
        draft.document["total"] = True
    return Question(name, draft.document, draft.write(subject), ordered)


def _add_members(random: Random, subject: Subject, draft: Draft, kind: str, forced: Any) -> None:
    owner = subject.name
    chosen = random.sample([*subject.measures], random.choice((1, 1, 2, 3)))
    measures = list(dict.fromkeys([*([forced] if kind == "measure" else []), *chosen]))
    draft.document["measures"] = [f"{owner}.{item}" for item in measures]
    draft.values = [subject.measures[item] for item in measures]
    dimensions = random.sample([*subject.dimensions], random.choice((0, 1, 1, 2)))
    if kind == "dimension" and forced not in dimensions:
        dimensions = [forced, *dimensions[:1]]
    if dimensions:
        draft.document["dimensions"] = [f"{owner}.{item}" for item in dimensions]
        draft.keys = [subject.dimensions[item] for item in dimensions]


def _add_having(
    subject: Subject, draft: Draft, chosen: tuple[str, str, tuple[str, ...], str]
) -> None:
    short, operator, values, text = chosen
    member = f"{subject.name}.{short}"
    written = {"member": member, "operator": operator}
    document = written | ({"values": list(values)} if values else {})
    draft.document.setdefault("filters", []).append(document)
    if member not in draft.document["measures"]:
        draft.document["measures"].append(member)
        draft.values.append(subject.measures[short])
    draft.having.append(text)


def _add_time(random: Random, subject: Subject, draft: Draft, kind: str, forced: Any) -> None:
    name, cut = forced if kind == "cut" else _pick_cut(random, subject)
    if kind == "range":
        name = next(iter(subject.times))
        cut = random.choice([*subject.times[name][1]])
    local, cuts = subject.times[name]
    item: dict[str, Any] = {"dimension": f"{subject.name}.{name}"}
    if kind != "range" or random.random() < 0.6:
        item["granularity"] = cut
        draft.keys.append(cuts[cut].replace("{time}", local))
    if kind == "range" or (name == next(iter(subject.times)) and random.random() < 0.3):
        written, start, end = forced if kind == "range" else random.choice(subject.ranges)
        item["dateRange"] = written
        draft.where.append(f"{local} >= TIMESTAMP '{start}' AND {local} < TIMESTAMP '{end}'")
    draft.document["timeDimensions"] = [item]


def _pick_cut(random: Random, subject: Subject) -> tuple[str, str]:
    name = random.choice([*subject.times])
    return name, random.choice([*subject.times[name][1]])


def _add_filters(random: Random, subject: Subject, draft: Draft, filters: list[Any]) -> None:
    written = [
        {"member": f"{subject.name}.{member}", "operator": operator}
        | ({"values": list(values)} if values else {})
        for member, operator, values, _ in filters
    ]
    if len(written) > 1 and random.random() < 0.6:
        word = random.choice(("and", "or"))
        draft.document["filters"] = [{word: written}]
        draft.where.append(f"({f' {word} '.join(text for *_, text in filters)})")
    elif written:
        draft.document["filters"] = written
        draft.where += [text for *_, text in filters]


def _add_order(random: Random, draft: Draft) -> None:
    """Order by the first measure or not, then by every key; sometimes cut a page out of it."""
    document = draft.document
    pairs: list[tuple[str, int]] = []
    names = [*document.get("dimensions", ())]
    names += [
        item["dimension"] for item in document.get("timeDimensions", ()) if "granularity" in item
    ]
    keys = [(name, place + 1) for place, name in enumerate(names)]
    if random.random() < 0.5:
        pairs.append((document["measures"][0], len(draft.keys) + 1))
    pairs += random.sample(keys, len(keys))
    ways = [random.choice(("asc", "desc")) for _ in pairs]
    document["order"] = [[name, way] for (name, _), way in zip(pairs, ways, strict=True)]
    texts = [
        f"{place} {'DESC NULLS FIRST' if way == 'desc' else 'ASC NULLS LAST'}"
        for (_, place), way in zip(pairs, ways, strict=True)
    ]
    draft.tail = f" ORDER BY {', '.join(texts)}"
    if random.random() < 0.5:
        document["limit"], document["offset"] = random.choice(((3, 0), (5, 2), (2, 4)))
        draft.tail += f" LIMIT {document['limit']} OFFSET {document['offset']}"
