"""The explorer in a real browser: a drag and a key move it, the address keeps it, nothing is fetched."""

import json
import re
from collections.abc import Iterator

import pytest

from sim import Results
from sim.report.explorer import content
from sim.report.material import Material

from .browser import CHROMIUM, Tab, browser

PRINTED = 0.0006
"""Half a unit of the last of three decimals, and of the four that the page holds."""

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: chromium)")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def shown(tab: Tab) -> list[list[str]]:
    """The table of numbers, row by row."""
    rows = "[...document.querySelectorAll('#numbers tbody tr')]"
    found = tab.value(f"{rows}.map((row) => [...row.children].map((cell) => cell.textContent))")
    assert isinstance(found, list)
    return found


def success_of(finished: Results, scenario: str, n: int) -> list[float]:
    frame = finished.characteristics
    rows = frame[(frame["scenario"] == scenario) & (frame["n"] == n) & (frame["estimand"] == "primary")]
    return list(rows[rows["metric"].isin(["power", "assurance", "type_1_error"])]["value"])


def first_number(cell: str) -> float:
    return float(cell.split(" ")[0].replace("−", "-"))


def test_the_page_holds_the_numbers_of_the_tables(finished: Results) -> None:
    text = (finished.folder / "explorer.html").read_text(encoding="utf-8")
    held = json.loads(
        re.search(r'<script type="application/json" id="content">(.*?)</script>', text).group(1)
    )  # type: ignore[union-attr]
    assert held == json.loads(json.dumps(content(Material.read(finished))))
    records = finished.records("small", "drawn").set_index(["replicate", "n", "estimand", "arm"])
    cell = next(cell for cell in held["cells"] if cell["scenario"] == "drawn")
    assert [arm["name"] for arm in cell["arms"]] == ["active", "both", "talk"]
    for a, arm in enumerate(cell["arms"]):
        for s, n in enumerate(cell["sizes"]):
            value, error = arm["success"][s]
            assert value == pytest.approx(success_of(finished, "drawn", n)[a], abs=5e-5)
            assert error > 0
            row = records.loc[(5, n, "primary", arm["name"])]
            wanted = [float(row[name]) for name in ("estimate", "low", "high", "truth", "success")]
            assert cell["trials"][5][a][s] == pytest.approx(wanted, abs=5e-5)


def test_nothing_of_the_page_is_elsewhere(finished: Results) -> None:
    text = (finished.folder / "explorer.html").read_text(encoding="utf-8")
    for code in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)[1:]:
        assert not re.search(r"fetch|XMLHttp|import\(|WebSocket", code)
    assert not re.search(r"(src|href)=\"(?!report\.html)", text)
    assert "url(" not in text


def test_text_of_the_study_cannot_end_the_data(finished: Results) -> None:
    text = (finished.folder / "explorer.html").read_text(encoding="utf-8")
    data = re.search(r'id="content">(.*?)\n<script>', text, re.DOTALL).group(1)  # type: ignore[union-attr]
    assert data.count("<") == 1, "only the end of the script may begin with '<'"


@needs_browser
def test_a_drag_moves_the_size_and_all_that_follows(tab: Tab, finished: Results) -> None:
    tab.open(finished.folder / "explorer.html")
    assert [first_number(row[2]) for row in shown(tab)] == pytest.approx(
        success_of(finished, "drawn", 160), abs=PRINTED
    )
    before = tab.value("document.querySelector('#example').innerHTML")
    left, top, width, height = tab.box("#size")
    tab.drag((left + width - 8, top + height / 2), (left + 4, top + height / 2))
    assert "n=80" in tab.value("location.hash")
    assert tab.value("document.querySelector('#size').nextElementSibling.value") == "80"
    assert [first_number(row[2]) for row in shown(tab)] == pytest.approx(
        success_of(finished, "drawn", 80), abs=PRINTED
    )
    assert [row[1] for row in shown(tab)] == ["20", "20", "20"]
    assert tab.value("document.querySelector('#example').innerHTML") != before
    assert tab.value("document.querySelector('#said').textContent").startswith("Assurance with 80 patients")


@needs_browser
def test_keys_move_the_example_and_it_is_the_trial_of_the_run(tab: Tab, finished: Results) -> None:
    tab.open(finished.folder / "explorer.html")
    tab.value("document.querySelector('#trial').focus()")
    for _ in range(5):
        tab.press("ArrowRight")
    assert "trial=6" in tab.value("location.hash")
    assert "--scenario drawn --replicate 5" in tab.value(
        "document.querySelector('#example-words').textContent"
    )
    records = finished.records("small", "drawn").query(
        "replicate == 5 and n == 160 and estimand == 'primary'"
    )
    said = tab.value("[...document.querySelectorAll('#example text')].map((t) => t.textContent)")
    wanted = ["success" if won else "no success" for won in records["success"]]
    assert [text for text in said if text in ("success", "no success")] == wanted


@needs_browser
def test_the_address_keeps_the_state_and_mends_what_is_not_there(tab: Tab, finished: Results) -> None:
    page = finished.folder / "explorer.html"
    tab.open(page, "#protocol=small&scenario=null&n=80&trial=3")
    assert tab.value("document.querySelector('#scenario').value") == "null"
    heads = tab.value("[...document.querySelectorAll('#numbers th')].map((h) => h.textContent)")
    assert "type I error" in heads
    assert [first_number(row[2]) for row in shown(tab)] == pytest.approx(
        success_of(finished, "null", 80), abs=PRINTED
    )
    tab.open(page, "#protocol=gone&scenario=gone&n=99999&trial=-7&vary=gone")
    assert tab.value("location.hash") == "#protocol=small&scenario=drawn&n=160&trial=1"


@needs_browser
def test_a_variation_shows_its_own_numbers(tab: Tab, finished: Results) -> None:
    tab.open(finished.folder / "explorer.html", "#vary=losses+%C3%97+2")
    assert tab.value("document.querySelector('#vary').value") == "losses × 2"
    varied = finished.table("sensitivity").query("what == 'losses' and setting == '× 2' and n == 160")
    varied = varied[varied["metric"] == "assurance"]
    assert [first_number(row[2]) for row in shown(tab)] == pytest.approx(list(varied["value"]), abs=PRINTED)
    assert "but losses × 2" in tab.value("document.querySelector('#said').textContent")


@needs_browser
@pytest.mark.parametrize("name", ["report.html", "explorer.html"])
@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_fetched_and_nothing_wider_than_the_window(
    tab: Tab, finished: Results, name: str, width: int
) -> None:
    tab.requests.clear()
    tab.open(finished.folder / name, width=width)
    asked = [address for address in tab.requests if not address.startswith(("data:", "about:"))]
    assert all(address.startswith("file://") and address.endswith(name) for address in asked)
    assert tab.value("document.documentElement.scrollWidth") <= width
