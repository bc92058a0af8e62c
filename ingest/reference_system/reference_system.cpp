#include "ingest/reference_system/reference_system.hpp"

#include <proj.h>

#include <array>
#include <cmath>
#include <memory>

#include "core/error.hpp"

namespace zonda::ingest {
namespace {

struct Destroy {
  void operator()(PJ_CONTEXT* context) const { proj_context_destroy(context); }
  void operator()(PJ* object) const { proj_destroy(object); }
};
using Context = std::unique_ptr<PJ_CONTEXT, Destroy>;
using Object = std::unique_ptr<PJ, Destroy>;

Object created(const Context& context, const std::string& text) {
  proj_log_level(context.get(), PJ_LOG_NONE);
  Object object(proj_create(context.get(), text.c_str()));
  if (!object)
    fail(ErrorKind::failure, "PROJ refuses '{}': {}", text,
         proj_context_errno_string(context.get(), proj_context_errno(context.get())));
  return object;
}

}  // namespace

std::string well_known_text(const MapProjection& projection) {
  const Context context(proj_context_create());
  const Object object = created(context, projection.to_string() + " +type=crs");
  constexpr std::array<const char*, 2> options{"MULTILINE=NO", nullptr};
  const char* text = proj_as_wkt(context.get(), object.get(), PJ_WKT2_2019, options.data());
  if (text == nullptr) fail(ErrorKind::failure, "PROJ writes no WKT for '{}'", projection.to_string());
  return text;
}

void verify_projection(const Grid& grid) {
  if (!grid.projection()) return;
  const Context context(proj_context_create());
  const Object object = created(context, grid.projection()->to_string());
  for (const std::size_t row : {std::size_t{0}, grid.nlat() / 2, grid.nlat() - 1})
    for (const std::size_t column : {std::size_t{0}, grid.nlon() / 2, grid.nlon() - 1}) {
      const GeographicPoint ours = grid.centre(row * grid.nlon() + column);
      const PJ_COORD there = proj_trans(object.get(), PJ_INV, proj_coord(grid.x()[column], grid.y()[row], 0, 0));
      const double latitude = proj_todeg(there.lp.phi), longitude = proj_todeg(there.lp.lam);
      const PJ_COORD back =
          proj_trans(object.get(), PJ_FWD, proj_coord(proj_torad(ours.longitude), proj_torad(ours.latitude), 0, 0));
      const double turn = std::abs(std::remainder(longitude - ours.longitude, 360.0)) *
                          std::cos(proj_torad(ours.latitude));  // longitude is nothing at a pole
      const double off = std::hypot(back.xy.x - grid.x()[column], back.xy.y - grid.y()[row]);
      if (!(std::abs(latitude - ours.latitude) <= 1e-9 && turn <= 1e-9 && off <= 1e-3))
        fail(ErrorKind::failure, "{}: x {} y {} is {} N {} E, by PROJ {} N {} E ({} m off)", grid.to_string(),
             grid.x()[column], grid.y()[row], ours.latitude, ours.longitude, latitude, longitude, off);
    }
}

}  // namespace zonda::ingest
