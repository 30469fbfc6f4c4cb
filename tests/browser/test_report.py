"""The report as a reader meets it: a folder copied elsewhere, in Chromium, without a network."""

import json
import os
import shutil
from contextlib import chdir
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest
import yaml

from visemix.config.parameters import resolve_parameters
from visemix.evaluation.statistics import VERDICTS
from visemix.papers.cells import run_names, table_cells, table_names
from visemix.report.pages import write_report

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
]  # fmt: skip
RUN, SEED, TEST_SET = "lipgen-R6", 0, "miniature-test"
CELL = "cells/lipgen-table3-tafm-0.1.html"


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no program `chromium` on the PATH; install it, or name one in CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(finished_run, tmp_path_factory) -> Path:
    """A copy of the report alone, far from the files that it was made from."""
    folder = tmp_path_factory.mktemp("copied") / "some where"
    shutil.copytree(finished_run / "report", folder)
    return folder


@pytest.fixture
def page(chromium):
    """A page of 1200 x 900; whatever goes wrong in it or leaves the disk fails the test."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
    page.on("requestfailed", lambda request: wrong.append(f"{page.url}: no {request.url}"))
    page.on("request", lambda request: urlsplit(request.url).scheme in ("file", "data")
            or wrong.append(f"{page.url} asks for {request.url}"))  # fmt: skip
    yield page
    context.close()
    assert wrong == []


def addresses(report):
    return sorted(str(path.relative_to(report)) for path in report.rglob("*.html"))


def go(page, report, address):
    page.goto((report / address).as_uri())


def table_rows(page, selector):
    """Texts of the cells of each row of a table's body."""
    script = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    return page.eval_on_selector_all(f"{selector} >> tbody tr", script)


def test_every_page_opens_and_every_link_and_picture_is_there(page, report):
    found = addresses(report)
    assert len(found) >= 21 + 3 + 5  # cells, tables, others
    reached = {"index.html"}
    for address in found:
        go(page, report, address)
        assert page.title().endswith("visemix report (test)")
        assert "it is not LRW" in page.inner_text("main .warning")
        assert page.locator("h1").count() == 1
        for link in page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)"):
            parts = urlsplit(link)
            target = Path(unquote(parts.path))
            assert parts.scheme == "file" and target.is_file(), f"{address}: {link}"
            if parts.fragment and target == report / address:
                assert page.locator(f"[id='{parts.fragment}']").count() == 1, f"{address}: {link}"
            if target.suffix == ".html":
                reached.add(str(target.relative_to(report)))
        widths = page.eval_on_selector_all("img", "all => all.map(i => i.naturalWidth)")
        assert all(widths), f"{address}: a picture is missing"
        assert all(page.eval_on_selector_all("img", "all => all.map(i => i.alt.length)"))
    assert reached == set(found)  # nothing that no link leads to


def test_headings_landmarks_and_captions_are_in_order(page, report):
    for address in addresses(report):
        go(page, report, address)
        levels = page.eval_on_selector_all("h1,h2,h3,h4", "all => all.map(h => +h.tagName[1])")
        steps = [after - before for before, after in pairwise(levels)]
        assert levels[0] == 1 and max(steps, default=1) <= 1, address
        for landmark in ("header", "main", "footer"):
            assert page.locator(f"body > {landmark}").count() == 1
        assert page.locator("table:not(:has(caption))").count() == 0, address
        assert page.locator("th:not([scope])").count() == 0, address
        ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
        assert len(ids) == len(set(ids)), address


def test_tables_show_the_values_of_their_files(page, report, finished_run):
    for table in table_names("lipgen"):
        frame = pd.read_csv(finished_run / f"tables/lipgen/{table}.csv", keep_default_na=False)
        go(page, report, f"tables/lipgen-{table}.html")
        shown = table_rows(page, "table >> nth=0")
        assert len(shown) == len(frame)
        for cells, row in zip(shown, frame.itertuples(), strict=True):
            assert cells[0].startswith(row.row)
            assert float(cells[1]) == row.published
            kind = "\nno reproduction" if row.n != "" else ""
            assert cells[-1] == row.status + kind
            if row.n == "":
                assert cells[2] == cells[3] == ""
            else:
                value = f"{float(row.accuracy):.1f} [{float(row.low):.1f}, {float(row.high):.1f}]"
                assert cells[2].startswith(value) and cells[3] == str(row.n)
            if row.above:
                assert f"{float(row.difference):+.1f}" in cells[4]
        copy = report / f"files/tables-lipgen-{table}.csv"
        assert copy.read_bytes() == (finished_run / f"tables/lipgen/{table}.csv").read_bytes()


