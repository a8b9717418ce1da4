"""A headless Chromium, spoken to over its debugging pipe (the Chrome DevTools Protocol), and what it saw of one page."""

import json
import os
import select
import shutil
import subprocess
import time

TIMEOUT = 60
# What the page is made of, measured where it is drawn.
MEASURE = """JSON.stringify({
  title: document.title, text: document.body.innerText, scripts: document.scripts.length,
  wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
  loaded: [...document.querySelectorAll('img,iframe,object,embed,link,video,audio')].length,
  svgs: [...document.querySelectorAll('figure svg')].map(s => ({
    box: [s.getBoundingClientRect().width, s.getBoundingClientRect().height], name: s.getAttribute('aria-label') || '',
    title: (s.querySelector('title') || {textContent: ''}).textContent, marks: s.querySelectorAll('path,use,text').length,
    clipped: [...s.querySelectorAll('text')].filter(t => { const a = t.getBoundingClientRect(), b = s.getBoundingClientRect();
      return a.width > 0 && (a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1); })
      .map(t => t.textContent)})),
  ids: [...document.querySelectorAll('[id]')].map(e => e.id),
  rows: document.querySelectorAll('tbody tr').length})"""


class Browser:
    """One Chromium with a profile of its own."""

    def __init__(self, profile):
        program = shutil.which("chromium")
        if not program:
            raise SystemExit("FAILED: chromium is not here; scripts/install-packages test installs it")
        shutil.rmtree(profile, ignore_errors=True)
        to_browser, self.write = os.pipe()
        self.read, from_browser = os.pipe()

        def hand_over():
            a, b = os.dup(to_browser), os.dup(from_browser)  # neither is lost when the other becomes 3 or 4
            os.dup2(a, 3)
            os.dup2(b, 4)

        quiet = "--disable-background-networking --disable-component-update --disable-sync --disable-default-apps " \
                "--disable-extensions --no-first-run --no-default-browser-check --metrics-recording-only"
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *quiet.split(),
             f"--user-data-dir={profile}", "--window-size=1200,900", "--remote-debugging-pipe", "about:blank"],
            pass_fds=(3, 4), preexec_fn=hand_over, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.number, self.rest, self.events = 0, b"", []
        target = next(t for t in self.ask("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = None
        self.session = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(domain + ".enable")

    def message(self):
        """The next message, None when the time is up."""
        deadline = time.monotonic() + TIMEOUT
        while b"\0" not in self.rest:
            if not select.select([self.read], [], [], max(0, deadline - time.monotonic()))[0]:
                return None
            got = os.read(self.read, 1 << 20)
            if not got:
                return None
            self.rest += got
        first, self.rest = self.rest.split(b"\0", 1)
        return json.loads(first)

    def ask(self, method, **parameters):
        """The result of a command; events on the way are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while (answer := self.message()) is not None:
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit(f"FAILED: {method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)
        raise SystemExit(f"FAILED: no answer to {method}")

    def look(self, path):
        """What a page is, what it wrote to the console, and what it asked for besides itself."""
        url = path.resolve().as_uri()
        self.events = []
        self.ask("Page.navigate", url=url)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            event = self.message()
            if event is None:
                raise SystemExit(f"FAILED: {path} was not loaded")
            self.events.append(event)
        page = json.loads(self.ask("Runtime.evaluate", expression=MEASURE)["result"]["value"])
        self.ask("Runtime.evaluate", expression="new Promise(r => setTimeout(r, 300))", awaitPromise=True)
        page["console"] = [e["params"] for e in self.events
                           if e.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")]
        page["requests"] = [e["params"]["request"]["url"] for e in self.events
                            if e.get("method") == "Network.requestWillBeSent" and e["params"]["request"]["url"] != url]
        return page

    def close(self):
        self.process.kill()
        self.process.wait()
