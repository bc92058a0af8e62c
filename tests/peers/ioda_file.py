#!/usr/bin/env python3
"""Opens a store of observations with h5py, netCDF4 and ncdump and compares it with what its writer says it holds.

ioda_file.py SAMPLE: the program that writes one and prints its facts as JSON. Exits 77 where h5py is missing.
"""
import json
import shutil
import subprocess
import sys
import tempfile


def main():
    try:
        import h5py
    except ImportError:
        print("skipped: no h5py")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/sample.h5"
        facts = json.loads(subprocess.run([sys.argv[1], path], capture_output=True, text=True, check=True).stdout)
        with h5py.File(path) as file:
            assert file.attrs["_ioda_layout"] in ("ObsGroup", b"ObsGroup"), file.attrs["_ioda_layout"]
            assert len(file["Location"]) == facts["locations"]
            temperature = file["ObsValue/airTemperature"]
            there = temperature[:][temperature[:] < 1e30]
            assert len(there) == facts["temperatures"], len(there)
            assert abs(there.sum() - facts["sum"]) < 1e-9 * abs(facts["sum"])
            assert temperature.attrs["units"] in ("K", b"K")
            assert temperature.dims[0][0].name == "/Location", temperature.dims[0][0].name
            stations = [name.decode().rstrip("\0") for name in file["MetaData/stationIdentification"][:]]
            assert stations[0] == facts["station"], stations[0]
            assert file["MetaData/dateTime"][0] == facts["seconds"]
            meanings = file["PreQC/airTemperature"].attrs["flag_meanings"]
            meanings = meanings.decode() if isinstance(meanings, bytes) else str(meanings)
            assert len(meanings.split()) == len(file["PreQC/airTemperature"].attrs["flag_values"]), meanings
            print("equal h5py 0")
        try:
            import netCDF4
        except ImportError:
            netCDF4 = None
        if netCDF4:
            with netCDF4.Dataset(path) as file:
                assert file.dimensions["Location"].size == facts["locations"]
                values = file["ObsValue"]["airTemperature"][:]
                assert values.count() == facts["temperatures"], values.count()
                print("equal netCDF4 0")
        if shutil.which("ncdump"):
            header = subprocess.run(["ncdump", "-h", path], capture_output=True, text=True, check=True).stdout
            assert "group: ObsValue" in header and f"Location = {facts['locations']}" in header, header
            print("equal ncdump 0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
