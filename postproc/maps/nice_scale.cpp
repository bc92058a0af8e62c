#include "postproc/maps/nice_scale.hpp"

#include <fmt/core.h>

namespace zonda::postproc {

double nice_step(double range, double parts) {
  if (!(range > 0)) return 1;
  const double rough = range / parts;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0, 10.0})
    if (rough <= factor * power * 1.0001) return factor * power;
  return 10 * power;
}

std::vector<double> covering_levels(double minimum, double maximum, double step) {
  // A bound that is a level up to rounding needs no further one.
  const auto first = static_cast<long>(std::floor(minimum / step + 1e-6));
  auto last = static_cast<long>(std::ceil(maximum / step - 1e-6));
  if (last <= first) last = first + 1;
  std::vector<double> levels;
  for (long i = first; i <= last; ++i) levels.push_back(static_cast<double>(i) * step);
  return levels;
}

std::vector<double> ticks_within(double minimum, double maximum, double step) {
  std::vector<double> ticks;
  for (auto i = static_cast<long>(std::ceil(minimum / step - 1e-6));
       static_cast<double>(i) * step <= maximum + 1e-6 * step; ++i)
    ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::string tick_text(double value) {
  if (std::abs(value) < 1e-300) return "0";
  const double magnitude = std::abs(value);
  std::string text;
  if (magnitude >= 1e5 || magnitude < 1e-3) {
    text = fmt::format("{:.3g}", magnitude);
    // 1e+06 -> 1e6
    if (const auto e = text.find('e'); e != std::string::npos) {
      const int exponent = std::stoi(text.substr(e + 1));
      text = fmt::format("{}e{}", text.substr(0, e),
                         exponent < 0 ? "\u2212" + std::to_string(-exponent) : std::to_string(exponent));
    }
  } else {
    text = fmt::format("{:.6f}", magnitude);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    // Multiples of a step carry rounding: 0.300000 is cut above, 1249.999999 is not a round number.
    const std::string short_text = fmt::format("{:.5g}", magnitude);
    if (short_text.size() < text.size() && short_text.find('e') == std::string::npos) text = short_text;
  }
  return value < 0 ? "\u2212" + text : text;
}

std::string power_text(double value) {
  const double exponent = std::log10(value);
  const long whole = std::lround(exponent);
  if (std::abs(exponent - static_cast<double>(whole)) > 1e-9 || (whole > -3 && whole < 3)) return tick_text(value);
  static const char* const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = whole < 0 ? "10⁻" : "10";
  for (const char digit : std::to_string(std::labs(whole))) text += digits[digit - '0'];
  return text;
}

}  // namespace zonda::postproc
