"""`mnet evaluate`: how often a network is right on labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnetdsl.cli.options import (
    central_option,
    json_option,
    load_with_weights,
    network_options,
    place,
    resize_option,
    weights_option,
)

if TYPE_CHECKING:
    from mnetdsl.api import Network
    from mnetdsl.evaluate import Labels, Pairing, Preprocessing, Saved, Share
    from mnetdsl.sema.values import Constant

MOST_CONFUSED = 10
MOST_DIFFERING = 20
"""Lines that the report for people has of each."""


def parse_topk(context: click.Context, option: click.Parameter, value: str) -> tuple[int, ...]:
    """`1,5` as numbers, ascending."""
    try:
        numbers = sorted({int(part) for part in value.split(",")})
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of numbers, for instance 1,5") from None
    if numbers[0] < 1:
        raise click.BadParameter("each number must be 1 or more")
    return tuple(numbers)


@click.command(
    epilog="""\b
Examples:
  mnet evaluate build/v1 --data photos --labels photos/labels.csv
  mnet evaluate build/v1 --data photos --labels photos/labels.csv --on c --output logits.npz --resume
  mnet evaluate build/v1 --data photos --labels photos/labels.csv --skip 100 --compare build/v2
"""
)
@network_options
@weights_option
@click.option("--data", type=place, metavar="DIR", required=True, help="The folder that the files in --labels are in.")
@click.option(
    "--labels",
    "labels_file",
    type=place,
    metavar="FILE",
    required=True,
    help="A .csv with the columns file and class_N or class.",
)
@click.option("--label-column", "column", metavar="NAME", help="The column of class numbers. Default: by their number.")
@click.option("--on", metavar="BACKEND", default="numpy", show_default=True, help="Where to run; see `mnet targets`.")
@click.option(
    "--topk", metavar="K,…", default="1,5", show_default=True, callback=parse_topk, help="The accuracies to print."
)
@click.option(
    "--skip", type=click.IntRange(0), metavar="N", default=0, help="Leave out the first images, used for calibration."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Take at most so many images.")
@resize_option("crop")
@central_option
@click.option("--compare", "other", metavar="OTHER", help="Another network, or a saved .npz, to set beside FILE.")
@click.option("--output", type=place, metavar="FILE.npz", help="Save the logits.")
@click.option("--resume", is_flag=True, help="Continue an interrupted evaluation with the same --output.")
@json_option
def command(
    file: str,
    parameters: Mapping[str, Constant],
    model: str | None,
    weights: str | None,
    data: str,
    labels_file: str,
    column: str | None,
    on: str,
    topk: tuple[int, ...],
    skip: int,
    limit: int | None,
    resize: str,
    central: float,
    other: str | None,
    output: str | None,
    resume: bool,
    layout: str,
) -> None:
    """Measure how often FILE is right on labelled images.

    FILE is a .mnet file, a folder that holds one, or a network of the zoo. Images are preprocessed as it declares.
    Intervals are of 95 %.
    """
    from mnetdsl.backends.runners import check_backend
    from mnetdsl.cli.console import print_json, talk
    from mnetdsl.evaluate import Preprocessing
    from mnetdsl.images import Resize

    check_backend(on)
    if resume and output is None:
        raise click.UsageError("--resume continues what --output names: add --output FILE.npz")
    if output is not None and Path(output).suffix.lower() != ".npz":
        raise click.UsageError(f"--output {output}: logits are saved as .npz")
    task = _Task(Path(data), labels_file, on, skip, limit, Preprocessing(Resize(resize), central))
    network = load_with_weights(file, parameters, model, weights, trained=True)
    labels = task.labels(network, column)
    result = task.run(network, labels, Path(output) if output else None, resume)
    paired = None if other is None else task.pair(result, labels, other)
    if output is not None:
        talk(f"wrote {output}")
    report = _Report(network.name, on, labels, result, topk, other, paired)
    if layout == "json":
        print_json(report.as_json())
    else:
        report.print(f"{resize}, central {central:g}")


@dataclass(frozen=True)
class _Task:
    """What is the same for both networks of a comparison."""

    folder: Path
    labels_file: str
    on: str
    skip: int
    limit: int | None
    preprocessing: Preprocessing

    def labels(self, network: Network, column: str | None) -> Labels:
        from mnetdsl.diagnostics import MnetError, error
        from mnetdsl.evaluate import classifier_ports, read_labels

        _, port = classifier_ports(network.module)
        labels = read_labels(self.labels_file, port.value.type.shape[-1], column)
        part = labels.part(self.skip, self.limit)
        if not part.files:
            raise MnetError(
                error(
                    "MN1606",
                    f"no images are left: {len(labels.files)} are listed, {self.skip} are skipped",
                    location=self.labels_file,
                    help="skip fewer of them",
                )
            )
        return part

    def run(self, network: Network, labels: Labels, output: Path | None, resume: bool) -> Saved:
        from mnetdsl.cli.console import counting
        from mnetdsl.evaluate import evaluate

        with counting(f"{network.name} on {self.on}", len(labels.files)) as progress:
            return evaluate(
                network.module,
                self.on,
                self.folder,
                labels,
                preprocessing=self.preprocessing,
                output=output,
                resume=resume,
                progress=progress,
            )

    def pair(self, result: Saved, labels: Labels, other: str) -> Pairing:
        """`result` beside another network's, which may count its classes in another column."""
        from mnetdsl.diagnostics import MnetError, error
        from mnetdsl.evaluate import pair, read_saved

        if Path(other).suffix.lower() == ".npz":
            theirs = read_saved(Path(other))
        else:
            network = load_with_weights(other, {}, None, None, trained=True)
            theirs = self.run(network, self.labels(network, None), None, False)
        if theirs.rows.tolist() != list(labels.rows) or not theirs.done.all():
            raise MnetError(
                error(
                    "MN1607",
                    f"the other evaluation is of {int(theirs.done.sum())} images, and not of the same rows",
                    location=other,
                    help="evaluate both with the same `--skip` and `--limit`",
                )
            )
        return pair(result.logits, theirs.logits, labels.classes, [int(label) for label in theirs.labels])


