"""The page: what stands in the file, and what a reader sees and does in a real browser."""

import json
import random
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from leaderboard import page
from leaderboard.build import build
from leaderboard.records.plan import PLAN, encode_plan, plan_of
from leaderboard.records.store import write_record
from leaderboard.stats.tests import sign_flips

ROOT = Path(__file__).parents[2]
BASE, MIX = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)"
HOSTILE = "x</script><script>alert(1)</script><img src=x onerror=alert(1)>\u2028 & <b>b</b> \"'"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage")


def described(strategy):
    keys = ("term", "name", "summary", "equation", "paper", "deviations", "cost")
    return [{key: f"the {key}" for key in keys} | {"term": strategy, "settings": {"p": "0.7"}}]


@pytest.fixture(scope="module")
def made(tmp_path_factory, request):
    """A run's folder with its page: two tasks (one with three split seeds), two fractions, three strategies."""
    honest = request.getfixturevalue("honest_factory")
    folder = tmp_path_factory.mktemp("page") / "run"
    levels = {"none": 0.60, BASE: 0.62, MIX: 0.66}
    for task, metric in (("rte", "accuracy"), ("pocket-cola", "matthews")):
        for fraction in (0.1, 1.0):
            for strategy, level in levels.items():
                for restart in range(12):
                    failed = strategy == "none" and restart < 3
                    score = 0.5 if failed else round(level + 0.1 * fraction + 0.003 * (7 * restart % 12), 4)
                    record = honest(strategy, restart, score, status="failed" if failed else "ok")
                    record["config"] |= {"task": task, "metric": metric, "fraction": fraction}
                    record["result"]["seconds"]["total"] = 1.0 + level
                    if task == "pocket-cola":
                        record["config"] |= {"split_seed": restart % 3, "split_hash": f"{restart % 3}" * 64}
                    write_record(folder / "records", record)
    lost = honest("none", 11, status="oom")
    lost["config"] |= {"task": "rte", "metric": "accuracy", "fraction": 1.0}
    write_record(folder / "records", lost)
    (folder / "methods.json").write_text(json.dumps({MIX: described(MIX)}))
    build([folder], folder)
    return folder


class Reader(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


# --- the file


def test_the_page_stands_alone(made):
    text = (made / "index.html").read_text()
    reader = Reader()
    reader.feed(text)
    addresses = [value for _, attributes in reader.tags for key, value in attributes.items() if key in ("src", "href")]
    assert set(addresses) == {"#answer", "data:,"}
    assert "default-src 'none'" in text and not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|innerHTML", text)
    assert [tag for tag, _ in reader.tags].count("script") == 2


def test_the_same_records_give_the_same_page(made, tmp_path):
    before = (made / "index.html").read_bytes()
    build([made], made)
    assert (made / "index.html").read_bytes() == before
    build([made], tmp_path / "a")
    build([made / "records"], tmp_path / "b")
    assert (tmp_path / "a" / "index.html").read_bytes() == (tmp_path / "b" / "index.html").read_bytes()


def test_texts_of_records_cannot_leave_their_block(honest_record, store, tmp_path):
    entry = honest_record(HOSTILE, task=HOSTILE, model=HOSTILE, metric=HOSTILE)
    entry["result"]["epochs"] = []
    build([store([entry])], tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text()
    assert "alert(1)" in text and "<script>alert" not in text and "<img" not in text and "\u2028" not in text
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert json.loads(block[1])["leaderboard"]["sections"][0]["cells"][0]["task"] == HOSTILE


def test_records_are_linked_only_where_they_lie_beside_the_page(made, tmp_path):
    build([made], tmp_path)
    links = [
        json.loads(re.search(r'id="data">(.*?)</script>', (folder / "index.html").read_text(), re.DOTALL)[1])["records"]
        for folder in (made, tmp_path)
    ]
    assert links == ["records/", None]


def test_the_percentiles_are_those_of_the_tables(made):
    content = json.loads((made / "leaderboard.json").read_text())
    text = page.html(content, {})
    tails = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])["tails"]
    assert list(map(int, tails)) == list(range(2, 13)) and all(0 < share < 0.025 for share in tails.values())


