"""Which files calibrate a network: those of a folder, or those that a pattern names."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.images import RAW_SUFFIXES, Resize, load_input
from mnetdsl.ir.core import Module
from mnetdsl.quantize.calibration import Calibration, batched, calibrated_input

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff")
ARRAY_SUFFIXES = (".npy", *RAW_SUFFIXES)
CENTRAL = 0.875
"""The middle share of each side of an image that is kept, as `mnet evaluate` does."""


@dataclass(frozen=True)
class Pictures:
    """Files in the order of their names, without the first `skip`, at most `limit` of the rest.

    place: a folder, or a pattern such as `photos/*.jpg`; relative ones start at the folder `beside`, where given.
    Images are cropped and resized as `mnet evaluate` does it.
    """

    place: str | Path
    skip: int = 0
    limit: int | None = None
    resize: Resize = Resize.CROP
    central: float = CENTRAL
    beside: Path | None = None

    def read(self, module: Module) -> Calibration:
        """The arrays of the chosen files for the one input of `module`.

        Raises `MnetError`: MN1806 where there is nothing to calibrate with, MN1807 where images lie beside arrays,
        MN1808 for a network of several inputs, and what images raise.
        """
        port = calibrated_input(module)
        files, others = self.files()
        chosen = files[self.skip :] if self.limit is None else files[self.skip : self.skip + self.limit]
        if not chosen:
            raise MnetError(
                error(
                    "MN1806",
                    f"no images are left: there are {len(files)}, and {self.skip} are skipped",
                    location=self.shown,
                    help="skip fewer of them",
                )
            )
        arrays = [load_input(file, port, self.resize, self.central) for file in chosen]
        return batched(port.name, arrays, chosen, left_out=len(others))

    def files(self) -> tuple[list[Path], list[Path]]:
        """All images, or all arrays, and beside them the files that are neither. Raises MN1806, MN1807."""
        found = self._found()
        images = [item for item in found if item.suffix.lower() in IMAGE_SUFFIXES]
        arrays = [item for item in found if item.suffix.lower() in ARRAY_SUFFIXES]
        if images and arrays:
            raise MnetError(
                error(
                    "MN1807",
                    f"{_count(images, 'image')} and {_count(arrays, 'array')}, such as {arrays[0].name}, lie together",
                    location=self.shown,
                    help="images are cropped and resized, arrays taken as they are: put one kind into another folder",
                )
            )
        if not images and not arrays:
            why = f"files such as {found[0].name} are none" if found else self._nothing()
            raise MnetError(
                error(
                    "MN1806",
                    f"there are no images to calibrate with: {why}",
                    location=self.shown,
                    help="some 100 photographs such as the network will see, as .jpg or .png; or .npy arrays",
                )
            )
        chosen = images or arrays
        return chosen, [item for item in found if item not in set(chosen) and not item.name.startswith(".")]

    def _found(self) -> list[Path]:
        """Files of the folder, none below it; or those that the pattern names."""
        try:
            if self._is_pattern:
                return sorted(item for item in self._start.glob(self._pattern) if item.is_file())
            return sorted((item for item in self._path.iterdir() if item.is_file()), key=lambda item: item.name)
        except (OSError, ValueError) as problem:
            raise MnetError(
                error(
                    "MN1806",
                    self._unreadable(problem),
                    location=self.shown,
                    help="name a folder of images such as the network will see, or a pattern such as photos/*.jpg",
                )
            ) from None

    def _unreadable(self, problem: OSError | ValueError) -> str:
        if self._is_pattern:
            return f"the pattern cannot be followed: {problem}"
        if isinstance(problem, FileNotFoundError):
            return "there is no such folder"
        if isinstance(problem, NotADirectoryError):
            return "this is a file, and not a folder of images"
        return f"the folder cannot be read: {problem.strerror if isinstance(problem, OSError) else problem}"

    @property
    def _start(self) -> Path:
        return Path(self._path.anchor) if self._path.is_absolute() else self.beside or Path()

    @property
    def _pattern(self) -> str:
        return str(self._path.relative_to(self._start))

    @property
    def _path(self) -> Path:
        return Path(self.place) if self.beside is None else self.beside / self.place

    @property
    def _is_pattern(self) -> bool:
        return glob.has_magic(str(self.place)) and not self._path.is_dir()

    @property
    def shown(self) -> str:
        """The folder or pattern, as messages name it."""
        return str(self._path)

    def _nothing(self) -> str:
        if self._is_pattern:
            return "no file fits the pattern"
        below = next((item.name for item in sorted(self._path.iterdir()) if item.is_dir()), None)
        if below is None:
            return "the folder is empty"
        return f"the folder has folders alone, such as {below}, which are not entered; a pattern is `{self.shown}/*/*`"


def _count(files: list[Path], kind: str) -> str:
    return f"1 {kind}" if len(files) == 1 else f"{len(files)} {kind}s"
