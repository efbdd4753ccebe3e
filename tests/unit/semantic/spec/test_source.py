"""Reading YAML: places, YAML 1.2 values, and texts that mean harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from semantic.catalog.load import load_catalog, load_catalog_from_text
from semantic.errors import ModelError, Problem, Span
from semantic.spec.source import (
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    compose_tree,
    decode_source,
    read_source,
    to_span,
)

MODEL = Path(__file__).parents[4] / "semantic" / "model"


def read(text: str) -> tuple[object, list[str]]:
    node, problems = read_source(text, "m.yml")
    return (None if node is None else node.plain()), [problem.code for problem in problems]


def test_plain_scalars_follow_yaml_1_2() -> None:
    value, problems = read(
        "a: no\nb: 1:30\nc: 'true'\nd: true\ne: 12\nf: 1.5\ng: ~\nh: 1e3\ni: 0x1f\nj: 1_000\n"
    )
    assert problems == []
    assert value == {
        "a": "no", "b": "1:30", "c": "true", "d": True, "e": 12, "f": 1.5, "g": None, "h": 1000.0,
        "i": "0x1f", "j": "1_000",
    }  # fmt: skip


def test_every_key_and_value_knows_its_line_and_column() -> None:
    node, _ = read_source("cubes:\n  - name: a\n    sql: |\n      x +\n      y\n", "m.yml")
    assert isinstance(node, MappingNode)
    cubes = node.entries["cubes"][1]
    cube = cubes.items[0]  # type: ignore[union-attr]
    key, value = cube.entries["sql"]  # type: ignore[union-attr]
    assert to_span(key) == Span("m.yml", 3, 5)
    assert value.place(value.value.index("y")).line == 5  # type: ignore[union-attr]


def test_an_anchor_may_be_used_again_and_a_merge_key_may_not() -> None:
    assert read("a: &x {b: 1}\nc: *x\n") == ({"a": {"b": 1}, "c": {"b": 1}}, [])
    assert read("a: &x {b: 1}\nc:\n  <<: *x\n") == (None, ["unsupported"])


HOSTILE = {
    "alias bomb": "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "alias of itself": "a: &a [*a]\n",
    "unknown alias": "a: *nobody\n",
    "deep flow": "a: " + "[" * 50_000,
    "deep flow closed": "a: " + "[" * 5_000 + "]" * 5_000,
    "deep block": "\n".join(" " * depth + "a:" for depth in range(400)),
    "python tag": "a: !!python/object/apply:os.system ['true']\n",
    "binary tag": "a: !!binary aGVsbG8=\n",
    "tabs": "cubes:\n\t- name: a\n",
    "nul": "cubes: \0\n",
    "control character": "cubes: [\x1b]\n",
    "unclosed quote": 'cubes: "abc\n',
    "two documents": "cubes: []\n---\ncubes: []\n",
    "list as key": "? [a, b]\n: c\n",
    "only a list": "- a\n- b\n",
    "only text": "hello\n",
    "cubes is text": "cubes: hello\n",
    "cubes holds text": "cubes: [hello, [1], null]\n",
    "a cube of nulls": "cubes: [{name: , sql_table: , dimensions: }]\n",
    "numbers for names": "cubes: [{name: 1, sql_table: 2, dimensions: [{name: 3, type: 4}]}]\n",
    "very long name": f"cubes: [{{name: {'a' * 5000}, sql_table: t}}]\n",
    "deep snippet": "cubes: [{name: a, sql_table: t, dimensions: [{name: b, type: number, sql: '"
    + "(" * 3000 + "1" + ")" * 3000 + "'}]}]\n",
    "long chain in a snippet": "cubes: [{name: a, sql_table: t, dimensions: [{name: b, "
    "type: number, sql: '" + "- " * 6000 + "1'}]}]\n",
    "too much": "a: " + "x" * 2_000_001,
    "surrogate": "cubes: \udc80\n",
    "endless template": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
    "{% endfor %}",
    "template that grows": "{% set a = ['x' * 9999999999] %}",
    "template that pads": "{{ 'x'.ljust(9999999999) }}",
    "template that pads by a filter": "{{ 'x'|center(9999999999) }}",
    "template that formats": "{{ '%9999999999d' % 1 }}{{ '{:>9999999999}'.format(1) }}",
    "template out of the sandbox": "{{ ''.__class__.__mro__ }}",
    "template with an unknown name": "a: {{ environment.HOME }}",
    "broken template": "a: {% if %}",
    "template that includes a file": "{% include '/etc/passwd' %}",
    "template that prints too much": "{% for a in range(99999) %}{{ 'x' ~ a }}"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}",
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_refused_with_problems(text: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_catalog_from_text({"m.yml": text})
    assert caught.value.problems


def test_bytes_that_are_no_utf_8_are_a_problem_with_a_place() -> None:
    problem = decode_source(b"cubes:\n  - name: caf\xe9\n", "m.yml")
    assert isinstance(problem, Problem)
    assert (problem.code, str(problem.span)) == ("unreadable_file", "m.yml:2:14")


def test_a_folder_with_binary_and_hidden_files_is_refused_not_crashed(tmp_path) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    (tmp_path / "a.yml").write_bytes(bytes(range(256)))
    (tmp_path / ".b.yml").write_text("cubes: [")
    (tmp_path / "c.txt").write_text("nothing")
    with pytest.raises(ModelError) as caught:
        load_catalog(tmp_path)
    assert [problem.code for problem in caught.value.problems] == ["unreadable_file"]


def test_a_folder_without_yaml_is_an_empty_model(tmp_path) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    with pytest.raises(ModelError, match="empty_model"):
        load_catalog(tmp_path)


def test_a_template_renders_before_it_is_read_and_its_places_say_so() -> None:
    catalog = load_catalog_from_text(
        {
            "m.yml": "cubes:\n  - name: orders\n    sql_table: orders\n    measures:\n"
            "{%- for status in ['new', 'done'] %}\n"
            "      - {name: {{ status }}_count, type: count}\n{%- endfor %}\n"
        }
    )
    assert list(catalog.cubes["orders"].measures) == ["new_count", "done_count"]
    with pytest.raises(ModelError) as caught:
        load_catalog_from_text({"m.yml": "cubez: [{{ 1 + 1 }}]\n"})
    assert str(caught.value.problems[0].span) == "m.yml (rendered):1:1"


ORDINARY = """
# a model
cubes:
  - name: orders   # first
    sql: >
      SELECT *
      FROM orders
    'meta': {a: [1, "2", ~], b: {}, "c": }
    description: |-
      Two
        lines

  - {name: "users", title: 'Wer?', on: no, x: }
