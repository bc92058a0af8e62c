#include "ingest/archive/static_file.hpp"

#include <array>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "ingest/archive/hdf5_handle.hpp"
#include "ingest/hdf5_lock.hpp"

namespace zonda::ingest {

StaticFile write_static_file(const std::filesystem::path& path, const Grid& grid, std::span<const Channel> channels,
                             std::span<const float> values) {
  const Hdf5Lock lock(hdf5_mutex());
  const Hdf5Silence silence;
  const std::string name = path.string();
  AtomicFile whole(path);
  StaticFile result;
  {
    Hdf5Handle file = create_hdf5_file(whole.temporary().string(), name);
    write_attribute(file, "Conventions", "CF-1.8", name);
    write_attribute(file, "grid", grid.to_string(), name);
    const std::array<hsize_t, 2> shape{grid.nlat(), grid.nlon()};
    const Hdf5Handle space(H5Screate_simple(2, shape.data(), nullptr), H5Sclose);
    std::vector<Hdf5Handle> fields;
    std::vector<ScaleUse> of_lat, of_lon;
    for (std::size_t i = 0; i < channels.size(); ++i) {
      const Hdf5Handle creation = plain_creation_list();
      const Variable& info = channels[i].info();
      Hdf5Handle field(hdf5_check(H5Dcreate2(file, channels[i].name().c_str(), H5T_IEEE_F32LE, space, H5P_DEFAULT,
                                             creation, H5P_DEFAULT),
                                  name, "field"),
                       H5Dclose);
      hdf5_check(H5Dwrite(field, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data() + i * grid.size()),
                 name, "field");
      write_attribute(field, "standard_name", info.standard_name, name);
      write_attribute(field, "long_name", info.long_name, name);
      write_attribute(field, "units", info.unit, name);
      const haddr_t offset = H5Dget_offset(field);
      if (offset == HADDR_UNDEF) fail(ErrorKind::failure, "{}: {} has no place", name, channels[i].name());
      result.records.push_back({channels[i], offset});
      of_lat.push_back({field, 0});
      of_lon.push_back({field, 1});
      fields.push_back(std::move(field));
    }
    const Hdf5Handle lat = write_dataset(file, "lat", grid.latitudes(), name);
    write_attribute(lat, "standard_name", "latitude", name);
    write_attribute(lat, "units", "degrees_north", name);
    const Hdf5Handle lon = write_dataset(file, "lon", grid.longitudes(), name);
    write_attribute(lon, "standard_name", "longitude", name);
    write_attribute(lon, "units", "degrees_east", name);
    make_scale(lat, "lat", of_lat, name);
    make_scale(lon, "lon", of_lon, name);
    for (Hdf5Handle& field : fields) attach_scales(file, field, std::array{"/lat", "/lon"}, name);
    hdf5_check(H5Fflush(file, H5F_SCOPE_GLOBAL), name, "cannot be written");
  }
  result.crc32c = file_crc32c(whole.temporary());
  whole.commit();
  return result;
}

}  // namespace zonda::ingest
