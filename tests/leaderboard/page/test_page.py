"""What a reader sees and does on the page, in a real browser."""

import base64
import copy
import itertools
import json
import os
import random
import re
import time
from pathlib import Path

import pytest

from leaderboard import page as pages
from leaderboard.build import build
from leaderboard.render.text import bounds, p_value, points
from tests.leaderboard.conftest import honest

ROOT = Path(__file__).parents[3]
BASE, MIX = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)"
HOSTILE = "x</script><script>alert(1)</script><img src=x onerror=alert(1)>\u2028 & <b>b</b> \"'"
RTE = "#task=rte+accuracy+efefefef"  # task, metric, beginning of the dev set's hash
NAMES = "#table tbody tr:not(.group) th"


@pytest.fixture
def built(store):
    """Return a function from records to the folder of their board."""

    def make(records, name="run"):
        folder = store(records, name)
        build([folder], folder)
        return folder

    return make


def section_of(folder):
    return json.loads((folder / "leaderboard.json").read_text())["sections"][0]


# --- the script


def test_a_name_defined_twice_is_an_error_and_the_page_says_where_the_numbers_are(page, board, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "SCRIPTS", (*pages.SCRIPTS, "text"))
    build([board], tmp_path)
    page.open(tmp_path, drawn=False)
    assert any("has already been declared" in line for line in page.console())
    assert "The same numbers are in leaderboard.md" in page.texts("#facts")[0]
    assert page.texts("#table") == [""]


def test_the_policy_stops_any_other_script(page, board, tmp_path):
    source = (board / "index.html").read_text()
    (tmp_path / "index.html").write_text(source.replace("</body>", "<script>document.title = 'x'</script></body>"))
    page.open(tmp_path)
    assert page.run("return document.title") == "Leaderboard of fine-tuning regularizers"
    assert any("Content Security Policy" in line for line in page.console())


# --- what is said first


def test_the_first_screen_has_question_verdict_plot_and_pickers(page, board):
    page.open(board)
    assert page.texts("h1") == ["Which regularizer should I fine-tune with when I have little data?"]
    verdict = page.texts("#verdict")[0]
    assert all(sentence in verdict for key in ("verdict", "notes") for sentence in section_of(board)[key])
    assert len(page.all("#verdict figure .mark")) == 2
    assert page.run("return document.querySelector('#controls').getBoundingClientRect().bottom") < 900
    hints = page.run(
        "return [...document.querySelectorAll('h2')].filter(e => e.checkVisibility() && !e.closest('#verdict, #answer')"
        " && !(e.nextElementSibling?.classList.contains('hint') && e.nextElementSibling.textContent)).length"
    )
    assert hints == 0, "every heading is explained in one line"


def rising(levels, restarts=12, step=0.005, **options):
    """Records of strategies at these levels, whose scores rise with the restart."""
    return [
        honest(name, r, round(level + step * r, 4), **options)
        for name, level in levels.items()
        for r in range(restarts)
    ]


def against_none(restarts, gap):
    """Records of `none`, which is the same everywhere, and of MIX, which varies around another level."""
    noise = [0.006 * (7 * r % 12 - 5.5) for r in range(restarts)]
    other = [honest(MIX, r, round(0.65 + gap + noise[r], 4)) for r in range(restarts)]
    return [*rising({"none": 0.65}, restarts, step=0), *other]


