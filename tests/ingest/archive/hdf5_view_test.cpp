// The files through HDF5's own eyes: it reads the same values through the registered filter, and finds dimensions and
// bits.
#include <gtest/gtest.h>
#include <hdf5.h>

#include "ingest/archive/zstd_filter.hpp"
#include "ingest/hdf5_lock.hpp"
#include "tests/ingest/archive/scratch_folder.hpp"
#include "tests/ingest/archive/written_archive.hpp"

namespace zonda::ingest {
namespace {

TEST(Hdf5View, ReadsTheSameValues) {
  const ScratchFolder folder("hdf5_view");
  const SyntheticAtmosphere atmosphere{Grid::gaussian(32, 64), {{"z", 500}, {"t", 850}, {"10u", 0}}, 16};
  std::vector<std::vector<float>> stored;
  for (std::size_t t = 0; t < 2; ++t) stored.push_back(atmosphere.fields(archive_time(t)));
  write_archive(folder.path(), atmosphere, 9, stored, 10);
  register_zstd_filter();
  const Hdf5Lock lock(hdf5_mutex());
  const hid_t file = H5Fopen((folder.path() / "fields-a.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  ASSERT_GE(file, 0);
  const hid_t fields = H5Dopen2(file, "fields", H5P_DEFAULT);
  ASSERT_GE(fields, 0);
  std::vector<float> all(2 * stored[0].size());
  ASSERT_GE(H5Dread(fields, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, all.data()), 0);
  EXPECT_TRUE(std::equal(stored[0].begin(), stored[0].end(), all.begin()));
  EXPECT_TRUE(
      std::equal(stored[1].begin(), stored[1].end(), all.begin() + static_cast<std::ptrdiff_t>(stored[0].size())));

  std::vector<int> bits(3);
  const hid_t attribute = H5Aopen(fields, "kept_mantissa_bits", H5P_DEFAULT);
  ASSERT_GE(H5Aread(attribute, H5T_NATIVE_INT, bits.data()), 0);
  EXPECT_EQ(bits, std::vector<int>({9, 9, 9}));
  EXPECT_GT(H5Aexists(fields, "DIMENSION_LIST"), 0);
  H5Aclose(attribute);
  H5Dclose(fields);
  H5Fclose(file);
}

}  // namespace
}  // namespace zonda::ingest
