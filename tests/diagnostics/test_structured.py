"""JSON and SARIF carry every place a message names."""

from __future__ import annotations

import json

from mnetdsl.diagnostics.structured import as_json, as_sarif
from mnetdsl.sema import check_text

PROGRAM = (
    "mnet 1\nmodel net() {\n  input image: u8[8, 8, 3]\n  x = conv2d(image, 8)\n"
    "  y = depthwise_conv2d(x, stride = 2)\n  output z = x + y\n}\n"
)


def test_json_has_code_message_places_and_help() -> None:
    (diagnostic,) = json.loads(json.dumps(as_json(check_text(PROGRAM, "a b.mnet"))))["diagnostics"]
    assert diagnostic["code"] == "MN0401"
    assert diagnostic["primary"] == {
        "file": "a b.mnet",
        "line": 6,
        "column": 14,
        "end_line": 6,
        "end_column": 19,
        "text": "left is 8x8x8 f32, right is 4x4x8 f32",
    }
    assert [label["line"] for label in diagnostic["secondary"]] == [5]
    assert diagnostic["help"]


def test_sarif_has_what_code_hosts_require() -> None:
    log = json.loads(json.dumps(as_sarif(check_text(PROGRAM, "a b.mnet"))))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    (result,) = run["results"]
    assert rule["id"] == result["ruleId"] == "MN0401"
    assert rule["shortDescription"]["text"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20b.mnet"
    assert place["region"] == {"startLine": 6, "startColumn": 14, "endLine": 6, "endColumn": 19}
    assert result["relatedLocations"][0]["physicalLocation"]["region"]["startLine"] == 5
    assert result["level"] == "error"


def test_a_clean_file_gives_an_empty_log() -> None:
    assert as_json(()) == {"diagnostics": []}
    (run,) = json.loads(json.dumps(as_sarif(())))["runs"]
    assert run["results"] == []
