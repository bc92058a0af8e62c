"""What `zonda-station` asks of a machine: none of the libraries of a cluster."""

import os
import subprocess
import sys

FORBIDDEN = ("mpi", "open-rte", "open-pal", "hdf5", "netcdf", "eccodes", "onnx", "proj", "cairo", "odc", "blosc")


def main() -> None:
    program = os.environ["ZONDA_STATION"]
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = [line.split()[0] for line in listing.splitlines()]
    found = [name for name in libraries if any(word in name for word in FORBIDDEN)]
    assert len(libraries) > 5, listing
    assert not found, f"zonda-station needs {found}"
    assert "not found" not in listing, listing
    print(f"{len(libraries)} libraries, none of a cluster")


if __name__ == "__main__":
    sys.exit(main())
