#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what `bpftool prog verify` writes beside its report. Usage: check.py sarif|html|texts BPFTOOL OBJECT...

sarif   the log has the structure that SARIF 2.1.0 requires (the part of its schema that we use is below), and says the same
        as the JSON.
html    the page works in headless Chromium: nodes are there, clicks show states, nothing is logged, nothing is loaded.
        Without Chromium: status 77.
texts   a finding has 25 lines at most, its JSON the members that are documented, and the trace shows every instruction.
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path

# --- SARIF ---------------------------------------------------------------------------------------------------------------
# Properties of each object: name -> (required, type). A type in capitals is an object below; in a list: an array of it.
# Names are those of the OASIS schema; an object has no others.
SCHEMA = {
    "LOG": {"$schema": (0, "uri"), "version": (1, "version"), "runs": (1, ["RUN"])},
    "RUN": {"tool": (1, "TOOL"), "results": (1, ["RESULT"]), "invocations": (0, ["INVOCATION"])},
    "TOOL": {"driver": (1, "DRIVER")},
    "DRIVER": {"name": (1, "text"), "fullName": (0, "text"), "rules": (0, ["RULE"])},
    "RULE": {"id": (1, "text"), "shortDescription": (0, "MESSAGE"), "defaultConfiguration": (0, "CONFIGURATION")},
    "CONFIGURATION": {"level": (0, "level")},
    "MESSAGE": {"text": (1, "text")},
    "RESULT": {"ruleId": (1, "text"), "ruleIndex": (0, "index"), "kind": (0, "kind"), "level": (0, "level"),
               "message": (1, "MESSAGE"), "locations": (1, ["PLACE"]), "relatedLocations": (0, ["PLACE"]),
               "codeFlows": (0, ["FLOW"]), "fixes": (0, ["FIX"]), "properties": (0, "any")},
    "PLACE": {"id": (0, "index"), "physicalLocation": (1, "PHYSICAL"), "logicalLocations": (0, ["LOGICAL"]),
              "message": (0, "MESSAGE")},
    "PHYSICAL": {"artifactLocation": (1, "ARTIFACT"), "region": (0, "REGION")},
    "ARTIFACT": {"uri": (1, "uri")},
    "REGION": {"startLine": (1, "line"), "startColumn": (0, "line"), "endLine": (0, "line"), "endColumn": (0, "line"),
               "snippet": (0, "MESSAGE")},
    "LOGICAL": {"kind": (0, "text"), "name": (0, "text"), "fullyQualifiedName": (0, "text")},
    "FLOW": {"threadFlows": (1, ["THREAD"])},
    "THREAD": {"locations": (1, ["STEP"])},
    "STEP": {"location": (1, "PLACE")},
    "FIX": {"description": (0, "MESSAGE"), "artifactChanges": (1, ["CHANGE"])},
    "CHANGE": {"artifactLocation": (1, "ARTIFACT"), "replacements": (1, ["REPLACEMENT"])},
    "REPLACEMENT": {"deletedRegion": (1, "REGION"), "insertedContent": (0, "MESSAGE")},
    "INVOCATION": {"executionSuccessful": (1, "bool"), "toolExecutionNotifications": (0, ["NOTIFICATION"])},
    "NOTIFICATION": {"level": (0, "level"), "message": (1, "MESSAGE")},
}
SIMPLE = {
    "text": lambda x: isinstance(x, str) and x != "",
    "uri": lambda x: isinstance(x, str) and re.fullmatch(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?[A-Za-z0-9%/._~:-]+", x)
    and not re.search(r"%(?![0-9A-F]{2})", x),
    "version": lambda x: x == "2.1.0",
    "level": lambda x: x in ("none", "note", "warning", "error"),
    "kind": lambda x: x in ("notApplicable", "pass", "fail", "review", "open", "informational"),
    "index": lambda x: isinstance(x, int) and x >= 0,
    "line": lambda x: isinstance(x, int) and x >= 1,
    "bool": lambda x: isinstance(x, bool),
    "any": lambda x: True,
}


def check_value(value, kind, where):
    if isinstance(kind, list):
        assert isinstance(value, list), f"{where} is no array"
        for i, item in enumerate(value):
            check_value(item, kind[0], f"{where}[{i}]")
    elif kind in SIMPLE:
        assert SIMPLE[kind](value), f"{where} is no {kind}: {value!r}"
    else:
        members = SCHEMA[kind]
        assert isinstance(value, dict), f"{where} is no object"
        for name in value:
            assert name in members, f"{where} has an unknown member {name}"
        for name, (required, inner) in members.items():
            assert name in value or not required, f"{where} lacks {name}"
            if name in value:
                check_value(value[name], inner, f"{where}.{name}")


def check_rules(run):
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules) > 40
    for result in run["results"]:
        if "ruleIndex" in result:
            assert rules[result["ruleIndex"]] == result["ruleId"]
        for flow in result.get("codeFlows", []):
            assert flow["threadFlows"] and flow["threadFlows"][0]["locations"]


