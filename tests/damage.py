"""What becomes of files: their bytes, lines and values change, or others stand in for them."""

import gzip
import io
import json
import os
import pickle
import struct
import zipfile

from hypothesis import strategies as st
from PIL import Image

VALUES = (
    *("null", "true", "-1", "0", "1", "0.5", "1e999", "-1e999", "NaN", "1000000000"),
    *("9" * 40, "9" * 5000, "1e308", '""', '"x"', '"\\ud800"', '"two\\nlines"', '"../../x"'),
    *("[]", "{}", "[[]]", '{"": null}', "[null]", '["a", "a"]', "[0, -1]", "[1e999]"),
    *('"' + "x" * 5000 + '"', "[" * 5000 + "]" * 5000),
)
"""Texts of JSON that stand in the place of a value; not all of them are valid."""


def _other_kinds():
    """Return the content of files of other kinds."""
    picture, archive = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "PNG")
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("archive/data.pkl", pickle.dumps({"weight": [1.0]}))
    return (
        *(b"", b"\0", b"\0" * 4096, b"\n" * 100, b"\xff\xfe", b"\xff" * 9, b"\xef\xbb\xbf"),
        *(b"{", b"null", b"[]", b"{}", b'"text"', b"1", b"a,b\n1,2\n", b"- a\n- b\n"),
        *(b"a: &a [*a]", b'{"a":' * 20_000, struct.pack("<Q", 2**63)),
        *(b"a: !!python/object/apply:os.getcwd []\n", b"a: 1\na: 2\n", "é".encode("latin-1")),
        *(picture.getvalue(), archive.getvalue(), gzip.compress(b"text"), b"#!/bin/sh\nexit 1\n"),
        *(pickle.dumps({"weight": [1.0]}), b"\x80\x04.", "text".encode("utf-16"), b"<html>"),
        *(b"[" * 100_000, struct.pack("<Q", 2) + b"{}"),
    )


OTHERS = _other_kinds()


@st.composite
def damaged(draw, content, name=""):
    """Draw what becomes of the content of a file of a name."""
    kinds = [_bytes, _bytes, _other]
    if name.endswith((".json", ".ipynb")):
        kinds += [_values] * 5
    elif name.endswith(".safetensors"):
        kinds += [_header] * 5
    elif name.endswith((".txt", ".csv", ".yaml", ".py")):
        kinds += [_lines] * 4
    return draw(st.sampled_from(kinds))(draw, content)


def _other(draw, content):
    return draw(st.sampled_from(OTHERS))


def _bytes(draw, content):
    """Flip, drop and insert bytes, or cut the file off."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(0, len(content) - 1)) | st.integers(0, 200))
        inserted = draw(st.binary(min_size=1, max_size=4))
        how = draw(st.sampled_from(["flip", "drop", "insert", "cut"]))
        after = place + (0 if how == "insert" else len(inserted))
        rest = b"" if how == "cut" else content[after:]
        content = content[:place] + (b"" if how == "drop" else inserted) + rest
    return content


def _lines(draw, content):
    """Drop, repeat, shuffle and change lines, and words in them."""
    lines = content.split(b"\n")
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(lines) - 1))
        other = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(["drop", "repeat", "swap", "word", "indent", "text"]))
        if how == "drop" and len(lines) > 1:
            del lines[place]
        elif how == "repeat":
            lines.insert(other, lines[place])
        elif how == "swap":
            lines[place], lines[other] = lines[other], lines[place]
        elif how == "indent":
            lines[place] = b"  " + lines[place]
        elif how == "text":
            lines[place] += draw(st.binary(max_size=4) | st.just(b"x" * 5000))
        elif words := lines[place].split(b" "):
            value = draw(st.sampled_from(VALUES)).encode()
            words[draw(st.integers(0, len(words) - 1))] = value
            lines[place] = b" ".join(words)
        lines = lines or [b""]
    return b"\n".join(lines)


def _values(draw, content):
    """Change values of JSON at places that are drawn from its top downwards."""
    tree = json.loads(content)
    raw = []
    for _ in range(draw(st.integers(1, 2))):
        _change(draw, tree, raw)
    text = json.dumps(tree)
    for number, value in enumerate(raw):
        text = text.replace(f'"@{number}@"', value)
    return text.encode()


def _change(draw, tree, raw):
    """Change one value in a tree; texts of values that Python cannot write are left for later."""
    while True:
        if not tree:
            return
        key = draw(st.sampled_from(sorted(tree) if isinstance(tree, dict) else range(len(tree))))
        if not isinstance(tree[key], dict | list) or not draw(st.integers(0, 3)):
            break
        tree = tree[key]
    how = draw(st.sampled_from(["replace", "replace", "replace", "drop", "rename"]))
    if how == "drop":
        del tree[key]
    elif how == "rename" and isinstance(tree, dict):
        tree[draw(st.sampled_from(["", "typo", "\ud800", "x" * 3000, "a\nb"]))] = tree.pop(key)
    else:
        tree[key] = f"@{len(raw)}@"
        raw.append(draw(st.sampled_from(VALUES)))


HEADERS = (
    *('"I64"', '"F8_E8M0"', '"BOOL"', '"F64"', '"BF16"', '"C64"', '"no"', "[-1]", "[2, 2]"),
    *("[18446744073709551615]", "[4294967296, 4294967296]", "[0, 0]", "[4, 0]", "[-4, 8]"),
)
"""Values that stand in the header of a safetensors file, beside those of any JSON."""


def _header(draw, content):
    """Change the header of a safetensors file, or its length."""
    (length,) = struct.unpack("<Q", content[:8])
    header, body = content[8 : 8 + length], content[8 + length :]
    how = draw(st.sampled_from(["values", "values", "own", "length", "body", "kind"]))
    if how == "values":
        header = _values(draw, header)
    elif how == "own":
        tree = json.loads(header)
        name = draw(st.sampled_from(sorted(tree.keys() - {"__metadata__"})))
        tree[name][draw(st.sampled_from(["dtype", "shape", "data_offsets"]))] = "@"
        header = json.dumps(tree).replace('"@"', draw(st.sampled_from(HEADERS))).encode()
    elif how == "body":
        body = _bytes(draw, body)
    elif how == "kind":
        header = draw(st.sampled_from(VALUES)).encode()
    n = len(header)
    if how == "length":
        n = draw(st.sampled_from([0, 1, n - 1, n + 1, 10**8, 2**32, 2**63, 2**64 - 1]))
    return struct.pack("<Q", n) + header + body


def _missing(path):
    return None


def _folder(path):
    path.mkdir()


def _loop(path):
    path.symlink_to(path)


def _to_nothing(path):
    path.symlink_to(path.with_name("nothing"))


def _pipe(path):
    os.mkfifo(path)


PLACES = (_missing, _folder, _loop, _to_nothing, _pipe)
"""What there may be in the place of a file."""
