#include "assimilation/cycling/column_batches.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {

std::vector<Batch> column_batches(const AtmosphereLayout& layout) {
  constexpr double surface = 1e5;
  const LaidField* upper_air = nullptr;
  for (const LaidField& field : layout.fields) {
    if (!field.upper_air()) continue;
    if (upper_air && (field.a != upper_air->a || field.b != upper_air->b))
      fail(ErrorKind::usage, "{} and {} do not have the same levels", upper_air->variable, field.variable);
    upper_air = &field;
  }
  const std::size_t levels = upper_air ? upper_air->offset.size() : 1, columns = layout.grid.nlon();
  std::vector<Batch> batches;
  for (std::size_t k = 0; k < levels; ++k)
    for (std::size_t i = 0; i < layout.grid.size(); ++i) {
      const double pressure = upper_air ? upper_air->a[k] + upper_air->b[k] * surface : surface;
      Batch batch{{layout.grid.longitudes()[i % columns], layout.grid.latitudes()[i / columns], std::log(pressure)},
                  {}};
      for (std::size_t slot = 0; slot < layout.slots; ++slot)
        for (const LaidField& field : layout.fields)
          if (field.upper_air() || k + 1 == levels)
            batch.variables.push_back(slot * layout.slot_size + field.offset[field.upper_air() ? k : 0] + i);
      batches.push_back(std::move(batch));
    }
  return batches;
}

}  // namespace zonda::assimilation