# --- in the browser


STARTS, PATIENCE = 3, 900  # tries to start a browser; seconds that it may take for a page or a script


def start(profile, width=1440, height=900):
    """Return a Chromium that Selenium drives, or skip the test with the reason why there is none."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (pip install '.[dev]')")
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.chrome.service import Service

    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no Chromium with chromedriver on this machine (apt-get install chromium chromium-driver)")
    options = selenium.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    said = ""
    for _ in range(STARTS):  # both wait for each other for a minute at most, which a loaded machine can exceed
        try:
            started = selenium.Chrome(options=options, service=Service(driver))
        except WebDriverException as error:
            said = str(error.msg).partition("\n")[0]
        else:
            started.set_script_timeout(PATIENCE)
            started.set_page_load_timeout(PATIENCE)
            return started
    return pytest.skip(f"the Chromium of this machine did not start in {STARTS} tries: {said}")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "localhost,127.0.0.1")  # the driver listens on this machine
        driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def open_page(browser, made):
    """Open the page at a width and, after the test, ask the console whether anything went wrong."""

    def go(width=1440, folder=made, address="", scheme="light"):
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        browser.get("about:blank")
        browser.get(f"{(folder / 'index.html').as_uri()}{address}")
        return browser

    yield go
    assert [line for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")] == []


def texts(browser, selector):
    return browser.execute_script(f"return [...document.querySelectorAll({selector!r})].map(e => e.textContent)")


def click(browser, selector, text):
    """Click the element of that text with the keyboard, as a reader without a mouse would."""
    found = [e for e in browser.find_elements("css selector", selector) if e.text.startswith(text)]
    found[0].send_keys("\n")


def choose(browser, name, value):
    from selenium.webdriver.support.select import Select

    Select(browser.find_element("name", name)).select_by_value(value)


def test_a_stranger_finds_the_answer_at_once(open_page):
    """Best at 10 % of RTE, by how much over dropout, whether that is significant, how often it fails, its cost."""
    browser = open_page()
    assert texts(browser, "#answer h2") == ["Best on rte, 10 % of the data"]
    names, values = texts(browser, "#answer dt"), texts(browser, "#answer strong")
    told = dict(zip(names, values, strict=True))
    assert told == {
        "Best mean": MIX,
        "Over the baseline": "+4.0 points",
        "Distinguishable?": "yes",
        "Fails": "0 of 12",
        "Costs": "1.02\u00d7 the baseline",
    }
    details = " ".join(texts(browser, "#answer dd span"))
    assert f"against {BASE}, same restarts" in details and "corrected for the whole table" in details


def test_where_the_baseline_is_best_the_next_one_is_named(open_page, honest_record, store):
    levels = {BASE: 0.70, MIX: 0.66, "none": 0.64}
    records = [honest_record(name, r, round(level + r / 200, 4)) for name, level in levels.items() for r in range(12)]
    folder = store(records)
    build([folder], folder)
    browser = open_page(folder=folder)
    told = dict(zip(texts(browser, "#answer dt"), texts(browser, "#answer strong"), strict=True))
    assert (told["Best mean"], told["Over the next"], told["Distinguishable?"]) == (BASE, "+4.0 points", "yes")
    assert f"against {MIX}, same restarts" in texts(browser, "#answer")[0]
    assert "from the next one" in texts(browser, "#answer")[0]


def test_columns_sort_both_ways(open_page):
    browser = open_page()
    first = [name for name in texts(browser, "#table tbody th")]
    assert first == [MIX, BASE, "none"]
    click(browser, "#table thead button", "Mean")
    assert texts(browser, "#table tbody th") == first[::-1]
    heads = browser.execute_script("return [...document.querySelectorAll('#table th[aria-sort]')].map(e => e.ariaSort)")
    assert heads.count("ascending") == 1 and heads.count("none") == len(heads) - 1
    click(browser, "#table thead button", "Failed")
    assert texts(browser, "#table tbody th")[-1] == "none"


def test_filters_by_task_fraction_and_technique(open_page):
    browser = open_page()
    choose(browser, "technique", "mixout")
    assert texts(browser, "#table tbody th") == [MIX]
    choose(browser, "technique", "all")
    choose(browser, "task", "all")
    choose(browser, "fraction", "all")
    assert len(texts(browser, "#table tbody td:nth-child(2)")) == 12 and len(texts(browser, "#answer li")) == 4
    choose(browser, "fraction", "1")
    assert len(texts(browser, "#table tbody td:nth-child(2)")) == 6
    missing = "rte, 100 % of the data: restarts missing: shown, neither ranked nor compared"
    assert sorted(texts(browser, "#table .group")) == [
        "pocket-cola (synthetic), 100 % of the data",
        "rte, 100 % of the data",
        missing,
    ]
    notes = texts(browser, "#notes li")
    assert notes == ["rte 100 %, none: restart 11: oom: it broke"]
    assert "task=all" in browser.current_url and "fraction=1" in browser.current_url
    assert browser.switch_to.active_element.get_attribute("name") == "fraction", "the keyboard stays where it was"


def test_what_is_chosen_stands_in_the_address(open_page, made):
    browser = open_page(address="#task=nonsense&fraction=1&a=none&b=nobody&section=99")
    assert "100 % of the data" in texts(browser, "#answer h2")[0]
    assert browser.find_element("name", "first").get_attribute("value") == "none"
    assert browser.find_element("name", "second").get_attribute("value") == BASE


def test_any_two_are_compared_restart_by_restart(open_page):
    browser = open_page()
    choose(browser, "first", "none")
    choose(browser, "second", MIX)
    said = texts(browser, "#compare [role=status]")[0]
    assert said.startswith("On rte, 10 % of the data, none scores \u2212") and "over 12 shared restarts" in said
    assert said.endswith(" A sign flip tells them apart (p = 0.00049, not corrected for the pairs you choose from).")
    assert len(browser.find_elements("css selector", "#compare .mark.hollow")) == 12
    choose(browser, "second", "none")
    assert "Choose two different strategies." in texts(browser, "#compare p")


def test_a_comparison_is_judged_by_its_test_and_has_the_interval_of_the_tables(open_page):
    browser = open_page()
    code = """
        const told = (p, interval) => sentence("a", "b", {cell: data.sections[0].cells[0],
            found: {p, interval, difference: 0.02, pairs: Array(12)}}, data);
        return [told(0.04, [-0.0001, 0.04]), told(0.06, [0.0001, 0.04]), told(null, null)];"""
    apart, alike, few = browser.execute_script(code)
    assert "[\u22120.0, +4.0]. A sign flip tells them apart (p = 0.040, " in apart
    assert alike.endswith("[+0.0, +4.0]. A sign flip does not tell them apart (p = 0.060).")
    assert few.endswith("shared restarts. Too few restarts to test (12 needed): no finding.")
    changed = (
        "data.sections[0].cells.flatMap(c => c.rows).forEach(r => { if (r.comparison) r.comparison.low = -0.77; })"
    )
    browser.execute_script(f"{changed}; draw();")
    choose(browser, "first", "none")
    for place in ("[role=status]", "tbody"):
        assert "[\u221277.0, " in texts(browser, f"#compare {place}")[0]
    choose(browser, "second", "none")
    choose(browser, "first", BASE)
    assert ", +77.0]. A sign flip" in texts(browser, "#compare [role=status]")[0]
    choose(browser, "first", MIX)
    assert "77.0" not in texts(browser, "#compare")[0]


def test_the_page_computes_what_the_tables_say(open_page):
    """Differences and p-values to rounding, intervals to the noise of 10,000 resamples."""
    browser = open_page()
    found = browser.execute_script("""
        const lines = [];
        for (const section of data.sections) for (const cell of section.cells) for (const row of cell.rows) {
            const base = cell.rows.find(other => other.strategy === section.baseline);
            if (!row.comparison) continue;
            const own = pairRows(row, base, everything.tails, data.minimum_restarts);
            lines.push([own.difference, own.p, ...own.interval, row.comparison]);
        }
        return lines;""")
    assert len(found) == 7
    for difference, p, low, high, told in found:
        assert difference == pytest.approx(told["difference"], abs=1e-9)
        assert p == pytest.approx(told["p"], abs=1e-9)
        width = told["high"] - told["low"]
        assert abs(low - told["low"]) <= 0.05 * width + 1e-9 and abs(high - told["high"]) <= 0.05 * width + 1e-9


def test_p_values_count_every_sign_pattern_as_the_tables_do(open_page):
    """Up to 30 differences, with ties and zeros among them: equal to the last bit, as nothing is drawn."""
    browser, draw = open_page(), random.Random(3)
    tests = [[0.0, *(round(draw.gauss(0.004, 0.01), 3) for _ in range(count))] for count in (3, 12, 16, 17, 24, 30)]
    tests.append([0.01] * 30)
    assert browser.execute_script("return arguments[0].map(signFlip)", tests) == sign_flips(tests)


def test_intervals_draw_over_split_seeds(open_page):
    """Two splits that differ, restarts within them alike: the interval spans both only if splits are drawn too."""
    browser = open_page()
    code = "return bootstrapInterval([1, 1, 1, 0, 0, 0], arguments[0], 0.025)"
    assert browser.execute_script(code, list("aaabbb")) == [0, 1]
    low, high = browser.execute_script(code, list("aaaaaa"))
    assert 0 < low < 0.5 < high < 1
    assert browser.execute_script("return signFlip([1, 1, 1])") == 0.25
    assert browser.execute_script("return signFlip([0, 0])") == 1


@pytest.fixture(scope="module")
def planned(tmp_path_factory, request):
    """A page as of a board: two strategies with 12 restarts, two planned with 5, one of which is not complete."""
    honest = request.getfixturevalue("honest_factory")
    folder = tmp_path_factory.mktemp("planned") / "run"
    levels = {BASE: (0.60, 12), MIX: (0.66, 12), "none": (0.63, 5), "gaussian_dropout(0.1)": (0.70, 5)}
    configs = []
    for task, metric in (("rte", "accuracy"), ("cola", "matthews")):
        for strategy, (level, count) in levels.items():
            for restart in range(count):
                record = honest(strategy, restart, round(level + 0.003 * (7 * restart % 12), 4))
                record["config"] |= {"task": task, "metric": metric}
                configs.append(record["config"])
                if (strategy, restart) != ("gaussian_dropout(0.1)", 2):
                    write_record(folder / "records", record)
    (folder / PLAN).write_bytes(encode_plan(plan_of(configs)))
    build([folder], folder)
    return folder


def test_fewer_restarts_by_plan_stand_below_the_ranked_however_they_are_sorted(open_page, planned):
    browser = open_page(folder=planned)
    names = "#table tbody tr:not(.group) th"
    below = ["none", "gaussian_dropout(0.1)"]
    assert texts(browser, names) == [MIX, BASE, *below]
    ranked, short, missing = texts(browser, "#table .group")
    assert ranked == "ranked" and "fewer restarts: shown, not ranked" in short and "missing" in missing
    click(browser, "#table thead button", "Mean")
    assert texts(browser, names) == [BASE, MIX, *below]
    counts = texts(browser, "#table tbody td:nth-child(2)")
    assert counts == ["12", "12", "5", "4 of 5"]
    told = dict(zip(texts(browser, "#answer dt"), texts(browser, "#answer strong"), strict=True))
    assert told["Best mean"] == MIX, "a higher mean of fewer restarts is no winner"
    assert "All other 1 ranked can be told from the best." in texts(browser, "#answer")[0]
    assert "none (n = 5)" in " ".join(texts(browser, "#charts svg .name"))


def test_over_all_tasks_they_stand_below_without_a_rank(open_page, planned):
    browser = open_page(folder=planned)
    lines = texts(browser, "#overall tbody tr")
    assert [line.startswith(name) for line, name in zip(lines, ("ranked", MIX, BASE, "planned", "none"), strict=True)]
    assert "\u2013\u2013" in lines[-1] and "too few" in lines[-1] and "0/10" in lines[-1]
    assert texts(browser, "#overall li") == [
        "Not ranked: gaussian_dropout(0.1) (4 of 5 restarts by plan, others 12, at cola 10 %, and 1 more)"
    ]


def test_the_critical_difference_diagram_says_what_it_shows(open_page, planned, made):
    browser = open_page(folder=made)
    described = texts(browser, "#overall figure desc")[0]
    assert f"Mean ranks: {MIX} 1.00; {BASE} 2.00" in described and "paired sign flips over all cells" in described
    assert len(browser.find_elements("css selector", "#overall svg line.group")) == described.count("Not told apart:")
    data = json.loads((made / "leaderboard.json").read_text())["sections"][0]["ranking"]
    assert "a strategy can be told from the baseline (p) and still share its tier." in described
    assert data["critical_difference"] > len(data["places"]) - 1 and "Nemenyi" not in described
    members = browser.find_elements("css selector", "#overall svg .member")
    assert len(members) == sum(len(group) for group in data["groups"])


def test_ours_stand_beside_the_published_figures(open_page, planned):
    browser = open_page(folder=planned)
    assert texts(browser, "#published h2") == ["Beside the papers"]
    assert browser.find_element("name", "published").get_attribute("value") == "lee20-table1"
    said = texts(browser, "#published li")
    assert (
        "model: small-bert, published: bert-large-uncased" in said and "training data: 10 %, published: 100 %" in said
    )
    base, mix = ([part.strip() for part in line] for line in rows(browser, "#published tbody tr"))
    assert (base[0], base[2], base[-1]) == (BASE, "56.5", "compared with")
    assert (mix[0], mix[1], mix[2]) == (MIX, "67.7 n 12", "61.6")
    assert mix[3].startswith("+6.0 [")
    assert mix[6:] == ["+5.1", "+6.0 [+6.0, +6.0]", "same, clear"]
    assert "Of 2 published differences: 2 have the same sign here (2 clear)." in texts(browser, "#published")[0]
    choose(browser, "task", "all")
    assert len(texts(browser, "#published tbody tr")) == 4
    assert "published=lee20-table1" in browser.current_url


def rows(browser, selector):
    code = f"return [...document.querySelectorAll({selector!r})].map(r => [...r.children].map(e => e.textContent))"
    return browser.execute_script(code)


def test_where_no_paper_is_met_nothing_is_said(open_page, honest_record, store):
    folder = store([honest_record("none", r, task="mine") for r in range(2)])
    build([folder], folder)
    browser = open_page(folder=folder)
    assert texts(browser, "#published") == [""]


def test_marks_of_many_strategies_differ(open_page, honest_record, store):
    folder = store([honest_record(f"dropout(0.{p})", 0, 0.5 + p / 100) for p in range(10, 34)])
    build([folder], folder)
    browser = open_page(folder=folder)
    looks = browser.execute_script(
        "return [...document.querySelectorAll('#table .swatch path')].map("
        "e => e.getAttribute('class') + e.getAttribute('d'))"
    )
    assert len(looks) == len(set(looks)) == 24


def test_a_strategy_shows_equation_settings_modules_and_trials(open_page, made):
    browser = open_page()
    click(browser, "#table .link", MIX)
    view = texts(browser, "#strategy-view")[0]
    assert "the equation" in view and "p = 0.7" in view and f"{MIX} touches 1 modules or parameters" in view
    assert browser.switch_to.active_element.get_attribute("id") == "strategy"
    links = browser.execute_script(
        "return [...document.querySelectorAll('.trials a')].map(e => e.getAttribute('href'))"
    )
    assert len(links) == 48 and all((made / link).is_file() for link in links)
    choose(browser, "strategy", "none")
    assert "No description lies beside these records" in texts(browser, "#strategy-view")[0]
    assert (
        "failed (rule)" in texts(browser, "#strategy-view")[0]
        and "oom: it broke" in texts(browser, "#strategy-view")[0]
    )


def test_a_strategy_named_like_a_property_of_every_object_has_no_description(open_page, honest_record, store, tmp_path):
    build([store([honest_record("constructor"), honest_record("none")])], tmp_path / "out")
    browser = open_page(folder=tmp_path / "out")
    choose(browser, "strategy", "constructor")
    assert "No description lies beside these records" in texts(browser, "#strategy-view")[0]
    choose(browser, "technique", "constructor")
    assert texts(browser, "#table tbody th") == ["constructor"]


def test_pooled_dev_sets_have_no_single_best_constant_prediction(open_page, honest_record, store, tmp_path):
    """Drawn where every restart has the same one, and only there, as in the figures."""
    for pooled, lines in ((False, 1), (True, 0)):
        records = [honest_record("none", restart, 0.52 + restart / 50) for restart in range(3)]
        for restart, record in enumerate(records):
            if pooled:
                record["config"] |= {"protocol": record["config"]["protocol"] | {"data": "pooled"}}
                record["result"] |= {"floor": 0.5 + restart / 100}
        build([store(records, str(pooled))], tmp_path / "out")
        browser = open_page(folder=tmp_path / "out")
        assert len(browser.find_elements("css selector", "#charts .floor")) == lines
        said = texts(browser, "#charts figure:first-child desc")[0]
        assert said.endswith("differs by restart." if pooled else "Dashed: the best constant prediction (50.0).")


def test_every_chart_is_drawn_and_described(open_page):
    browser = open_page()
    assert len(browser.find_elements("css selector", "#charts figure")) == 4
    assert len(browser.find_elements("css selector", "#charts figure:first-child .mark.hollow")) == 3
    assert "Wall-clock under the load of that moment" in " ".join(texts(browser, "#charts desc"))
    roles = browser.execute_script(
        "return [...document.querySelectorAll('figure > svg')].map(e => [e.getAttribute('role'),"
        " e.querySelector(':scope > title').textContent, e.querySelector(':scope > desc').textContent])"
    )
    assert len(roles) == 6 and all(role == "img" and title and text for role, title, text in roles)
    boxes = browser.execute_script(
        "return [...document.querySelectorAll('figure > svg .mark')].filter(e => !e.getAttribute('d') || /NaN/.test("
        "e.getAttribute('d'))).length"
    )
    assert boxes == 0


@pytest.mark.parametrize("width", [360, 820, 1440])
@pytest.mark.parametrize("name", ["made", "planned"])
def test_nothing_is_wider_than_the_window(open_page, width, name, request):
    browser = open_page(width, request.getfixturevalue(name), address="#task=all&fraction=all")
    browser.execute_script("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    inner, whole = browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    assert inner == width and whole <= inner


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_in_both_schemes(open_page, scheme):
    """Contrast of at least 4.5 : 1 for text and 3 : 1 for marks, on page and card [WCAG 2.2]."""
    browser = open_page(scheme=scheme)
    names = ["paper", "card", "ink", "soft", "link", *(f"c{n}" for n in range(8))]
    read = "return arguments[0].map(n => getComputedStyle(document.documentElement).getPropertyValue('--' + n))"
    colours = dict(zip(names, browser.execute_script(read, names), strict=True))
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


def test_everything_is_reached_by_keyboard_and_has_a_name(open_page):
    browser = open_page()
    nameless = browser.execute_script(
        "return [...document.querySelectorAll('button, select, a, summary')].filter(e => !e.textContent.trim()"
        " || e.tabIndex < 0 || (e.tagName === 'SELECT' && !e.labels.length)).map(e => e.outerHTML)"
    )
    assert nameless == []
    assert browser.execute_script("return document.querySelectorAll('table:not(:has(caption))').length") == 0
    assert browser.execute_script("return document.documentElement.lang") == "en"
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('thead button')].filter(e => e.checkVisibility())"
        ".map(e => [e.offsetWidth, e.offsetHeight])"
    )
    assert sizes and all(width >= 24 and height >= 24 for width, height in sizes)


def test_printing_opens_the_trials_and_hides_the_controls(open_page):
    browser = open_page()
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script("return [...document.querySelectorAll('details')].every(e => e.open)")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not browser.find_element("id", "controls").is_displayed()
    assert browser.find_element("css selector", "#answer .rivals").is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_the_skip_link_leads_to_the_answer_and_keeps_the_choice(open_page, honest_record, store):
    """Two sections, told apart under the title; the answer stands, and is not read anew, where it says the same."""
    records = [honest_record(name, r, 0.6 + r / 100) for name in (BASE, MIX) for r in range(3)]
    others = [honest_record(name, r, 0.6 + r / 50) for name in (BASE, MIX) for r in range(2)]
    for item in others:
        item["config"] |= {"protocol": item["config"]["protocol"] | {"bias_correction": False}}
    folder = store([*records, *others])
    build([folder], folder)
    browser = open_page(folder=folder)
    first = texts(browser, "#facts")[0]
    choose(browser, "section", "1")
    assert ", bias_correction true. " in first and ", bias_correction false. " in texts(browser, "#facts")[0]
    browser.execute_script("window.kept = document.getElementById('answer-title')")
    browser.find_element("css selector", ".skip").send_keys("\n")
    assert browser.switch_to.active_element.get_attribute("id") == "answer"
    assert browser.find_element("name", "section").get_attribute("value") == "1"
    choose(browser, "first", MIX if texts(browser, "[name=first] [selected]") == [BASE] else BASE)
    assert browser.execute_script("return window.kept === document.getElementById('answer-title')")
    choose(browser, "section", "0")
    assert not browser.execute_script("return window.kept === document.getElementById('answer-title')")


def test_hostile_names_are_shown_as_text(open_page, honest_record, store, tmp_path):
    names = {"task": HOSTILE, "model": HOSTILE, "metric": HOSTILE}
    entries = [honest_record(HOSTILE, restart, **names) for restart in range(2)] + [honest_record("none", 0, **names)]
    entries.append(honest_record("none", 1, status="error", **names))
    entries[-1]["result"]["reason"] = HOSTILE
    folder = store(entries)
    (folder / "methods.json").write_text(json.dumps({HOSTILE: described(HOSTILE)}))
    build([folder], folder)
    browser = open_page(360, folder)
    assert browser.execute_script("return document.querySelectorAll('img, b b, #table script').length") == 0
    assert any(HOSTILE.split("\u2028")[0] in text for text in texts(browser, "#table tbody th"))
    assert browser.execute_script("return document.documentElement.scrollWidth") == 360


def test_a_page_without_cost_has_neither_tile_nor_chart_nor_column(open_page, made, tmp_path):
    build([made], tmp_path, without_cost=True)
    browser = open_page(folder=tmp_path)
    assert "Costs" not in texts(browser, "#answer dt") and "Time" not in texts(browser, "#table thead button")
    assert len(browser.find_elements("css selector", "#charts figure")) == 3


@pytest.mark.parametrize("status", ["timeout", "ok"])
def test_a_page_of_almost_nothing(open_page, honest_record, store, status):
    folder = store([honest_record(status=status)])
    build([folder], folder)
    browser = open_page(folder=folder)
    assert "Best on rte" in texts(browser, "#answer h2")[0]
    assert ("nothing can be ranked" in texts(browser, "#answer")[0]) == (status == "timeout")
    assert texts(browser, "#overall")[0]