def run(bpftool, *words):
    return subprocess.run([bpftool, *words], capture_output=True, timeout=120)


def check_sarif(bpftool, path, tmp):
    reply = run(bpftool, "-j", "prog", "verify", path, "--sarif", f"{tmp}/log")
    report, log = json.loads(reply.stdout), json.loads(Path(tmp, "log").read_text())
    check_value(log, "LOG", "log")
    check_rules(log["runs"][0])
    invocation = log["runs"][0]["invocations"][0]
    assert invocation["executionSuccessful"] == ("error" not in report)
    findings = [f for p in report.get("programs", []) for f in p["findings"]]
    results = log["runs"][0]["results"]
    assert len(findings) == len(results)
    for finding, result in zip(findings, results):
        assert finding["rule"] == result["ruleId"]
        region = result["locations"][0]["physicalLocation"].get("region", {"startLine": 0})
        assert region["startLine"] == finding["line"]
        assert len(finding["path"]) == max(len(f["threadFlows"][0]["locations"])
                                           for f in result.get("codeFlows", [])) - 1 if finding["path"] else True
        assert len(result.get("fixes", [{"artifactChanges": []}])[0]["artifactChanges"]) == len(finding["edits"])
    return len(results)


# --- HTML ----------------------------------------------------------------------------------------------------------------

class Page(HTMLParser):
    """Counts elements by class, and collects what the page refers to."""

    def __init__(self, text):
        super().__init__()
        self.classes, self.links, self.ids, self.tags, self.data = {}, [], set(), {}, {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags[tag] = self.tags.get(tag, 0) + 1
        for name in (attributes.get("class") or "").split():
            self.classes[name] = self.classes.get(name, 0) + 1
        self.ids.add(attributes.get("id"))
        self.data.update({k: v for k, v in attributes.items() if k.startswith("data-") and tag == "body"})
        self.links += [attributes[k] for k in ("src", "href", "xlink:href", "action") if k in attributes]


# What a reader would do: choose the last instruction, then the first block of a graph.
CLICKS = """<script>
const all=document.querySelectorAll('.insn');
if(all.length){all[all.length-1].click();
document.body.dataset.last=document.querySelector('section:last-of-type .state').textContent;}
const block=document.querySelector('svg a');
if(block){block.dispatchEvent(new MouseEvent('click',{bubbles:true,cancelable:true}));
document.body.dataset.block=document.querySelectorAll('.insn.chosen').length>0?'chosen':'none';}
else document.body.dataset.block='chosen';
</script>"""


def render(chromium, path):
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
               f"--user-data-dir={path.parent}/profile", "--virtual-time-budget=5000", "--dump-dom", path.as_uri()]
    reply = subprocess.run(command, capture_output=True, timeout=120)
    noise = [line for line in reply.stderr.decode(errors="replace").split("\n") if "CONSOLE" in line]
    assert not noise, f"the page logs {noise}"
    return Page(reply.stdout.decode())


