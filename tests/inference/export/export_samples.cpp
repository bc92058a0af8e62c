// Bundles for the judge: `export_samples FOLDER` of every kind of network that a graph holds, `export_samples FOLDER
// MODEL [ARCHIVE]` of a trained model, token levels measured on the archive.
#include <cstdio>

#include "edge_sample.hpp"
#include "inference/export/export_bundle.hpp"

int main(int argc, char** argv) {
  using namespace zonda;
  using inference::SampleModel;
  if (argc < 2 || argc > 4) return 2;
  const std::filesystem::path folder = argv[1];
  if (argc > 2) {
    for (const char* precision : {"fp32", "bf16", "int8"}) {
      const auto to = folder / (std::string("trained-") + precision);
      inference::export_bundle({.model = argv[2],
                                .to = to,
                                .precision = precision,
                                .measure_on = argc > 3 ? std::filesystem::path(argv[3]) : std::filesystem::path()});
      std::printf("%s\n", to.c_str());
    }
    return 0;
  }
  const Grid global = Grid::gaussian(16, 24), poles = Grid::latlon(17, 24, true);
  const std::pair<const char*, SampleModel> samples[] = {
      {"regional", {}},
      {"global", {.grid = global, .boundary_width = 0}},
      {"shared-rows", {.grid = poles, .boundary_width = 0}},
      {"levels", {.grid = global, .boundary_width = 0, .embedding = "levels"}},
      {"global-blocks", {.global_every = 2}}};
  for (const auto& [name, sample] : samples) {
    inference::write_sample_model(folder / "models" / name, sample);
    for (const char* precision : {"fp32", "bf16", "int8"}) {
      const auto to = folder / (std::string(name) + '-' + precision);
      inference::export_bundle({.model = folder / "models" / name, .to = to, .name = name, .precision = precision});
      std::printf("%s\n", to.c_str());
    }
  }
  return 0;
}
