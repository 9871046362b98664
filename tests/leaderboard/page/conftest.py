"""A real Chromium, and boards for its pages."""

import importlib.util
import itertools
import json
import random
import shutil
from pathlib import Path

import pytest

from leaderboard.build import build
from leaderboard.records.plan import PLAN, encode_plan, plan_of
from leaderboard.records.store import write_record

BASE, MIX = "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage")
STARTS, PATIENCE = 3, 900  # tries to start a browser; seconds that it may take for a page or a script
PUBLISHED = Path(__file__).parents[3] / "leaderboard" / "published"


def described(strategy):
    keys = ("term", "name", "summary", "equation", "paper", "deviations", "cost")
    return [{key: f"the {key}" for key in keys} | {"term": strategy, "settings": {"p": "0.7"}}]


@pytest.fixture(scope="session")
def board(tmp_path_factory, honest_record):
    """A run's folder with its page: two tasks, two fractions, three strategies."""
    folder = tmp_path_factory.mktemp("page") / "run"
    levels = {"none": 0.60, BASE: 0.62, MIX: 0.66}
    tasks = (("rte", "accuracy"), ("pocket-cola", "matthews"))
    for (task, metric), fraction, strategy, restart in itertools.product(tasks, (0.1, 1.0), levels, range(12)):
        failed = strategy == "none" and restart < 3
        score = 0.5 if failed else round(levels[strategy] + 0.1 * fraction + 0.003 * (7 * restart % 12), 4)
        place = {"task": task, "metric": metric, "fraction": fraction}
        record = honest_record(strategy, restart, score, status="failed" if failed else "ok", **place)
        record["result"]["seconds"]["total"] = 1.0 + levels[strategy]
        write_record(folder / "records", record)
    write_record(folder / "records", honest_record("none", 11, status="oom", task="rte", fraction=1.0))
    (folder / "methods.json").write_text(json.dumps({MIX: described(MIX)}))
    build([folder], folder)
    return folder


@pytest.fixture(scope="session")
def planned(tmp_path_factory, honest_record):
    """Two strategies with 12 restarts, two planned with 5, one of which is not complete."""
    folder = tmp_path_factory.mktemp("planned") / "run"
    levels = {BASE: (0.60, 12), MIX: (0.66, 12), "none": (0.63, 5), "gaussian_dropout(0.1)": (0.70, 5)}
    configs = []
    for (task, metric), strategy in itertools.product((("rte", "accuracy"), ("cola", "matthews")), levels):
        level, count = levels[strategy]
        for restart in range(count):
            score = round(level + 0.003 * (7 * restart % 12), 4)
            record = honest_record(strategy, restart, score, task=task, metric=metric)
            configs.append(record["config"])
            if (strategy, restart) != ("gaussian_dropout(0.1)", 2):
                write_record(folder / "records", record)
    (folder / PLAN).write_bytes(encode_plan(plan_of(configs)))
    build([folder], folder)
    return folder


FAMILIES = {"none": "none", "mixout(w_pre)": "mixout(w_pre, {:g})", "floor: tfidf": "none"}
AXES = {"lr": "1e-05 to 0.001, log; default 0.0001", "steps": "100, 300; default 100"}


def configurations(honest_record, family, examples, restart):
    """The records of a family in a restart: draw 0 on all examples, and four draws whose holdout is coarse."""
    draw = random.Random(f"{family} {examples} {restart}")
    for number in (None, 0, 1, 2, 3):
        strategy = FAMILIES[family].format(0.7 if not number else number / 8)
        record = honest_record(strategy, restart, round(draw.uniform(0.5, 0.9), 4), task="rte")
        lr, steps = (1e-4, 100) if not number else (number * 1e-5, 300 if examples == 250 else 100 + 100 * (number % 3))
        record["config"]["protocol"] = record["config"]["protocol"] | {"lr": lr, "steps": steps}
        place = {"family": family, "draw": number or 0, "axes": AXES, "holdout": None, "holdout_hash": None}
        if number is not None:
            place |= {"holdout": 0.25, "holdout_hash": f"{examples}-{restart}"}
            record["result"]["holdout"] = {"score": draw.randrange(8) / 8 if number else 0.1, "predictions": []}
        record["config"] |= {"size": {"examples": examples}, "fraction": examples / 1000, "tuning": place}
        record["result"]["passes"] = {"forward": steps, "backward": steps}
        if family.startswith("floor"):
            record["config"]["floor"] = {"name": "tfidf", "c": 1.0}
        yield record


@pytest.fixture(scope="session")
def tuned(tmp_path_factory, honest_record):
    """Two tuned families and a floor at two sizes; at 250 examples every choice of `none` has the most steps."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    for family, examples, restart in itertools.product(FAMILIES, (100, 250), range(12)):
        for record in configurations(honest_record, family, examples, restart):
            write_record(folder / "records", record)
    build([folder], folder)
    return folder


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """The board that this project publishes."""
    folder = tmp_path_factory.mktemp("published")
    build([PUBLISHED], folder)
    return folder


def start(profile):
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
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
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


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "localhost,127.0.0.1")  # the driver listens on this machine
        driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


class Page:
    """A page in the browser, as a reader uses it."""

    def __init__(self, browser):
        self.browser = browser

    def open(self, folder, *, width=1440, address="", scheme="light", drawn=True):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        self.browser.get("about:blank")
        self.browser.get(f"{(folder / 'index.html').as_uri()}{address}")
        if drawn:
            self.wait("document.body.classList.contains('drawn')")
        return self

    def wait(self, condition):
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.browser, PATIENCE).until(lambda _: self.run(f"return {condition}"))

    def run(self, code, *values):
        return self.browser.execute_script(code, *values)

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)

    def rows(self, selector):
        code = "return [...document.querySelectorAll(arguments[0])].map(r => [...r.children].map(e => e.textContent))"
        return self.run(code, selector)

    def tiles(self):
        return dict(zip(self.texts("#answer dt"), self.texts("#answer strong"), strict=True))

    def click(self, selector, text=""):
        """Press the element of that text with the keyboard, as a reader without a mouse would."""
        next(item for item in self.all(selector) if item.text.startswith(text)).send_keys("\n")

    def choose(self, name, value):
        from selenium.webdriver.support.select import Select

        Select(self.browser.find_element("name", name)).select_by_value(value)

    def console(self):
        return [line["message"] for line in self.browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]


@pytest.fixture
def page(browser):
    """Open pages and, after the test, ask the console whether anything went wrong."""
    made = Page(browser)
    yield made
    assert made.console() == []


@pytest.fixture(scope="session")
def axe():
    """Return the source of axe-core, or skip the test."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-core is not installed (pip install --no-deps axe-playwright-python)")
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")
