"""The station's page in a real browser: meteogram, map, slider and banner are drawn, and nobody but the station is asked.

station_page.py PROGRAM FOLDER: PROGRAM serves a generated forecast; screenshots go to FOLDER. Exits 77 without Chromium.
"""
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

program, folder = sys.argv[1:3]
browser = shutil.which("chromium")
if not browser:
    print("skipped: chromium is not installed")
    sys.exit(77)


class Page(html.parser.HTMLParser):
    """Elements of a DOM dump: [(tag, attributes)], and the text under each id."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag not in ("meta", "input", "line", "path", "polygon", "br"):
            self.open.append((tag, attributes.get("id")))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        for _, name in self.open:
            if name:
                self.text[name] = self.text.get(name, "") + data

    def by_id(self, name):
        return next(attributes for _, attributes in self.elements if attributes.get("id") == name)

    def count(self, tag, css=""):
        return sum(1 for t, a in self.elements if t == tag and css in (a.get("class") or ""))


def browse(port, *options):
    """Chromium with a fresh profile; its requests are in the network log. Names other than this machine do not resolve."""
    with tempfile.TemporaryDirectory() as profile:
        log = os.path.join(profile, "net.json")
        done = subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
             f"--user-data-dir={profile}", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
             f"--log-net-log={log}", "--virtual-time-budget=8000", *options, f"http://127.0.0.1:{port}/"],
            capture_output=True, text=True, timeout=180, env={**os.environ, "TZ": "UTC", "LANG": "C.UTF-8"})
        assert done.returncode == 0, done.stderr[-2000:]
        try:
            text = open(log).read()
        except OSError:
            text = ""
        # What the browser asks for its own ends (updates, the time) has no page as its initiator.
        asked = re.findall(r'"initiator":"([^"]*)".*?"url":"([^"]*)"', text)  # an event a line
        return done.stdout, {url for initiator, url in asked if initiator == f"http://127.0.0.1:{port}"}


def serve(condition):
    process = subprocess.Popen([program, "0", condition], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


for condition in ("FRESH", "STALE", "DEGRADED", "PROJECTED"):
    process, port = serve(condition)
    try:
        picture = os.path.join(folder, f"station-{condition.lower()}.png")
        size = "390,1560" if condition == "STALE" else "1120,1880"
        dom, urls = browse(port, "--dump-dom")
        browse(port, f"--screenshot={picture}", f"--window-size={size}")
        page = Page(dom)
        state = "FRESH" if condition == "PROJECTED" else condition
        assert page.by_id("banner")["data-state"] == state, dom[:3000]
        assert page.text["state"] == state
        assert page.count("svg") == 1, "no meteogram"
        assert page.count("path", "curve") >= 4, "panels of the meteogram are missing"
        assert page.count("path", "corrected") == 1 and page.count("polygon", "band") == 1, "no corrected values"
        assert page.count("path", "barb") > 5, "no wind barbs"
        assert page.by_id("map")["data-drawn"].startswith("2t "), "the map was not drawn"
        assert int(page.by_id("map")["data-coast"]) > 100, "the map has no coast"
        if condition == "PROJECTED":
            assert int(page.by_id("map")["data-graticule"]) >= 8, "the map has no parallels and meridians"
        assert int(page.by_id("time")["max"]) == 40, "the slider does not span the leads"
        assert "°C" in page.text["now"] and "m/s" in page.text["now"], page.text.get("now")
        assert "°C" in page.by_id("map")["aria-label"]
        assert page.count("option") == 16, page.count("option")
        assert page.count("tr") == 42, page.count("tr")
        if condition == "STALE":
            assert "30 days old" in page.text["reasons"], page.text["reasons"]
        if condition == "DEGRADED":
            assert "self-test" in page.text["reasons"], page.text["reasons"]
        abroad = [u for u in urls if not u.startswith(f"http://127.0.0.1:{port}/")]
        assert len(urls) >= 3 and not abroad, f"asked elsewhere, or nobody: {urls}"
        assert os.path.getsize(picture) > 20_000, "the screenshot is empty"
        served = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        assert 'route="/v1/field",status="200"' in served and 'status="4' not in served, served
        print(f"{condition}: {len(urls)} addresses asked, all of the station; {picture}")
    finally:
        process.stdin.close()
        process.wait(timeout=30)
