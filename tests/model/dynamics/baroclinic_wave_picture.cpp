// Draws the baroclinic wave of Jablonowski & Williamson (2006) on day 9 at several truncations, one beside the other:
//
//   baroclinic_wave_picture wave.png [42 85 106]
//
// Surface pressure on the left, temperature at 850 hPa on the right, as in figures 5 and 6 of the paper.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "core/constants.hpp"
#include "model/dynamics/initial_state.hpp"
#include "model/dynamics/model_output.hpp"
#include "postproc/maps/map.hpp"

namespace {

using namespace zonda;

State day_nine(int truncation) {
  model::CoreParameters p;
  p.truncation = truncation;
  p.levels = model::SigmaLevels({0,          0.00489521, 0.00988242, 0.01805201, 0.02983724, 0.04462334, 0.06160587,
                                 0.07851243, 0.0923658,  0.10866359, 0.12783708, 0.15039371, 0.17693043, 0.20814944,
                                 0.2448771,  0.28808522, 0.3389173,  0.39861865, 0.4690718,  0.5518387,  0.6492096,
                                 0.7443829,  0.8310212,  0.9033003,  0.9559975,  0.9851122,  1});
  p.time_step = truncation <= 42 ? 1200 : truncation <= 85 ? 600 : truncation <= 106 ? 450 : 300;
  // The paper's table 3: del^4 with 1e16, 1e15, 5e14 and 1.5e14 m4/s at T42, T85, T106 and T170.
  const double diffusion = truncation <= 42 ? 1e16 : truncation <= 85 ? 1e15 : truncation <= 106 ? 5e14 : 1.5e14;
  const double smallest = truncation * (truncation + 1) / (constants::earth_radius * constants::earth_radius);
  p.diffusion_order = 4;
  p.diffusion_time = 1 / (diffusion * smallest * smallest);
  const model::SphericalTransform transform(truncation);
  model::JablonowskiWilliamson jet = model::jablonowski_williamson(transform, p.levels, true, false);
  model::PrimitiveEquations atmosphere(p, jet.surface_geopotential);
  atmosphere.start(std::move(jet.state), parse_time("2000-01-01"));
  for (int i = 0; i < int(9 * 86400 / p.time_step); ++i) atmosphere.step();
  const Grid grid = Grid::gaussian(std::size_t(transform.nlat()), std::size_t(transform.nlon()));
  const model::ModelOutput output(atmosphere, grid, {{"sp", 0}, {"t", 850}});
  return output.make(atmosphere, {});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s PICTURE.png [TRUNCATION ...]\n", argv[0]);
    return 2;
  }
  std::vector<int> truncations;
  for (int i = 2; i < argc; ++i) truncations.push_back(std::atoi(argv[i]));
  if (truncations.empty()) truncations = {42, 85, 106};
  try {
    std::vector<postproc::MapPanel> panels;
    for (const int truncation : truncations) {
      State state = day_nine(truncation);
      for (std::size_t c = 0; c < 2; ++c) {
        const auto whole = state.field(c);
        // The waves have reached 120 E to 240 E.
        const Grid::Window window = state.grid.window(85, 15, 90, 270);
        std::vector<float> field;
        for (std::size_t row = window.first_row; row < window.first_row + window.rows; ++row) {
          const auto from = whole.begin() + long(row * state.grid.nlon() + window.first_column);
          field.insert(field.end(), from, from + long(window.columns));
        }
        const auto lowest = *std::min_element(field.begin(), field.end());
        postproc::MapPanel panel{
            .title = fmt::format("T{}", truncation),
            .note = c == 0 ? fmt::format("lowest {:.1f} hPa", lowest / 100) : std::string("850 hPa"),
            .grid = state.grid.sub_grid(window),
            .field = field,
            .style = postproc::field_style(state.channels[c]),
            .levels = {},
            .isolines = {},
            .coastlines = false};
        if (c == 0)
          for (double level = 942.5; level <= 1020; level += 5) panel.levels.push_back(level);
        panels.push_back(std::move(panel));
        std::printf("T%d %s: lowest %.2f\n", truncation, state.channels[c].name().c_str(),
                    c == 0 ? lowest / 100 : lowest);
      }
    }
    const postproc::MapSheet sheet{.title = "Baroclinic wave, day 9: surface pressure and temperature at 850 hPa",
                                   .subtitle = "Jablonowski & Williamson (2006), 26 levels",
                                   .columns = 2,
                                   .panel_width = 520};
    postproc::draw_maps(sheet, panels, argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
