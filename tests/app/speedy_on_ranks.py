"""configs/speedy.yaml trained for 200 steps on 1, 2, 4 and 8 ranks: equal losses and equal hashes of the checkpoint.

Environment: ZONDA_SPEEDY_STEPS (default 200). Exits 77 where the shared data are not there.
"""

import hashlib
import json
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from program import SOURCE, zonda  # noqa: E402

STEPS = os.environ.get("ZONDA_SPEEDY_STEPS", "200")
MESHES = [(1, "data=1", 1), (2, "pipeline=2", 1), (4, "data=2,spatial=2", 3), (8, "data=2,pipeline=2,spatial=2", 2)]


def main():
    if not (SOURCE / "../shared/data/speedy_simulation").is_dir():
        print("skipped: ../shared/data/speedy_simulation is not there")
        return 77
    found = []
    with tempfile.TemporaryDirectory(prefix="zonda-speedy-") as holder:
        words = [SOURCE / "configs/speedy.yaml", f"train.steps={STEPS}", "train.validation.every=0", "train.rollout.steps=2",
                 f"train.checkpoint.every={STEPS}"]
        archive = pathlib.Path(holder) / "archive-of-all"
        ingested = zonda("ingest", *words, f"run.directory={archive}", cwd=SOURCE, timeout=3600)
        if ingested.returncode:
            print(ingested.stderr)
            return 1
        for ranks, mesh, zero in MESHES:
            run = pathlib.Path(holder) / f"ranks-{ranks}"
            run.mkdir()
            (run / "archive").symlink_to(archive / "archive")
            begin = time.monotonic()
            trained = zonda("train", *words, f"run.directory={run}", f"train.mesh={mesh}", f"train.zero={zero}", cwd=SOURCE,
                            ranks=ranks, timeout=7200)
            if trained.returncode:
                print(trained.stderr)
                return 1
            folder = run / "checkpoints"
            newest = (folder / "LATEST").read_text().strip()
            manifest = json.loads((folder / newest / "manifest.json").read_text())
            losses = hashlib.sha256((folder / "metrics.jsonl").read_bytes()).hexdigest()
            found.append((losses, manifest["hash"]))
            print(f"{ranks} ranks, {mesh}, zero {zero}: losses {losses[:16]}, {newest} {manifest['hash'][:16]} "
                  f"({time.monotonic() - begin:.0f} s)", flush=True)
    if len(set(found)) != 1:
        print("they differ")
        return 1
    print("all are equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