FAILED = "No strategy learned this task (24 of 24 runs failed): more epochs, another rate, more data."
SAID = {
    "one cell": (
        "board",
        {
            "#answer h2": ["Best on RTE, 10 % of the data"],
            "#answer dt": ["Best mean|Against the baseline|Significantly different?|Failed runs|Cost"],
            "#answer strong": [f"{MIX}|+4.0 points|yes|0 of 12|1.02\u00d7 the baseline"],
            "#answer dd span": [f"against {BASE}, same restarts", "(Holm)"],
        },
    ),
    "the baseline is best": (
        rising({BASE: 0.70, MIX: 0.66, "none": 0.64}),
        {
            "#answer dt": ["Best mean|Against the next|Significantly different?"],
            "#answer strong": [f"{BASE}|+4.0 points|yes"],
            "#answer": [f"against {MIX}, same restarts"],
        },
    ),
    "not sure": (
        against_none(12, 0.0001),
        {
            "#answer .state": [
                "Cannot be decided: in the test of all pairs no other strategy differs significantly from the best."
            ]
        },
    ),
    "too few": (
        against_none(3, 0.1),
        {"#answer .state": ["Cannot be decided: too few to test (3 restarts, 12 needed)."]},
    ),
    "sure": (
        against_none(12, 0.1),
        {
            "#answer .state": [
                "In the test of all pairs all other strategies differ significantly from the best. Smallest diff"
            ]
        },
    ),
    "all failed": (
        rising({"none": 0.5, MIX: 0.5}, step=0, status="failed"),
        {"#answer .state": [FAILED], "#verdict .result": [FAILED], "#answer .tiles": []},
    ),
    "groups": (
        "board",
        {"#ranking figure desc": ["paired sign flips over all cells"], "#ranking svg .name": [f"{MIX}|{BASE}"]},
    ),
    "no result": (
        [honest(status="timeout")],
        {
            "#answer h2": ["Best on RTE"],
            "#answer .state": ["Cannot be decided: fewer than two strategies are ranked here."],
            "#answer .tiles": [],
            "#ranking": [""],
        },
    ),
    "one result": (
        [honest()],
        {
            "#answer h2": ["Best on RTE"],
            "#answer .state": ["Cannot be decided: fewer than two strategies are ranked here."],
            "#answer .tiles": ["Best mean"],
            "#ranking": [""],
        },
    ),
    "what it is": (
        "published",
        {
            "#about dt": ["Model", "Training", "Software", "Downloads"],
            "#about dd": ["weights 417d421c2d25", "default 100 steps, batch 16|", "torch 2.13.0", "e9e7ae9"],
            "[aria-labelledby=about-title]": ["leaderboard.csv", "Licence: Apache-2.0", "To cite: "],
        },
    ),
}


@pytest.mark.parametrize(("what", "said"), SAID.values(), ids=SAID)
def test_what_is_said(page, built, request, what, said):
    page.open(request.getfixturevalue(what) if isinstance(what, str) else built(what), address=RTE)
    for selector, texts in said.items():
        found = page.texts(selector)
        assert all(text in "|".join(found) for text in texts) and bool(found) == bool(texts), selector


# --- tables