@dataclass(frozen=True)
class _Report:
    name: str
    on: str
    labels: Labels
    result: Saved
    topk: tuple[int, ...]
    other: str | None
    paired: Pairing | None

    def shares(self) -> list[tuple[int, Share]]:
        from mnetdsl.evaluate import Share, ranks

        places = ranks(self.result.logits, self.labels.classes)
        return [(k, Share(int((places < k).sum()), len(places))) for k in self.topk]

    def confused(self) -> list[tuple[int, int, int]]:
        from mnetdsl.evaluate import confusions, predictions

        found = [int(index) for index in predictions(self.result.logits)]
        return confusions(found, self.labels.classes, MOST_CONFUSED)

    def print(self, preprocessing: str) -> None:
        from mnetdsl.cli.console import print_table

        count = len(self.labels.files)
        print(
            f"{self.name} on {self.on}: {count} images, classes of `{self.labels.column}`, resized by {preprocessing}"
        )
        print()
        rows = []
        for k, share in self.shares():
            low, high = share.interval
            interval = f"{100 * low:.1f} to {100 * high:.1f}"
            rows.append((f"top-{k}", f"{100 * share.value:.1f} %", interval, f"{share.count} of {share.total}"))
        print_table(("", "ACCURACY", "95 %", "RIGHT"), rows, (False, True, True, True))
        confused = self.confused()
        if confused:
            print()
            names = self.labels.name
            lines = [(f"{times}", names(right), names(found)) for right, found, times in confused]
            print_table(("TIMES", "CLASS", "TAKEN FOR"), lines, (True, False, False))
        if self.paired is not None:
            print()
            self._print_pairing(self.paired)

    def _print_pairing(self, paired: Pairing) -> None:
        low, high = paired.interval
        print(f"beside {self.other}:")
        print(f"  both right {paired.both}, both wrong {paired.neither}")
        print(f"  only {self.name} right {paired.only_this}, only the other {paired.only_other}")
        if paired.agree is not None:
            share = 100 * paired.agree / paired.total
            print(f"  the same class on {paired.agree} of {paired.total} images ({share:.1f} %)")
        print(
            f"  the other's top-1 differs by {100 * paired.difference:+.1f} points "
            f"({100 * low:+.1f} to {100 * high:+.1f}), p = {paired.p_value:.3g}"
        )
        if paired.differing:
            self._print_differing(paired)

    def _print_differing(self, paired: Pairing) -> None:
        from mnetdsl.cli.console import print_table

        print()
        lines = [
            (self.labels.files[place], *map(self.labels.name, (self.labels.classes[place], ours, theirs)))
            for place, ours, theirs in paired.differing[:MOST_DIFFERING]
        ]
        print_table(("IMAGE", "CLASS", self.name, str(self.other)), lines, (False, False, False, False))
        more = len(paired.differing) - len(lines)
        if more:
            print(f"and {more} more; `--format json` has all")

    def as_json(self) -> dict[str, object]:
        described: dict[str, object] = {
            "name": self.name,
            "on": self.on,
            "images": len(self.labels.files),
            "column": self.labels.column,
            "top": [
                {"k": k, "accuracy": share.value, "interval": list(share.interval), "right": share.count}
                for k, share in self.shares()
            ],
            "confusions": [
                {"class": right, "predicted": found, "times": times} for right, found, times in self.confused()
            ],
        }
        if self.paired is not None:
            described["compare"] = {
                "other": self.other,
                "both": self.paired.both,
                "only_this": self.paired.only_this,
                "only_other": self.paired.only_other,
                "neither": self.paired.neither,
                "agree": self.paired.agree,
                "differing": [
                    {
                        "image": self.labels.files[place],
                        "class": self.labels.classes[place],
                        "this": ours,
                        "other": theirs,
                    }
                    for place, ours, theirs in self.paired.differing
                ],
                "difference": self.paired.difference,
                "interval": list(self.paired.interval),
                "p_value": self.paired.p_value,
            }
        return described
