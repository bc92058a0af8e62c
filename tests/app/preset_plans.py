"""What the presets cost, without any data: parameters and work near the design's, memory that adds up, devices that hold it."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from program import SOURCE, InFolder, zonda  # noqa: E402

# Preset: parameters, forward operations of a sample.
DESIGN = {
    "small": (40e6, 0.62e12),
    "base": (118e6, 1.8e12),
    "meta": (817e6, 49e12),
    "ghr": (931e6, 500e12),
    "fengwu-ghr": (2.7e9, 44e12),
    "edge": (5.4e6, 40e9),
}


class PresetPlans(InFolder):
    def plan(self, preset, *words):
        path = SOURCE / f"configs/presets/{preset}.yaml"
        result = zonda("plan", path, *words, "--json", cwd=self.folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)["plan"]

    def test_presets_cost_what_the_design_says(self):
        for preset, (parameters, work) in DESIGN.items():
            with self.subTest(preset):
                plan = self.plan(preset)
                self.assertAlmostEqual(plan["parameters"] / parameters, 1, delta=0.08)
                self.assertAlmostEqual(plan["forward_flops_per_sample"] / work, 1, delta=0.08)
                previous = None
                for recompute in ("none", "mlp", "block"):
                    cost = plan["training"][recompute]
                    parts = [value for key, value in cost.items() if key.endswith("_bytes") and key not in
                             ("total_bytes", "gathered_bytes")]
                    self.assertEqual(sum(parts), cost["total_bytes"])
                    n = cost["devices"]
                    share = cost["total_bytes"] // n + cost["gathered_bytes"]
                    self.assertEqual(share, cost["bytes_per_device"])
                    self.assertLessEqual(share, 0.9 * 80e9 + 1)
                    if n > 1:
                        self.assertGreater(cost["total_bytes"] / (n - 1) + cost["gathered_bytes"], 0.9 * 80e9)
                    if previous:
                        self.assertLess(cost["activation_bytes"], previous["activation_bytes"])
                        self.assertLessEqual(n, previous["devices"])
                    previous = cost

    def test_ghr_needs_several_devices_and_says_why(self):
        result = zonda("plan", SOURCE / "configs/presets/ghr.yaml", cwd=self.folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        for part in ("lift 3", "devices of 80 GB", "ZeRO 3", "recompute block"):
            self.assertIn(part, result.stdout)
        self.assertGreater(self.plan("ghr")["training"]["block"]["devices"], 1)
        # Twice the devices' memory, no more than as many.
        self.assertLess(self.plan("ghr", "plan.device_memory=160e9")["training"]["block"]["devices"],
                        self.plan("ghr")["training"]["block"]["devices"])

    def test_a_plan_is_no_stage(self):
        result = zonda("run", SOURCE / "configs/presets/small.yaml", cwd=self.folder)
        self.assertEqual(result.returncode, 2)
        self.assertIn("no stage", result.stderr)


if __name__ == "__main__":
    unittest.main()
