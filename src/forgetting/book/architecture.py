"""The house as its code builds it: rooms, their files, and which room imports which.

The drawing on the architecture page is made from here, and a test holds the rule that imports go
one way, from the command line down to what every room stands on.
"""

import ast
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from forgetting.foundation.files import write_text

SOURCE = Path(__file__).resolve().parents[1]
"""The package's own folder."""

FLOORS = (
    ("cli",),
    ("book",),
    ("experiments",),
    ("probes", "methods", "zoo"),
    ("metrics", "models", "data"),
    ("border",),
    ("foundation",),
    ("errors",),
)
"""Rooms from top to bottom: a room imports from floors below its own, and never from above."""

BOX = {"width": 212, "line": 15, "head": 26, "gap": 26, "rise": 44}
"""Sizes of the drawing in pixels."""

THEMES = {
    "light": {"ink": "#1f2933", "line": "#7b8794", "fill": "#f5f7fa", "edge": "#9aa5b1"},
    "dark": {"ink": "#e4e7eb", "line": "#9aa5b1", "fill": "#262c33", "edge": "#616e7c"},
}
"""Colours of the drawing on a light and on a dark page."""


@dataclass(frozen=True)
class House:
    """Rooms with their files, and imports between rooms.

    Attributes
    ----------
    rooms : dict[str, list[str]]
        Names of files by room; a room is a folder, or a file of the package itself.
    imports : dict[tuple[str, str], int]
        How many import statements of the first room name a module of the second.
    """

    rooms: dict[str, list[str]]
    imports: dict[tuple[str, str], int]

    def upward(self) -> list[tuple[str, str]]:
        """Return the pairs of rooms of which the lower one, or a neighbour, imports the other."""
        return [pair for pair in self.imports if _floors_between(pair) <= 0]


def survey(source: Path = SOURCE) -> House:
    """Read the rooms and their imports from the package's code.

    Imports inside functions and under `TYPE_CHECKING` count like all others.

    Raises
    ------
    KeyError
        A file stands in no room of `FLOORS`.
    """
    known = [room for rooms in FLOORS for room in rooms]
    rooms: dict[str, list[str]] = {room: [] for room in known}
    imports: Counter[tuple[str, str]] = Counter()
    for path in sorted(source.rglob("*.py")):
        room = path.relative_to(source).with_suffix("").parts[0]
        if room == "__init__":
            continue
        if path.parent != source and path.stem != "__init__":
            rooms[room].append("/".join(path.relative_to(source / room).with_suffix("").parts))
        for name in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            other = name.split(".")[1] if "." in name else ""
            if other in rooms and other != room:
                imports[room, other] += 1
    return House(rooms, dict(imports))


def _floors_between(pair: tuple[str, str]) -> int:
    """Return how many floors the second room lies below the first."""
    floor = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
    return floor[pair[1]] - floor[pair[0]]


