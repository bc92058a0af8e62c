#include "assimilation/cycling/mean_fields.hpp"

#include <fmt/format.h>

#include "assimilation/diagnostics/ensemble_scores.hpp"
#include "core/provenance.hpp"
#include "ingest/cf/cf_writer.hpp"

namespace zonda::assimilation {

void write_mean_fields(const std::filesystem::path& path, const PressureFields& fields, Time time,
                       const std::vector<std::vector<float>>& members, const std::string& title,
                       const std::string& method) {
  ingest::CfOptions options;
  options.source = fmt::format("zonda {} {}", code_version(), method);
  options.history = history_line("cycle");
  options.title = title;
  ingest::CfWriter writer(path, fields.grid(), fields.channels(), options);
  const std::vector<float> mean = mean_field(members);
  const std::size_t points = fields.grid().size();
  writer.begin(time);
  for (std::size_t c = 0; c < fields.channels().size(); ++c)
    writer.write_rows(c, {0, fields.grid().nlat()}, std::span<const float>(mean).subspan(c * points, points));
  writer.close();
}

}  // namespace zonda::assimilation
