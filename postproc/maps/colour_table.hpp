#pragma once
// Colours and the colour tables that forecasters know.
#include <string_view>
#include <vector>

namespace zonda::postproc {

struct Colour {
  double red, green, blue;  ///< 0..1
  double alpha = 1;
  /// 0xRRGGBB
  static Colour hex(unsigned rgb, double alpha = 1);
  Colour with_alpha(double a) const { return {red, green, blue, a}; }
  /// Relative luminance (WCAG): decides whether text on it is dark or light.
  double luminance() const;
};

class ColourTable {
 public:
  explicit ColourTable(std::vector<Colour> stops) : stops_(std::move(stops)) {}
  /// Piecewise linear; `fraction` is clamped to 0..1.
  Colour at(double fraction) const;

 private:
  std::vector<Colour> stops_;
};

/// geopotential, temperature, wind, precipitation, moisture, pressure, cloud, diverging. Throws Error(usage) naming
/// them.
const ColourTable& colour_table(std::string_view name);

/// The report's hand: one colour for each source in every chart.
namespace palette {
inline const Colour ink{0.11, 0.14, 0.18};
inline const Colour muted{0.38, 0.43, 0.49};
inline const Colour line{0.85, 0.87, 0.89};
inline const Colour paper{1, 1, 1};
inline const Colour forecast{0.05, 0.36, 0.67};
inline const Colour persistence{0.84, 0.37, 0.0};
inline const Colour climatology{0.47, 0.50, 0.53};
inline const Colour truth{0.11, 0.14, 0.18};
inline const Colour accent{0.0, 0.55, 0.45};
}  // namespace palette

}  // namespace zonda::postproc