def _imported(tree: ast.Module) -> list[str]:
    """Return the modules of the package that a file imports, as `forgetting.room...`."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "forgetting":
            names += [f"forgetting.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return [name for name in names if name.startswith("forgetting.")]


def draw(folder: Path) -> None:
    """Write the drawing as `architecture-light.svg` and `architecture-dark.svg`."""
    house = survey()
    for theme in THEMES:
        write_text(folder / f"architecture-{theme}.svg", svg(house, theme))


def svg(house: House, theme: str) -> str:
    """Return the drawing of a house: a floor a row, a box a room, an arrow for imports.

    An arrow leads to the next floor, where nothing is in its way; what a room imports from further
    down is named below its files.

    Parameters
    ----------
    theme : "light" or "dark"
    """
    colours, boxes = THEMES[theme], _boxes(house)
    width = max(x + w for x, _, w, _ in boxes.values()) + BOX["gap"]
    height = max(y + h for _, y, _, h in boxes.values()) + BOX["gap"]
    arrows = [
        _arrow(boxes, pair, n, colours)
        for pair, n in sorted(house.imports.items())
        if _floors_between(pair) <= 1
    ]
    drawn = [
        _room(room, house.rooms[room], _further(house, room), box, colours)
        for room, box in boxes.items()
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" '
        f'fill="{colours["ink"]}">\n<defs><marker id="tip" viewBox="0 0 8 8" '
        f'refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0L8 4L0 8z"'
        f' fill="{colours["line"]}"/></marker></defs>\n'
    )
    return head + "\n".join([*arrows, *drawn]) + "\n</svg>\n"


def _further(house: House, room: str) -> str:
    """Return what a room imports from below the next floor, with how often."""
    counts = {
        other: n
        for other in house.rooms
        if (n := house.imports.get((room, other), 0)) and _floors_between((room, other)) > 1
    }
    return ", ".join(f"{other} {n}" for other, n in counts.items())


def _columns(width: int) -> int:
    return width // BOX["width"]


def _boxes(house: House) -> dict[str, tuple[int, int, int, int]]:
    """Return x, y, width and height of every room's box: the rooms of a floor fill its width."""
    boxes: dict[str, tuple[int, int, int, int]] = {}
    widest = max(len(rooms) for rooms in FLOORS)
    total = widest * (BOX["width"] + BOX["gap"])
    y = BOX["gap"]
    for rooms in FLOORS:
        width = total // len(rooms) - BOX["gap"]
        lines = [
            math.ceil(len(house.rooms[room]) / _columns(width)) + bool(_further(house, room))
            for room in rooms
        ]
        height = BOX["head"] + BOX["line"] * max(lines)
        for number, room in enumerate(rooms):
            boxes[room] = (BOX["gap"] + number * (width + BOX["gap"]), y, width, height)
        y += height + BOX["rise"]
    return boxes


def _room(
    name: str,
    files: list[str],
    further: str,
    box: tuple[int, int, int, int],
    colours: dict[str, str],
) -> str:
    x, y, width, height = box
    lines = [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" '
        f'fill="{colours["fill"]}" stroke="{colours["edge"]}"/>',
        f'<text x="{x + 10}" y="{y + 17}" font-size="12" font-weight="bold">{escape(name)}</text>',
    ]
    rows = math.ceil(len(files) / _columns(width)) or 1
    for number, file in enumerate(files):
        left = x + 10 + number // rows * (BOX["width"] + BOX["gap"])
        top = y + BOX["head"] + BOX["line"] * (number % rows) + 8
        lines.append(f'<text x="{left}" y="{top}">{escape(file)}</text>')
    if further:
        lines.append(
            f'<text x="{x + 10}" y="{y + height - 7}" font-style="italic">↓ {further}</text>'
        )
    return "\n".join(lines)


def _arrow(
    boxes: dict[str, tuple[int, int, int, int]],
    pair: tuple[str, str],
    count: int,
    colours: dict[str, str],
) -> str:
    (x1, y1, w1, h1), (x2, y2, w2, _) = boxes[pair[0]], boxes[pair[1]]
    start, end = (x1 + w1 / 2, y1 + h1), (x2 + w2 / 2, y2)
    if y2 <= y1:  # a neighbour or a room above: from side to side
        start, end = (x1 + w1, y1 + 13), (x2, y2 + 13)
    elif w1 > w2:
        start = (end[0], start[1])
    elif w1 < w2:
        end = (start[0], end[1])
    thick = 0.6 + min(count, 12) / 6
    return (
        f'<line x1="{start[0]:.0f}" y1="{start[1]:.0f}" x2="{end[0]:.0f}" y2="{end[1]:.0f}" '
        f'stroke="{colours["line"]}" stroke-width="{thick:.1f}" '
        f'marker-end="url(#tip)"><title>{escape(pair[0])} imports {escape(pair[1])}: {count}'
        "</title></line>"
    )
