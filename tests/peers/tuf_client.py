#!/usr/bin/env python3
"""The reference client of The Update Framework (PyPI `tuf`) against a hub that `zonda hub` made and serves.

It takes the root of the first day, follows rotations, finds and downloads targets of the catalogue and of both delegated
roles, and refuses a repository that was tampered with. Keyids are compared with securesystemslib's.
Usage: tuf_client.py ZONDA BUNDLE_SAMPLE; exits 77 where a package is missing.
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

try:
    from securesystemslib.signer import SSlibKey  # noqa: F401
    from securesystemslib.formats import encode_canonical
    from tuf.api.exceptions import DownloadError, RepositoryError
    from tuf.api.metadata import Metadata, Root
    from tuf.ngclient import Updater
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)


def main():
    zonda, sample = sys.argv[1], sys.argv[2]
    with tempfile.TemporaryDirectory(prefix="zonda-tuf-") as folder:
        root = pathlib.Path(folder)
        site, keys = root / "site", [str(root / f"stick-{i}") for i in (1, 2, 3)]

        def hub(verb, *words):
            done = subprocess.run([zonda, "hub", verb, str(site), *words, "--json"], capture_output=True, text=True)
            assert done.returncode == 0, f"hub {verb}: {done.stderr}"
            return json.loads(done.stdout)

        bundle = root / "bundle"
        subprocess.run([sample, str(bundle)], check=True)
        hub("init", "--root-keys", *keys)
        shipped = (site / "public/metadata/1.root.json").read_bytes()
        hub("publish", str(bundle), "--name", "europe", "--version", "1.0")
        hub("assign", "--name", "europe", "--version", "1.0")

        # Keyids and signatures, as the reference library computes them.
        metadata = Metadata[Root].from_bytes(shipped)
        for keyid, key in metadata.signed.keys.items():
            canonical = encode_canonical({"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval})
            assert hashlib.sha256(canonical.encode()).hexdigest() == keyid
        metadata.signed.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
        print(f"equal keyids 0 ({len(metadata.signed.keys)} keys)")

        server = subprocess.Popen([zonda, "hub", "serve", str(site), "--port", "0"], stdout=subprocess.PIPE, text=True)
        try:
            url = server.stdout.readline().strip()

            def client(name):
                for part in ("metadata", "targets"):
                    (root / name / part).mkdir(parents=True, exist_ok=True)
                return Updater(str(root / name / "metadata"), f"{url}/metadata/", str(root / name / "targets"),
                               f"{url}/targets/", bootstrap=shipped)

            def fetch(updater, path):
                info = updater.get_targetinfo(path)
                assert info is not None, path
                return pathlib.Path(updater.download_target(info)).read_bytes()

            station = client("station")
            station.refresh()
            release = json.loads(fetch(station, "models/europe/1.0/release.json"))
            for file in release["files"]:
                content = fetch(station, file["target"])
                assert content == (bundle / file["name"]).read_bytes(), file["name"]
            rules = json.loads(fetch(station, "assignment/rules.json"))
            assert rules["rules"][0]["version"] == "1.0"
            assert station.get_targetinfo("models/europe/6.6.6/release.json") is None
            print(f"equal targets 0 ({len(release['files'])} files of a release)")

            for role in ("targets", "snapshot", "timestamp"):
                hub("rotate", "--role", role, "--root-keys", keys[0], keys[2])
            hub("rotate", "--role", "root", "--root-keys", keys[0], keys[1], "--replace", keys[1])
            for role in ("assignment", "feeds"):
                hub("rotate", "--role", role)
            for name in ("station", "late"):
                updater = client(name)
                updater.refresh()
                fetch(updater, "models/europe/1.0/release.json")
                fetch(updater, "assignment/rules.json")
            print("equal rotations 0 (root version 5)")

            log = hub("log", "--verify")
            assert log["verified"] and len(log["entries"]) == 9, len(log["entries"])

            # An idle poll, counted with its headers.
            with urllib.request.urlopen(f"{url}/metadata/timestamp.json") as answer:
                tag, whole = answer.headers["ETag"], len(answer.read()) + len(str(answer.headers))
            try:
                urllib.request.urlopen(urllib.request.Request(f"{url}/metadata/timestamp.json",
                                                              headers={"If-None-Match": tag}))
                raise AssertionError("expected 304")
            except urllib.error.HTTPError as answer:
                assert answer.code == 304
                idle = len(str(answer.headers)) + len(answer.read())
            print(f"poll_bytes new {whole} idle {idle}")
            assert whole <= 2048 and idle <= 2048

            # The same client refuses what was changed on the server.
            timestamp = site / "public/metadata/timestamp.json"
            good = timestamp.read_text()
            forged = json.loads(good)
            forged["signed"]["version"] += 1
            timestamp.write_text(json.dumps(forged))
            try:
                client("station").refresh()
                raise AssertionError("a forged timestamp was accepted")
            except RepositoryError as refused:
                print(f"refused {type(refused).__name__}")
            timestamp.write_text(good)
            weights = next(iter((site / "public/targets/models/europe/1.0").glob("*.weights.bin")))
            weights.write_bytes(weights.read_bytes()[:-1] + b"?")
            try:
                fetch(client("fresh"), "models/europe/1.0/weights.bin")
                raise AssertionError("forged weights were accepted")
            except (RepositoryError, DownloadError) as refused:
                print(f"refused {type(refused).__name__}")
        finally:
            server.terminate()
            assert server.wait(timeout=20) in (0, 143), server.returncode


if __name__ == "__main__":
    main()
