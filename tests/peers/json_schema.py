#!/usr/bin/env python3
"""json_schema.py PROGRAM [BOUND]: python3-jsonschema judges `zonda schema`.

The schema must be a valid one of draft 2020-12; every run file in configs/ must satisfy it; and of tests/app/broken_run_files those
whose fault a schema can see must not. Prints `equal NAME ERROR` lines; exits 1 if an error is above BOUND (default 0)."""
import json
import pathlib
import re
import subprocess
import sys

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"skipped: {missing}", file=sys.stderr)
    sys.exit(77)

root = pathlib.Path(__file__).resolve().parents[2]


class Loader(yaml.SafeLoader):
    """YAML 1.2's core types: dates stay text, yes and 010 are words."""


Loader.yaml_implicit_resolvers = {}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))
Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(~|null|)$"), ["~", "n", ""])
Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?$"), list("-+.0123456789"))


def faults(validator, path):
    return [error.message for error in validator.iter_errors(yaml.load(path.read_text(), Loader))]


def main():
    program, bound = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0
    schema = json.loads(subprocess.run([program, "schema"], check=True, capture_output=True, text=True).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    worst = 0
    for path in sorted([*(root / "configs").glob("*.yaml"), *(root / "configs" / "presets").glob("*.yaml")]):
        found = faults(validator, path)
        for message in found:
            print(f"{path.name}: {message}", file=sys.stderr)
        print(f"equal {path.name} {len(found)}")
        worst = max(worst, len(found))
    visible = ["unknown_key", "unknown_section", "wrong_type_number", "wrong_type_list", "wrong_type_map", "wrong_boolean",
               "leading_zero", "negative_steps", "fraction_out_of_range", "bad_duration", "unknown_method", "source_without_path",
               "unknown_metric", "unknown_region", "truncation_out_of_range", "not_a_map"]
    unseen = [name for name in visible if not faults(validator, root / "tests/app/broken_run_files" / f"{name}.yaml")]
    for name in unseen:
        print(f"{name}: the schema lets it pass", file=sys.stderr)
    print(f"equal broken_run_files {len(unseen)}")
    sys.exit(1 if max(worst, len(unseen)) > bound else 0)


main()