def test_the_front_page_counts_verdicts_and_has_every_row(page, report, finished_run):
    go(page, report, "index.html")
    shown = [(row[-2], int(row[-1])) for row in table_rows(page, "table >> nth=0")]
    counts = dict(shown)
    assert counts["measured at scale test, no reproduction"] == 1 + 4 + 8
    assert counts["quoted from the literature"] == 9
    found = [number for verdict, number in shown if verdict in VERDICTS]
    assert found == [0, 0, 0, 7 + 3, 11]  # one seed: of rows, and of claims
    answers = page.eval_on_selector_all("li strong", "all => all.map(a => a.textContent)")
    assert answers.count("Not resolved: one training a row") == 4
    assert "departs from the paper in corpus.name: miniature (paper: lrw)" in page.inner_text(
        "main"
    )
    assert "No cell was audited" in page.inner_text("main")
    rows = [cell for table in table_names("lipgen") for cell in table_cells("lipgen", table)]
    links = page.eval_on_selector_all("th a", "all => all.map(a => a.textContent)")
    assert links == ["prose claims", *(cell.row for cell in rows)]


def test_a_cell_page_has_digests_and_trainings_as_on_disk(page, report, finished_run):
    go(page, report, CELL)
    record = json.loads((finished_run / f"runs/{RUN}/seed-0/training.json").read_text())
    text = page.inner_text("main")
    for digest in (record["digests"]["weights"], record["identity"], record["digests"]["code"]):
        assert digest in text
    for source in record["mixture"]["sources"]:
        assert source["manifest_sha256"] in text
    assert "another, in" not in text  # every recorded digest is that of the file
    # real, synthetic, validation and test clips, mixture, weights, predictions, the table
    assert text.count("the same, in") == 8
    drawn = page.eval_on_selector_all("svg.graph text", "all => all.map(t => t.textContent)")
    assert {"train", "evaluate", "table", record["digests"]["weights"][:12]} <= set(drawn)
    assert page.locator("svg.graph[role=img][aria-label]").count() == 1


def test_predictions_are_those_of_the_parquet_file(page, report, finished_run):
    folder = finished_run / f"evaluations/{RUN}/seed-{SEED}/{TEST_SET}"
    predictions = pd.read_parquet(folder / "predictions.parquet")
    go(page, report, CELL)
    rows = table_rows(page, "#clip-table")
    assert [row[0] for row in rows] == predictions.clip_id.tolist()
    for row, clip in zip(rows, predictions.itertuples(), strict=True):
        assert row[1] == clip.label and row[5] == clip.speaker
        assert row[2] == ("right" if clip.correct else clip.top5[0])
        assert [answer.rsplit(" ", 1)[0] for answer in row[3].split(", ")] == list(clip.top5)
    by_word = {row[0]: row[1:3] for row in table_rows(page, "#by-word + .scroll table")}
    for word, clips in predictions.groupby("label"):
        assert by_word[word][0].startswith(f"{100 * clips.correct.mean():.1f} [")
        assert by_word[word][1] == str(len(clips))
    matrix = table_rows(page, "#confusion-words + .scroll table")
    best = predictions.top5.map(lambda top: top[0])
    read = page.eval_on_selector_all("#confusion-words + .scroll thead th",
                                     "all => all.map(h => h.innerText)")[1:]  # fmt: skip
    for word, *shares in matrix:
        answers = best[predictions.label == word]
        assert [float(share or 0) for share in shares] == pytest.approx(
            [100 * (answers == other).mean() for other in read], abs=0.5
        )


def test_the_clips_are_filtered_and_sorted(page, report, finished_run):
    folder = finished_run / f"evaluations/{RUN}/seed-{SEED}/{TEST_SET}"
    predictions = pd.read_parquet(folder / "predictions.parquet")
    go(page, report, CELL)
    shown = "#clip-table tbody tr:not([hidden])"
    page.get_by_label("Filter by clip").fill("people")
    assert page.locator(shown).count() == (predictions.label == "PEOPLE").sum()
    assert page.inner_text("form [role=status]") == f"3 of {len(predictions)} rows shown"
    page.get_by_label("Filter by clip").fill("")
    page.get_by_label("Which clips").select_option("wrong")
    assert page.locator(shown).count() == (~predictions.correct).sum()
    page.get_by_label("Which clips").select_option("all")
    page.locator("#by-word + .scroll tbody a").first.click()
    assert page.locator(shown).count() == 3
    page.get_by_label("Filter by clip").fill("")
    heading = page.locator("#clip-table th button").nth(4)  # probability of the spoken word
    heading.click()
    assert page.locator("#clip-table th[aria-sort=ascending]").inner_text().startswith("spoken")
    values = [float(row[4]) for row in table_rows(page, "#clip-table")]
    assert values == sorted(values) and len(values) == len(predictions)
    heading.click()
    assert [float(row[4]) for row in table_rows(page, "#clip-table")] == values[::-1]


