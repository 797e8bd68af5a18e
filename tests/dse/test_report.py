"""The HTML report: well-formed, complete, self-contained, and safe against what stands in names."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cairn.dse.outcome import Status
from cairn.dse.study import Study, run_sweep
from cairn.dse.views import value_text
from tests.dse.test_answers import with_feasible
from tests.dse.toys import Formula, toy_sweep, twin

VOID = {"meta", "img", "line", "path", "circle", "br"}


class Page(HTMLParser):
    """Collects elements, complains about tags that are not closed in order, and keeps the text of elements."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        if self.open:
            raise ValueError(f"never closed: {self.open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise ValueError(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    sweep = toy_sweep(tmp_path_factory.mktemp("report"), points=30)
    return run_sweep(sweep, cheap=twin, evaluate=Formula(sweep))


def data_of(page: str) -> dict[str, list[list[object]]]:
    match = re.search(r'<script type="application/json" id="points">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    found: dict[str, list[list[object]]] = json.loads(match[1])
    return found


def test_the_page_is_well_formed_and_holds_every_point_of_the_front(study: Study) -> None:
    text = study.report()
    page, data = Page(text), data_of(text)
    circles = [attributes for tag, attributes in page.elements if tag == "circle"]
    assert len(circles) == len(data["points"])
    reached = {attributes["data-i"] for attributes in circles if attributes.get("tabindex") == "0"}
    drawn = {point[0]: (str(i), point) for i, point in enumerate(data["points"]) if point[1] == 0}
    assert set(drawn) == set(study.front["point"])
    for _, row in study.front.iterrows():
        index, point = drawn[row["point"]]
        assert point[2] == [value_text(row[name]) for name in study.sweep.space.names]
        assert point[3] == [value_text(row[name]) for name in study.objective_columns]
        assert index in reached
    rows = [attributes for tag, attributes in page.elements if tag == "tr" and "data-i" in attributes]
    assert len(rows) == len(study.front)


def test_analytical_designs_stand_there_with_their_range(study: Study) -> None:
    points = [point for point in data_of(study.report())["points"] if point[1] == 3]
    table = study.analytical
    assert table is not None and len(points) > 50
    row = table.set_index("point").loc[points[0][0]]
    low, high = value_text(row["latency_ms_low"]), value_text(row["latency_ms_high"])
    assert points[0][3][1] == f"{value_text(row['latency_ms'])} ({low} to {high})"  # type: ignore[index]


def test_the_page_loads_nothing(study: Study) -> None:
    text = study.report()
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text.split("src='data:")[0], re.IGNORECASE)
    for tag, attributes in Page(text).elements:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "srcset", "data", "action"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, name)
    assert "default-src 'none'" in text


def test_refusals_are_listed_with_what_would_make_them_fit(study: Study) -> None:
    refused = with_feasible(study, 3)
    texts = Page(refused.report()).texts
    reasons = refused.refusals["constraint"].value_counts()
    assert texts[texts.index("power <= 40 W", texts.index("remedy")) + 1] == f"{reasons['power <= 40 W']}"
    assert {"demand", "bound", "gap", "remedy", "50 W", "40 W", "10 W"} <= set(texts)


def test_provenance_is_told(study: Study) -> None:
    texts = "\n".join(Page(study.report()).texts)
    for fact in (study.sweep.hash, study.method.value, str(study.provenance["version"]), "cycle simulator"):
        assert fact in texts


def test_names_are_escaped(study: Study) -> None:
    nasty = "</script><b onmouseover='x()'>&amp;"
    refusal = {
        "constraint": nasty, "demand": 1.0, "bound": 0.5, "gap": 0.5, "unit": nasty, "remedy": nasty,
    }  # fmt: skip
    parameters = (replace(study.sweep.space.parameters[0], name=nasty), *study.sweep.space.parameters[1:])
    space = replace(study.sweep.space, parameters=parameters)
    sweep = replace(study.sweep, name=nasty, space=space)
    entries = [
        *study.entries[:-2],
        replace(
            study.entries[-2],
            outcome=replace(study.entries[-2].outcome, status=Status.INFEASIBLE, refusals=(refusal,)),
        ),
        replace(study.entries[-1], outcome=replace(study.entries[-1].outcome, status=Status.FAILED, error=nasty)),
    ]
    text = Study(sweep, study.problem, tuple(entries), study.method, study.ended, 0.0).report()
    page = Page(text)
    assert not [tag for tag, attributes in page.elements if tag == "b" or "onmouseover" in attributes]
    assert sum(tag == "script" for tag, _ in page.elements) == 2
    assert data_of(text)["parameters"][0] == nasty
    assert page.texts.count(nasty) >= 4


@pytest.mark.parametrize("feasible", [0, 1])
def test_a_page_of_one_feasible_point_or_none_says_so(study: Study, feasible: int) -> None:
    text = with_feasible(study, feasible).report()
    page = Page(text)
    assert ("there is nothing to draw" in "".join(page.texts)) == (feasible == 0)
    assert sum(tag == "svg" for tag, _ in page.elements) == feasible


@pytest.mark.parametrize(("objectives", "pictures"), [("[area]", 1), ("[area, latency, energy]", 3)])
def test_other_numbers_of_objectives_are_drawn_in_pairs(tmp_path: Path, objectives: str, pictures: int) -> None:
    toy_sweep(tmp_path)
    file = tmp_path / "toy.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("[area, latency]", objectives), encoding="utf-8")
    from cairn.dse.sweep import load_sweep

    sweep = load_sweep(file)
    study = run_sweep(sweep, points=20, cheap=twin, evaluate=Formula(sweep))
    page = Page(study.report())
    assert sum(tag == "svg" for tag, _ in page.elements) == pictures
    assert len([axes for axes in study.plot_front().axes if axes.get_visible()]) == pictures


def test_the_report_is_a_file_that_can_be_sent(study: Study, tmp_path: Path) -> None:
    study.report(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == study.report()
    assert (tmp_path / "report.html").stat().st_size < 1_500_000
