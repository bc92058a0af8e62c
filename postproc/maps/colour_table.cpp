#include "postproc/maps/colour_table.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "core/error.hpp"

namespace zonda::postproc {
namespace {

ColourTable of(std::initializer_list<unsigned> stops) {
  std::vector<Colour> colours;
  for (const unsigned rgb : stops) colours.push_back(Colour::hex(rgb));
  return ColourTable(std::move(colours));
}

const std::vector<std::pair<std::string, ColourTable>>& tables() {
  static const std::vector<std::pair<std::string, ColourTable>> all = {
      // Low heights cold violet and blue, high ones warm: the look of 500 hPa charts.
      {"geopotential", of({0x7a5bb0, 0x6470c8, 0x4f8fd8, 0x52b3d9, 0x7fd1b9, 0xb9e08c, 0xf1ea83, 0xf8c260, 0xee8a45,
                           0xd24b38, 0x96223a})},
      {"temperature", of({0x5e3c99, 0x3b4cc0, 0x3f7fd0, 0x6db3e8, 0xa9d8f0, 0xe4f1ec, 0xfdf0b5, 0xfbcb6d, 0xf2934a,
                          0xd95438, 0xa0182c, 0x64001f})},
      {"wind", of({0xffffff, 0xdcecf7, 0xa8d3ee, 0x6db4dd, 0x57b894, 0x9acb54, 0xf2dd4e, 0xf5a53b, 0xe2603a, 0xb5263f,
                   0x72206e})},
      {"precipitation", of({0xffffff, 0xcfe6f7, 0x8fc3ea, 0x4b93d6, 0x2b62b5, 0x2f9b5b, 0x93c94b, 0xf2e14c, 0xf29b38,
                            0xdb4437, 0x9c2a86})},
      {"moisture", of({0x7a4a1c, 0xb98544, 0xe3c58d, 0xf6ecd6, 0xd9efe6, 0x8fcfc0, 0x44a398, 0x12756c, 0x044a52})},
      {"pressure", of({0x4b2a86, 0x4f6bc6, 0x74aee0, 0xb9dcee, 0xf2f2ec, 0xf8dcae, 0xeeae6c, 0xd6733f, 0x9c3a26})},
      {"cloud", of({0x2d5d8c, 0x6f97bb, 0xa9bfd1, 0xd5dde4, 0xffffff})},
      {"diverging", of({0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xffffff, 0xfddbc7, 0xf4a582, 0xd6604d,
                        0xb2182b, 0x67001f})},
  };
  return all;
}

}  // namespace

Colour Colour::hex(unsigned rgb, double alpha) {
  const auto part = [rgb](int shift) { return ((rgb >> shift) & 0xffu) / 255.0; };
  return {part(16), part(8), part(0), alpha};
}

double Colour::luminance() const {
  const auto linear = [](double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); };
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

Colour ColourTable::at(double fraction) const {
  const double position = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(stops_.size() - 1);
  const auto lower = std::min(static_cast<std::size_t>(position), stops_.size() - 2);
  const double f = position - static_cast<double>(lower);
  const Colour &a = stops_[lower], &b = stops_[lower + 1];
  return {a.red + f * (b.red - a.red), a.green + f * (b.green - a.green), a.blue + f * (b.blue - a.blue),
          a.alpha + f * (b.alpha - a.alpha)};
}

const ColourTable& colour_table(std::string_view name) {
  std::vector<std::string> known;
  for (const auto& [key, table] : tables()) {
    if (key == name) return table;
    known.push_back(key);
  }
  throw Error(ErrorKind::usage, unknown_word("colour table", name, known));
}

}  // namespace zonda::postproc