def test_the_keyboard_reaches_everything(page, report):
    go(page, report, CELL)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    reached = []
    for _ in range(200):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(
            "(e => e.name || e.closest('tr')?.parentElement.closest('table')?.id"
            " + '/' + e.tagName)(document.activeElement)"
        ))  # fmt: skip
        if reached[-1] == "clip-table/TR":
            break
    assert {"text", "kind", "clip-table/BUTTON", "clip-table/TR"} <= set(reached)
    clip = "document.activeElement.cells[0].innerText"
    first = page.evaluate(clip)
    page.keyboard.press("ArrowDown")
    assert page.evaluate(clip) != first
    page.keyboard.press("End")
    last = page.evaluate(clip)
    page.keyboard.press("Home")
    assert page.evaluate(clip) == first != last
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")  # the last heading sorts
    assert page.locator("#clip-table th[aria-sort=ascending]").count() == 1


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1200, "dark")])
def test_no_page_is_wider_than_the_window(page, report, width, scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    for address in addresses(report):
        go(page, report, address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


def test_on_paper_there_is_no_navigation_and_nothing_is_folded_away(page, report, tmp_path):
    go(page, report, CELL)
    page.emulate_media(media="print")
    assert not page.locator("header nav").first.is_visible()
    assert not page.locator("form.controls").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.pdf(path=tmp_path / "cell.pdf", format="A4")
    assert (tmp_path / "cell.pdf").read_bytes().startswith(b"%PDF")


def test_without_javascript_everything_is_there_to_read(chromium, report):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    go(page, report, CELL)
    assert page.locator("#clip-table tbody tr").count() == 9
    assert not page.locator("form.controls").is_visible()
    context.close()


def test_every_run_is_on_the_page_of_its_paper(page, report):
    go(page, report, "papers/lipgen.html")
    text = page.inner_text("main")
    assert all(f"{run}, seed 0" in text for run in run_names("lipgen"))
    assert "what the paper leaves unstated" in text.lower()


@pytest.fixture(scope="module")
def judged(finished_run, tmp_path_factory) -> Path:
    """The report of the same run after two audits, with two claims checked."""
    folder = tmp_path_factory.mktemp("judged")
    for name in ("data", "runs", "evaluations"):
        (folder / name).symlink_to(finished_run / name)
    shutil.copytree(finished_run / "tables", folder / "tables")
    audits = {"baseline": ("bitwise equal", "every file is the same"),
              "tafm-0.1": ("differs", "the weights of <seed 0> are others")}  # fmt: skip
    for row, (verdict, reason) in audits.items():
        path = folder / f"audits/lipgen/table3/{row}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        audit = {"cell": f"lipgen/table3/{row}", "verdict": verdict, "reason": reason}
        path.write_text(json.dumps(audit))
    columns = ("id", "paper", "claim", "cells", "arithmetic", "arithmetic_verdict", "resolvable",
               "ours", "verdict")  # fmt: skip
    cells = "lipgen/table3/lrw-syn (92), lipgen/table3/vislabel (92.4)"
    claims = [
        ("lipgen/c1", "lipgen", "labels help", cells, "0.4", "consistent", "paired only",
         "-22 points, n = 9", "not resolved at this n"),
        ("synthvsr/c1", "synthvsr", "half the data", "synthvsr/table1/a (20)", "10", "misworded",
         "yes", "not run: no such corpus", "not run"),
    ]  # fmt: skip
    pd.DataFrame(claims, columns=columns).to_csv(folder / "tables/claims.csv", index=False)
    config = yaml.safe_load((finished_run / "params.yaml").read_text())
    parameters = resolve_parameters(config, finished_run)
    with chdir(folder):
        write_report("report", parameters)
    return folder / "report"


def test_audits_and_claims_are_counted_and_shown(page, judged):
    go(page, judged, "index.html")
    counts = {row[-2]: int(row[-1]) for row in table_rows(page, "table >> nth=0")}
    shown = ("bitwise equal", "differs", "not audited", "not resolved at this n", "not run")
    assert [counts[verdict] for verdict in shown] == [1, 1, 11, 1, 1]
    page.get_by_role("link", name="lipgen/table3/tafm-0.1").click()
    assert page.url.endswith(CELL)
    assert "Differs. the weights of <seed 0> are others" in page.inner_text("main")
    go(page, judged, "claims.html")
    rows = table_rows(page, "#claim-table")
    assert [row[0].split()[0] for row in rows] == ["lipgen/c1", "synthvsr/c1"]
    page.get_by_label("Which claims").select_option("not run")
    assert page.locator("#claim-table tbody tr:not([hidden])").count() == 1
    links = page.eval_on_selector_all("#claim-table a", "all => all.map(a => a.innerText)")
    assert links == ["lipgen/table3/lrw-syn (92)", "lipgen/table3/vislabel (92.4)"]
