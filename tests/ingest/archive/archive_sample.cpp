// archive_sample FOLDER: writes a small archive for other programs to open (tests/peers/archive_open.py).
#include <cstdio>

#include "tests/ingest/archive/written_archive.hpp"

int main(int argc, char** argv) {
  using namespace zonda::ingest;
  if (argc != 2) {
    std::fputs("usage: archive_sample FOLDER\n", stderr);
    return 2;
  }
  const SyntheticAtmosphere atmosphere{
      zonda::Grid::gaussian(48, 96), {{"2t", 0}, {"z", 500}, {"t", 850}, {"u", 250}}, 24};
  std::vector<std::vector<float>> fields;
  for (std::size_t t = 0; t < 3; ++t) fields.push_back(atmosphere.fields(archive_time(t)));
  write_archive(argv[1], atmosphere, 10, fields, 20);
  return 0;
}
