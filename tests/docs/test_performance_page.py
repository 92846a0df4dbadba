"""docs/performance.md shows what stands in benchmarks/results, and reads it as it was meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnetdsl.bench.host import AGREEMENT
from mnetdsl.bench.host_report import HostReport, Measured
from tools.generated_page import replaced
from tools.performance_page import OURS, PAGE, RESULTS, Row, marks, rows, tables

TEXT = PAGE.read_text(encoding="utf-8")
NETWORKS = {"mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v4_conv_small"}


def test_the_tables_are_those_of_the_results() -> None:
    assert replaced(TEXT, tables()) == TEXT, "run python -m tools.performance_page --write"


def test_every_network_is_measured_beside_every_engine_on_one_and_two_threads() -> None:
    found = {(row.network, row.engine, row.threads) for row in rows() if row.precision == "f32"}
    engines = (OURS, "iree", "litert", "onnxruntime", "openvino")
    assert {(network, engine, threads) for network in NETWORKS for engine in engines for threads in (1, 2)} <= found


def test_results_are_whole_reports_of_several_rounds() -> None:
    for path in RESULTS.glob("host_*.json"):
        report = json.loads(path.read_text())
        precision = report["engines"][0]["precision"]
        assert path.stem == f"host_{report['network']}" + ("" if precision == "f32" else f"_{precision}")
        for engine in report["engines"]:
            assert engine["precision"] == precision
            assert len(engine["rounds_ms"]) >= 5
            assert engine["difference"] < AGREEMENT[precision]


def test_what_a_measurement_writes_is_what_the_page_reads(tmp_path: Path) -> None:
    ours = Measured(OURS, 1, "f32", (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), 1e-7, "3")
    peer = Measured("litert", 1, "f32", (1.2, 1.0, 1.3), (1.1, 1.1, 1.1), 2e-7, "2")
    report = HostReport("net", "machine", 3_000_000, OURS, (ours, peer), {1: 6e9})
    (tmp_path / "host_net.json").write_text(json.dumps(report.to_json()))
    _, row = rows(tmp_path)
    assert row == Row("net", "machine", "litert", "2", 1, "f32", 1.2, 1.2, 1.0, 1.3, 1.1, 0.417, 2e-7)


@pytest.mark.parametrize(("ratio", "shown"), [(1.10, "**1.10**"), (1.09, "1.09")])
def test_an_aim_is_met_by_the_fastest_peer_only(ratio: float, shown: str) -> None:
    def measured(engine: str, ratio: float) -> Row:
        return Row("net", "machine", engine, "1", 1, "f32", ratio, ratio, ratio, ratio, ratio, None, 0.0)

    text = marks([measured(OURS, 1.0), measured("litert", 3.0), measured("openvino", ratio), measured("iree", 1.7)])
    assert text.splitlines()[2:] == [f"| `net` | 1 | f32 | openvino | {shown} | 1.10 | **1.70** | 1.7 |"]