def check_html(bpftool, path, tmp, chromium):
    reply = run(bpftool, "-j", "prog", "verify", path, "--html", f"{tmp}/page.html")
    report, text = json.loads(reply.stdout), Path(tmp, "page.html").read_text()
    still = Page(text)
    assert all(link.startswith("#") for link in still.links), "the page refers to something outside"
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", text), "the page loads something"
    clicked = Path(tmp, "clicked.html")
    clicked.write_text(text.replace("</body>", CLICKS + "</body>"))
    page = render(chromium, clicked)
    assert page.data["data-ready"] == "yes", "the script did not reach its end"
    programs = [p for p in report["programs"] if p["insns"] and not any(f["rule"] in ("unknown-section", "malformed-program")
                                                                        for f in p["findings"])]
    findings = [f for p in programs for f in p["findings"]]
    assert page.tags.get("section", 0) == len(programs)
    assert page.classes.get("finding", 0) >= len(findings)
    assert page.classes.get("bad", 0) >= len({(f["pc"]) for f in findings if f["pc"] >= 0})
    assert not programs or page.tags.get("svg", 0) >= 1 or page.classes.get("graph", 0) >= 1
    assert page.data["data-block"] == "chosen", "a block of the graph does not lead to its instruction"
    assert not programs or re.match(r"\d+: ", page.data["data-last"]) and len(page.data["data-last"]) > 10, "a click shows no state"
    for link in page.links:
        assert link[1:] in page.ids, f"{link} leads nowhere"
    return len(programs)


# --- texts ---------------------------------------------------------------------------------------------------------------

# What docs/man/bpftool.1 documents.
FINDING = {"rule", "pc", "file", "line", "source", "message", "needed", "known", "hint", "path", "edits"}
MAYBE = {"related": {"pc", "file", "line", "source"}, "lost": {"pc", "file", "line", "source", "text"}}


def check_keys(report):
    for program in report["programs"]:
        assert set(program) == {"section", "name", "type", "insns", "verdict", "time_us", "states", "peak_kb", "findings"}
        for finding in program["findings"]:
            assert FINDING <= set(finding) <= FINDING | set(MAYBE), f"members {set(finding)}"
            assert all(set(finding[name]) == MAYBE[name] for name in MAYBE if name in finding)
            assert all(set(step) == {"pc", "line", "taken"} for step in finding["path"])
            assert all(set(edit) == {"action", "file", "line", "text"} for edit in finding["edits"])


def check_texts(bpftool, path):
    report = json.loads(run(bpftool, "-j", "prog", "verify", path).stdout)
    check_keys(report)
    text = run(bpftool, "prog", "verify", path).stdout.decode()
    for block in re.split(r"^\S.*(?:accepted|rejected) \(.*\n", text, flags=re.MULTILINE)[1:]:
        findings = re.split(r"^  (?=\S)", block, flags=re.MULTILINE)[1:]
        assert all(f.count("\n") <= 25 for f in findings), "a finding has more than 25 lines"
    trace = run(bpftool, "prog", "verify", path, "--trace").stdout.decode()
    for program in report["programs"]:
        if all(f["rule"] != "unknown-section" for f in program["findings"]):
            assert re.search(rf"^  {0}: ", trace, re.MULTILINE), "the trace lacks the first instruction"
            assert "r1=" in trace and "r10=fp" in trace
    return len(report["programs"])


def main():
    mode, bpftool, *objects = sys.argv[1:]
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if mode == "html" and chromium is None:
        print("skipped: there is no Chromium")
        return 77
    checked = 0
    for path in objects:
        with tempfile.TemporaryDirectory(prefix="report-", ignore_cleanup_errors=True) as tmp:
            if mode == "sarif":
                checked += check_sarif(bpftool, path, tmp)
            elif mode == "html":
                checked += check_html(bpftool, path, tmp, chromium)
            else:
                checked += check_texts(bpftool, path)
    assert checked != 0
    print(f"{len(objects)} objects, {checked} checked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
