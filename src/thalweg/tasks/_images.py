"""A folder of images by class -> `Raw`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from thalweg.core import InputError

from ._raw import Raw, list_some

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
_GREY = ("1", "L")


def read_image_folder(folder: Path) -> Raw:
    """Returns the images below a folder in the order of their paths, uint8, (n, H, W) or (n, 3, H, W).

    Grey where all are, else RGB. One subfolder a class, named by it; images that lie in the folder itself
    have no class (rows to predict).

    Raises:
        InputError: if there are none, one is unreadable, or their sizes differ.
    """
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    files: list[Path] = []
    codes: list[int] = []
    other = 0
    for code, place in enumerate(subfolders or [folder]):
        inside = sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith("."))
        images = [path for path in inside if path.suffix.lower() in IMAGE_SUFFIXES]
        other += len(inside) - len(images)
        if not images:
            raise InputError(
                str(place),
                f"a folder with images ({', '.join(IMAGE_SUFFIXES)})",
                remedy="Give one subfolder a class.",
            )
        files += images
        codes += [code] * len(images)
    array, notes = _read_images(files)
    if other:
        notes.append(f"{other} files that are no images were left out.")
    if not subfolders:
        return Raw(name=folder.name, array=array, pixel_max=255.0, notes=tuple(notes))
    if len(subfolders) < 2:
        raise InputError(str(folder), "a folder with at least two subfolders, one a class", subfolders[0].name)
    return Raw(
        name=folder.name,
        array=array,
        pixel_max=255.0,
        targets=pl.DataFrame({"folder": np.asarray(codes)}),
        classes=tuple(path.name for path in subfolders),
        notes=tuple(notes),
    )


def _read_images(files: list[Path]) -> tuple[np.ndarray, list[str]]:
    from PIL import Image, UnidentifiedImageError

    pictures, modes = [], set()
    size = None
    for path in files:
        try:
            with Image.open(path) as image:
                modes.add(image.mode)
                size = size or image.size
                if image.size != size:
                    raise InputError(
                        str(path),
                        f"{size[0]}x{size[1]} pixels as {files[0].name} is",
                        f"{image.size[0]}x{image.size[1]}",
                        "Resize the images to one size first.",
                    )
                pictures.append(np.asarray(image.convert("L" if image.mode in _GREY else "RGB")))
        except (UnidentifiedImageError, OSError) as error:
            raise InputError(str(path), "a readable image") from error
    notes = []
    if len({picture.ndim for picture in pictures}) > 1:
        pictures = [p if p.ndim == 3 else np.repeat(p[..., None], 3, axis=-1) for p in pictures]
    changed = sorted(modes - {"L", "RGB"}) if len(modes) == 1 or "L" not in modes else sorted(modes - {"RGB"})
    if changed:
        form = "RGB" if pictures[0].ndim == 3 else "grey (L)"
        notes.append(f"Images of mode {list_some(changed)} were converted to {form}.")
    array = np.stack(pictures)
    return array if array.ndim == 3 else np.ascontiguousarray(np.moveaxis(array, -1, 1)), notes