views: []
"""


@pytest.mark.parametrize(
    "text",
    [ORDINARY, "", "# nothing\n", "a", "~", "[]", "a:\n- b\n- - c\n  - d\n", "? a\n: b\n", "{a, b}\n",
     "a: 'it''s'\n", 'a: "x\\ty\\u00e4"\nö: ü\n', "a: >+\n  x\n\n  y\n\nb: |2\n    z\n",
     "--- \na: 1\n...\n", "%YAML 1.1\n---\na: 1\n"],
)  # fmt: skip
def test_the_fast_reader_gives_what_the_reader_of_events_gives(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = describe(read_source(text, "m.yml")[0])
    monkeypatch.setattr("semantic.spec.source._Composer", None)
    node, problems = read_source(text, "m.yml")
    assert problems == ()
    assert fast == describe(node)


@pytest.mark.parametrize("path", sorted(MODEL.rglob("*.yml")), ids=lambda path: path.stem)
def test_both_readers_read_the_demo_model_alike(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = path.read_text()
    assert compose_tree(text, "m.yml") is not None
    fast = describe(read_source(text, "m.yml")[0])
    monkeypatch.setattr("semantic.spec.source._Composer", None)
    assert fast == describe(read_source(text, "m.yml")[0])


def describe(node: Node | None) -> object:
    """Return everything that a tree says, places included."""
    match node:
        case None:
            return None
        case ScalarNode():
            return node.value, node.style, node.lines, node.span, node.plain()
        case SequenceNode():
            return [describe(item) for item in node.items], node.span
        case MappingNode():
            entries = [
                (key, to_span(place), describe(item)) for key, (place, item) in node.entries.items()
            ]
            return entries, node.span
