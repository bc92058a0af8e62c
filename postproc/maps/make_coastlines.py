#!/usr/bin/env python3
"""Converts Natural Earth's 110 m land polygons (public domain) to coastlines_110m.inc.

The shapes are Debian's (package libmagics++-data). The edges that close polygons along the date line and the South Pole are
dropped; coordinates are hundredths of a degree, which is a fifth of the shapes' own accuracy.

    python3 make_coastlines.py [/usr/share/magics/110m/ne_110m_land.shp] > coastlines_110m.inc
"""
import struct
import sys


def rings(path):
    """The rings of every polygon of an ESRI shapefile (type 5), as lists of (longitude, latitude)."""
    with open(path, "rb") as file:
        data = file.read()
    at = 100
    while at < len(data):
        (words,) = struct.unpack_from(">i", data, at + 4)
        record = data[at + 8 : at + 8 + 2 * words]
        at += 8 + 2 * words
        (kind,) = struct.unpack_from("<i", record, 0)
        if kind != 5:
            sys.exit(f"{path}: shape of type {kind}, expected 5 (polygon)")
        parts, points = struct.unpack_from("<2i", record, 36)
        starts = list(struct.unpack_from(f"<{parts}i", record, 44)) + [points]
        for first, last in zip(starts, starts[1:]):
            flat = struct.unpack_from(f"<{2 * (last - first)}d", record, 44 + 4 * parts + 16 * first)
            yield list(zip(flat[0::2], flat[1::2]))


def artificial(a, b):
    along_date_line = abs(a[0]) > 179.99 and abs(b[0]) > 179.99
    along_pole = a[1] < -89.0 or b[1] < -89.0
    return along_date_line or along_pole


def lines(path):
    for ring in rings(path):
        line = ring[:1]
        for a, b in zip(ring, ring[1:]):
            if artificial(a, b):
                if len(line) > 1:
                    yield line
                line = [b]
            else:
                line.append(b)
        if len(line) > 1:
            yield line


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/magics/110m/ne_110m_land.shp"
    print("// Natural Earth 110 m coastlines (public domain), made by make_coastlines.py.")
    print("// Lines: number of points, then longitude and latitude of each in hundredths of a degree.")
    text = ""
    for line in lines(path):
        values = [len(line)]
        for longitude, latitude in line:
            values += [round(100 * longitude), round(100 * latitude)]
        for value in values:
            word = f"{value},"
            if len(text) + len(word) > 120:
                print(text)
                text = ""
            text += word
    print(text)


if __name__ == "__main__":
    main()