@pytest.mark.parametrize("address", ["", "#task=all&fraction=all"])
@pytest.mark.parametrize("name", ["board", "planned", "tuned", "published"])
def test_no_cell_of_any_table_is_empty(page, name, address, request):
    page.open(request.getfixturevalue(name), address=address)
    page.run("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert len(page.all("table")) >= 4
    code = "return [...document.querySelectorAll('th, td')].filter(e => !e.textContent.trim()).map(e => e.outerHTML)"
    assert page.run(code) == []


def test_numbers_are_printed_as_the_other_tables_print_them(page, board, tmp_path):
    """Halves, bounds that round to 0 and small p-values: Python's texts and the page's are the same."""
    draw = random.Random(5)
    document = json.loads((board / "leaderboard.json").read_text())
    wanted = [0.0, 0.125, 0.0005, -0.0004, 0.2125, 0.00049, 0.0125, *(round(draw.gauss(0, 0.3), 6) for _ in range(60))]
    section, cell = with_strategies(document, [f"s{at}" for at in range(len(wanted))])
    for row, value in zip(cell["rows"], wanted, strict=True):
        row |= {"mean": value, "mean_low": value - 0.1, "mean_high": value + 0.1}
        row["comparison"] |= {"difference": -value, "low": -value, "high": value, "p_holm": abs(value)}
    section["cells"] = [cell]
    section["ranking"] |= {"strategies": [], "short": [], "unranked": []}
    (tmp_path / "index.html").write_text(pages.html(document, {}))
    page.open(tmp_path)
    shown = {line[0]: line[2:5] for line in page.rows("#table tbody tr:not(.group)")}
    for at, value in enumerate(wanted):
        mean = f"{points(value)} [{points(value - 0.1)}, {points(value + 0.1)}]"
        gain = points(-value, sign=True) + bounds(-value, value, sign=True)
        p = p_value(abs(value)) + (" *" if abs(value) < 0.05 else "")
        assert [text.replace("\u2212", "-") for text in shown[f"s{at}"]] == [mean, gain, p]


def with_strategies(document, names):
    """The first section of a document with other strategies, and its first cell with a row that is compared of each."""
    section = document["sections"][0]
    cell, about = section["cells"][0], section["strategies"][0]
    row = next(row for row in cell["rows"] if row["comparison"])
    section["strategies"] = [about | {"label": name, "strategy": name} for name in names]
    rows = [copy.deepcopy(row) | {"strategy": name} for name in names]
    return section, cell | {"rows": rows, "pairs": all_pairs(cell["pairs"], len(names))}


def test_columns_sort_both_ways(page, board):
    page.open(board, address=RTE)
    first = page.texts(NAMES)
    assert first == [MIX, BASE, "none"]
    page.click("#table thead button", "Mean")
    assert page.texts(NAMES) == first[::-1]
    heads = page.run("return [...document.querySelectorAll('#table th[aria-sort]')].map(e => e.ariaSort)")
    assert heads.count("ascending") == 1 and heads.count("none") == len(heads) - 1
    page.click("#table thead button", "Failed")
    assert page.texts(NAMES)[-1] == "none"


def test_filters_by_task_size_and_text(page, board):
    page.open(board, address=RTE)
    page.choose("task", "all")
    page.choose("fraction", "all")
    assert len(page.texts(NAMES)) == 12 and len(page.texts("#answer li")) == 4
    page.choose("fraction", "100")
    assert sorted(page.texts("#table .group")) == [
        "RTE, 100 % of the data",
        "RTE, 100 % of the data: restarts missing: shown, neither ranked nor compared",
        "pocket-CoLA (synthetic), 100 % of the data",
    ]
    assert page.texts("#notes li") == ["RTE, 100 % of the data, none: restart 11: oom: it broke"]
    assert "task=all" in page.browser.current_url and "fraction=100" in page.browser.current_url
    assert page.browser.switch_to.active_element.get_attribute("name") == "fraction", "the keyboard stays where it was"
    page.browser.find_element("name", "filter").send_keys("MIX")
    assert set(page.texts(NAMES)) == {MIX}


def test_what_is_chosen_stands_in_the_address(page, board):
    page.open(board, address="#task=nonsense&fraction=100&a=none&b=nobody&section=99")
    assert "100 % of the data" in page.texts("#answer h2")[0]
    assert page.browser.find_element("name", "a").get_attribute("value") == "none"
    assert page.browser.find_element("name", "b").get_attribute("value") == BASE


def test_fewer_restarts_by_plan_stand_below_the_ranked_however_they_are_sorted(page, planned):
    page.open(planned)
    below = ["none", "gaussian_dropout(0.1)"]
    assert page.texts(NAMES) == [MIX, BASE, *below]
    ranked, short, missing = page.texts("#table .group")
    assert ranked == "ranked" and "fewer restarts: shown, not ranked" in short and "missing" in missing
    page.click("#table thead button", "Mean")
    assert page.texts(NAMES) == [BASE, MIX, *below]
    assert page.texts("#table tbody td:nth-child(2)") == ["12", "12", "5", "4 of 5"]
    assert page.tiles()["Best mean"] == MIX, "a higher mean of fewer restarts is no winner"
    assert "none (n = 5)" in page.texts("#charts svg .name")
    assert page.texts("#table tbody td:nth-child(5)") == ["\u2013", "<0.001 *", "too few", "\u2013"]


# --- pairs, ranks, published tables, one strategy


def test_any_two_are_compared_as_python_compared_them(page, board):
    page.open(board, address=RTE + "&a=none&b=" + MIX.replace("+", "%2B"))
    said = page.texts("#compare [role=status]")[0]
    assert said.startswith("On RTE, 10 % of the data, none scores \u2212") and "over 12 shared restarts" in said
    assert " Significantly different (p = <0.001, " in said
    assert len(page.all("#compare .mark.hollow")) == 12
    forth = page.rows("#compare tbody tr")[0]
    page.choose("a", MIX)
    page.choose("b", "none")
    back = page.rows("#compare tbody tr")[0]
    low, high = re.findall(r"[+\u2212][\d.]+(?=[,\]])", back[2])
    swap = str.maketrans("+\u2212", "\u2212+")
    assert forth[2] == back[2].partition(" ")[0].translate(swap) + f" [{high.translate(swap)}, {low.translate(swap)}]"
    assert (back[3], forth[3]) == ("12 of 12", "0 of 12") and forth[4:] == back[4:]
    page.choose("b", MIX)
    assert "Choose two different strategies." in page.texts("#compare p")


def test_the_ranking_over_all_tasks(page, planned):
    page.open(planned)
    lines = page.texts("#ranking tbody tr")
    assert [line.startswith(name) for line, name in zip(lines, ("ranked", MIX, BASE, "planned", "none"), strict=True)]
    assert "\u2013\u2013" in lines[-1] and "too few" in lines[-1] and "0/10" in lines[-1]
    assert any(text.startswith("Not ranked: gaussian_dropout(0.1)") for text in page.texts("#verdict li"))


def test_our_results_are_compared_with_published_tables(page, planned):
    page.open(planned, address=RTE)
    assert page.texts("#published h2") == ["Compare our results with published tables"]
    assert page.all("#published")[0].is_displayed()
    said = page.texts("#published li")
    assert "model: small-bert, published: bert-large-uncased" in said
    base, mix = ([part.strip() for part in line] for line in page.rows("#published tbody tr"))
    assert (base[0], base[2], base[-1]) == (BASE, "56.5", "compared with")
    assert (mix[0], mix[1], mix[2]) == (MIX, "67.7 n 12", "61.6")
    assert mix[3].startswith("+6.0 [") and mix[5:] == ["+5.1", "+6.0 [+6.0, +6.0]", "same, significant"]
    page.choose("task", "all")
    assert len(page.texts("#published tbody tr:not(.group)")) == 4
    assert "published=lee20-table1" in page.browser.current_url


def test_where_no_published_table_applies_nothing_is_said(page, built):
    page.open(built([honest("none", task="mine")]))
    assert not page.all("#published")[0].is_displayed()


def test_a_strategy_shows_equation_settings_modules_and_trials(page, board):
    page.open(board)
    page.click("#table .link", MIX)
    view = page.texts("#strategy-view")[0]
    assert "the equation" in view and "p = 0.7" in view and f"{MIX} acts on 1 module" in view
    assert page.browser.switch_to.active_element.get_attribute("id") == "strategy"
    page.click(".trials summary")
    links = page.run("return [...document.querySelectorAll('.trials a')].map(e => e.getAttribute('href'))")
    assert len(links) == 48 and all((board / link).is_file() for link in links)
    page.choose("strategy", "none")
    page.click(".trials summary")
    view = page.texts("#strategy-view")[0]
    assert "These records have no description" in view and "failed (rule)" in view and "oom: it broke" in view


def test_a_strategy_named_like_a_property_of_every_object_has_no_description(page, built):
    page.open(built([honest("constructor"), honest("none")]))
    page.choose("strategy", "constructor")
    assert "These records have no description" in page.texts("#strategy-view")[0]


# --- tuned families


def test_a_tuned_board_shows_default_and_tuned_and_the_floors_apart(page, tuned):
    section = section_of(tuned)
    page.open(tuned, address="#fraction=n+%3D+100")
    assert page.texts("#answer h2") == ["Best on RTE, n = 100"]
    assert "tasks RTE at n = 100, n = 250; " in page.texts("#facts")[0]
    cell = section["cells"][0]
    choices = {choice["strategy"]: choice for choice in section["tuning"] if choice["size"] == "n = 100"}
    heads = page.texts("#table thead button")
    assert heads[2:4] == ["Default", "Tuned (4)"]
    for row, shown in zip(cell["rows"], page.rows("#table tbody tr:not(.group)"), strict=True):
        assert shown[2] == points(choices[row["strategy"]]["default"])
        assert shown[3].startswith(f"{points(row['mean'])} [")
    best = max((row for row in cell["rows"] if row["ranked"]), key=lambda row: row["mean"])
    gained = points(best["mean"] - choices[best["strategy"]]["default"], sign=True).replace("-", "\u2212")
    assert page.tiles()["Tuning gained"] == f"{gained} points"
    assert page.texts("#table .group") == ["ranked", "floors that fine-tuning has to beat: shown, not ranked"]
    assert page.texts(NAMES)[-1] == "floor: tfidf"


def test_the_tuning_section_shows_budgets_choices_and_holdout_against_dev(page, tuned):
    choices = {one["strategy"]: one for one in section_of(tuned)["tuning"] if one["size"] == "n = 100"}
    page.open(tuned, address="#fraction=n+%3D+100&strategy=mixout(w_pre)")
    assert page.texts("#tuning thead button")[1:5] == ["Tuned \u2212 default", "1", "2", "4"]
    for name, _, *shown in page.rows("#tuning tbody tr"):
        curve = choices[name]["curve"]
        assert shown[:4] == [points(score) for score in (curve[0], curve[1], curve[3], choices[name]["oracle"][-1])]
    chosen = {row[0]: row[-1] for row in page.rows("#tuning tbody tr")}
    assert re.fullmatch(
        r"lr \S+ \[.*\]; steps 200 \[100, 300\]; mixout\(w_pre, \S+ \[0.125, 0.375\]\)", chosen["mixout(w_pre)"]
    )
    assert chosen["floor: tfidf"] == "tfidf(1)" and "none(" not in chosen["none"]
    titles = page.texts("#tuning figcaption strong")
    assert [title.partition(":")[0] for title in titles] == [
        "Score vs. budget",
        "Chosen lr",
        "Chosen steps",
        "Holdout vs. dev",
    ]
    assert titles[-1] == "Holdout vs. dev: mixout(w_pre), RTE, n = 100"
    marks = "#tuning figure:last-child svg[role] .mark"
    assert len(page.all(marks)) == 4 * 12 and len(page.all(f"{marks}:not(.hollow)")) == 12
    assert page.run("return /NaN|undefined|Infinity/.test(document.querySelector('main').innerHTML)") is False


def test_cost_is_counted_in_passes_where_records_know_them(page, tuned):
    rows = {row["strategy"]: row for row in section_of(tuned)["cells"][0]["rows"]}
    page.open(tuned, address="#fraction=n+%3D+100")
    at = page.texts("#table thead button").index("Passes")
    shown = {row[0]: row[at] for row in page.rows("#table tbody tr:not(.group)")}
    assert shown == {name: f"{row['passes']:.0f}" for name, row in rows.items()} and shown["none"] == "700"
    (figure,) = [item for item in page.all("#charts figure") if "Score vs. cost" in item.text]
    assert "steps \u00d7 passes, over all configurations" in figure.text and "forward passes of a batch" in figure.text
    (mark,) = {text for text in page.texts("#charts title") if text.startswith("none: ") and "passes" in text}
    assert mark.endswith(" at 700 passes")


def test_an_undertrained_cell_is_titled_so(page, tuned):
    page.open(tuned, address="#fraction=n+%3D+250")
    assert page.texts("#answer h2") == ["Best on RTE, n = 250 (undertrained)"]
    assert "Undertrained" in page.texts("#verdict li")[0] and "Undertrained" in page.texts("#answer .state")[0]
    assert all("n = 250 (undertrained)" in title for title in page.texts("#tuning figcaption strong"))


def test_where_nothing_is_tuned_nothing_is_said_of_it(page, board):
    page.open(board)
    assert not page.all("#tuning")[0].is_displayed() and "Default" not in page.texts("#table thead button")


# --- charts


@pytest.mark.parametrize("pooled", [False, True])
def test_pooled_dev_sets_have_no_single_best_constant_prediction(page, built, pooled):
    """Drawn where every restart has the same one, and only there, as in the figures."""
    records = [honest("none", restart, 0.52 + restart / 50) for restart in range(3)]
    for restart, record in enumerate(records):
        if pooled:
            record["config"] |= {"protocol": record["config"]["protocol"] | {"data": "pooled"}}
            record["result"] |= {"floor": 0.5 + restart / 100}
    page.open(built(records))
    assert len(page.all("#charts .floor")) == (not pooled)
    said = page.texts("#charts figure:first-child desc")[0]
    assert said.endswith("differs by restart." if pooled else "Dashed: the best constant prediction (50.0).")


def test_every_chart_is_drawn_and_described(page, board):
    page.open(board, address=RTE)
    titles = page.texts("#charts figcaption strong")
    assert [title.partition(":")[0] for title in titles] == [
        "All restarts",
        "Score vs. cost",
        "Score vs. training-set size",
    ]
    assert len(page.all("#charts figure:first-child .mark.hollow")) == 3
    roles = page.run(
        "return [...document.querySelectorAll('figure > svg')].map(e => [e.getAttribute('role'),"
        " e.querySelector(':scope > title').textContent, e.querySelector(':scope > desc').textContent])"
    )
    assert len(roles) == 6 and all(role == "img" and title and text for role, title, text in roles)
    assert page.run("return /NaN|undefined|Infinity/.test(document.querySelector('main').innerHTML)") is False


def test_marks_of_many_strategies_differ(page, built):
    page.open(built([honest(f"dropout(0.{p})", 0, 0.5 + p / 100) for p in range(10, 34)]))
    looks = page.run(
        "return [...document.querySelectorAll('#table .swatch path')].map("
        "e => e.getAttribute('class') + e.getAttribute('d'))"
    )
    assert len(looks) == len(set(looks)) == 24
    assert len(page.all("#charts figure:first-child .name")) <= 8 + 4, "the best, the baseline and those picked"


def test_the_strategy_under_pointer_or_focus_stands_out(page, board):
    from selenium.webdriver import ActionChains

    page.open(board)
    link = page.all("#table tbody .link")[0]
    page.run("arguments[0].focus()", link)
    lit = page.texts("figure .lit .name")
    assert lit and all(name.startswith(MIX) for name in lit)
    assert page.run("return document.body.classList.contains('highlighting')")
    ActionChains(page.browser).move_to_element(page.all("#table tbody .link")[2]).perform()
    lit = page.texts("figure .lit .name")
    assert lit and not any(name.startswith(MIX) for name in lit)


def test_a_large_board_is_small_and_quick(page, board, tmp_path):
    """40 strategies on 9 tasks at 5 sizes: at most 2 MB, first paint within a second, rows folded per cell."""
    document = json.loads((board / "leaderboard.json").read_text())
    (tmp_path / "index.html").write_text(pages.html(enlarged(document), {}))
    assert (tmp_path / "index.html").stat().st_size <= 2_000_000
    page.open(tmp_path, address="#task=all&fraction=all")
    paint = page.run("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint <= 1000 * float(os.environ.get("PATIENCE", "3")), f"first paint after {paint:.0f} ms"
    assert len(page.all("#table tbody tr")) == 45 and page.all("#charts figure") == []
    page.click("#table .fold", "task0, 1 % of the data")
    assert len(page.texts(NAMES)) == 40
    assert page.browser.switch_to.active_element.get_attribute("aria-expanded") == "true"


def enlarged(document):
    """Return a board of 40 strategies, 9 tasks and 5 sizes out of one of 3, 2 and 2."""
    names = [about["label"] for about in document["sections"][0]["strategies"]]
    section, cell = with_strategies(document, [*names, *(f"mixout(w_pre, 0.{number})" for number in range(10, 47))])
    for at, row in enumerate(cell["rows"]):
        row["mean"] = 0.6 + at / 1000
    sizes = itertools.product(range(9), (0.01, 0.02, 0.05, 0.1, 1.0))
    section["cells"] = [
        cell | {"task": f"task{at}", "title": f"task{at}", "fraction": size, "amount": f"{100 * size:g} %"}
        for at, size in sizes
    ]
    return document


def all_pairs(pairs, count):
    places = [(i, j) for j in range(count) for i in range(j)]
    values = {key: [column[0]] * len(places) for key, column in pairs.items()}
    values["difference"] = [at % 97 / 1000 for at in range(len(places))]
    return values | {"a": [i for i, _ in places], "b": [j for _, j in places]}


# --- any window, any reader


@pytest.mark.parametrize("width", [360, 600, 768, 1440])
@pytest.mark.parametrize("name", ["board", "tuned", "published"])
def test_nothing_is_wider_than_the_window_and_texts_keep_their_size(page, width, name, request):
    page.open(request.getfixturevalue(name), width=width, address="#task=all&fraction=all")
    page.run("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    inner, whole = page.run("return [innerWidth, document.documentElement.scrollWidth]")
    assert inner == width and whole <= inner
    scales = page.run(
        "return [...document.querySelectorAll('figure > svg')]"
        ".map(e => e.getBoundingClientRect().width / e.width.baseVal.value)"
    )
    assert scales and all(0.97 <= scale <= 1.03 for scale in scales)
    cut = page.run(
        "return [...document.querySelectorAll('figure > svg .name')].filter(e => e.getBBox().x + e.getBBox().width >"
        " e.ownerSVGElement.width.baseVal.value).map(e => e.textContent)"
    )
    assert cut == []
    shown = page.run("return getComputedStyle(document.querySelector('#table table')).display")
    assert shown == ("block" if width < 600 else "table")


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(page, board, axe, width, scheme):
    page.open(board, width=width, scheme=scheme)
    page.run("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    page.run(axe)
    found = page.browser.execute_async_script("axe.run().then(arguments[0])")["violations"]
    assert [(item["id"], [node["html"] for node in item["nodes"]][:3]) for item in found] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_stand_out_in_both_schemes(page, board, scheme):
    """Contrast of at least 4.5 : 1 for text and 3 : 1 for marks, on page and card [WCAG 2.2]."""
    page.open(board, scheme=scheme)
    names = ["paper", "card", "ink", "soft", "link", *(f"c{n}" for n in range(8))]
    read = "return arguments[0].map(n => getComputedStyle(document.documentElement).getPropertyValue('--' + n))"
    colours = dict(zip(names, page.run(read, names), strict=True))
    for ground in ("paper", "card"):
        for name in names[2:]:
            least = 3.0 if name.startswith("c") else 4.5
            assert contrast(colours[name], colours[ground]) >= least, (name, ground)


def contrast(one, other):
    levels = sorted((luminance(one), luminance(other)))
    return (levels[1] + 0.05) / (levels[0] + 0.05)


def luminance(colour):
    text = colour.strip().lstrip("#")
    text = "".join(sign * 2 for sign in text) if len(text) == 3 else text
    parts = [int(text[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_everything_is_reached_by_keyboard(page, board):
    from selenium.webdriver import ActionChains, Keys

    page.open(board)
    wanted = page.run(
        "return [...document.querySelectorAll('button, select, input, a, summary')]"
        ".filter(e => e.checkVisibility()).length"
    )
    code = "const e = document.activeElement; e.dataset.seen = 1; return e !== document.body"
    for _ in range(wanted):
        ActionChains(page.browser).send_keys(Keys.TAB).perform()
        assert page.run(code)
    assert len(page.all("[data-seen]")) == wanted


def test_the_skip_link_leads_to_the_verdict_and_keeps_the_choice(page, built):
    """Two sections, distinguished under the title; the answer is not read anew where it says the same."""
    records = [honest(name, r, 0.6 + r / 100) for name in (BASE, MIX) for r in range(3)]
    others = [honest(name, r, 0.6 + r / 50) for name in (BASE, MIX) for r in range(2)]
    for item in others:
        item["config"] |= {"protocol": item["config"]["protocol"] | {"bias_correction": False}}
    folder = built([*records, *others])
    page.open(folder)
    first = page.texts("#verdict h2")[0]
    other = json.loads((folder / "leaderboard.json").read_text())["sections"][1]
    assert page.texts("#verdict .also") == [other["heading"] + other["verdict"][0]]
    page.click("#verdict .also button")
    assert page.texts("#verdict h2") == [other["heading"]]
    assert "bias_correction true" in first and "bias_correction false" in page.texts("#verdict h2")[0]
    page.run("window.kept = document.getElementById('answer-title')")
    page.click(".skip")
    assert page.browser.switch_to.active_element.get_attribute("id") == "verdict"
    assert page.browser.find_element("name", "section").get_attribute("value") == "1"
    page.choose("a", MIX if page.texts("[name=a] [selected]") == [BASE] else BASE)
    assert page.run("return window.kept === document.getElementById('answer-title')")
    page.choose("section", "0")
    assert not page.run("return window.kept === document.getElementById('answer-title')")


def test_the_published_board_prints_on_at_most_six_pages(page, published):
    page.open(published)
    size = {"paperWidth": 8.27, "paperHeight": 11.69}
    printed = base64.b64decode(page.browser.execute_cdp_cmd("Page.printToPDF", size)["data"])
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 6
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not page.browser.find_element("id", "controls").is_displayed()
    assert page.browser.find_element("id", "verdict").is_displayed()
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_hostile_names_are_shown_as_text(page, store):
    names = {"task": HOSTILE, "model": HOSTILE, "metric": HOSTILE}
    entries = [honest(HOSTILE, restart, **names) for restart in range(2)] + [honest("none", 0, **names)]
    entries.append(honest("none", 1, status="error", **names))
    entries[-1]["result"]["reason"] = HOSTILE
    folder = store(entries)
    keys = ("term", "name", "summary", "equation", "paper", "deviations", "cost")
    (folder / "methods.json").write_text(json.dumps({HOSTILE: [dict.fromkeys(keys, HOSTILE) | {"settings": {}}]}))
    build([folder], folder)
    page.open(folder, width=360)
    assert page.run("return document.querySelectorAll('img, b b, #table script').length") == 0
    assert any(HOSTILE.split("\u2028")[0] in text for text in page.texts("#table tbody th"))
    assert page.run("return document.documentElement.scrollWidth") == 360


def test_a_page_without_cost_has_neither_tile_nor_chart_nor_column(page, board, tmp_path):
    build([board], tmp_path, without_cost=True)
    page.open(tmp_path)
    assert "Cost" not in page.texts("#answer dt") and "Time" not in page.texts("#table thead button")
    assert "Score vs. cost" not in " ".join(page.texts("figcaption strong"))


@pytest.mark.skipif("SCREENSHOTS" not in os.environ, reason="renews docs/page/*.png; set SCREENSHOTS=1")
@pytest.mark.parametrize(
    ("name", "width", "scheme"), [("light", 1280, "light"), ("dark", 1280, "dark"), ("phone", 360, "light")]
)
def test_screenshots(page, published, name, width, scheme):
    page.open(published, width=width, scheme=scheme)
    time.sleep(0.2)  # fonts
    area = {"clip": {"x": 0, "y": 0, "width": width, "height": 1500, "scale": 1}, "captureBeyondViewport": True}
    image = page.browser.execute_cdp_cmd("Page.captureScreenshot", area)["data"]
    (ROOT / "docs" / "page" / f"{name}.png").write_bytes(base64.b64decode(image))
