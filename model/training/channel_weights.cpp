#include "model/training/channel_weights.hpp"

#include <charconv>
#include <set>

#include "core/error.hpp"

namespace zonda::model {

std::vector<float> channel_weights(std::span<const Channel> channels, std::span<const std::string> overrides,
                                   std::string_view key) {
  std::set<int> levels;
  for (const Channel& channel : channels)
    if (channel.level_hpa > 0) levels.insert(channel.level_hpa);
  double mean = 0;
  for (const int level : levels) mean += level / static_cast<double>(levels.size());
  std::vector<float> weights;
  for (const Channel& channel : channels)
    weights.push_back(channel.level_hpa > 0                        ? static_cast<float>(channel.level_hpa / mean)
                      : channel.variable == "2t" || levels.empty() ? 1.0F
                                                                   : 0.1F);
  return override_weights(std::move(weights), channels, overrides, key);
}

std::vector<float> override_weights(std::vector<float> weights, std::span<const Channel> channels,
                                    std::span<const std::string> overrides, std::string_view key) {
  for (const std::string& text : overrides) {
    const auto equals = text.find('=');
    const std::string name = text.substr(0, equals);
    double value = -1;
    if (equals != std::string::npos) {
      const char* end = text.data() + text.size();
      const auto [rest, error] = std::from_chars(text.data() + equals + 1, end, value);
      if (error != std::errc() || rest != end) value = -1;
    }
    if (value < 0) fail(ErrorKind::usage, "{}: '{}', expected NAME=WEIGHT with a weight from 0 on", key, text);
    bool found = false;
    std::vector<std::string> known;
    for (std::size_t c = 0; c < channels.size(); ++c) {
      known.push_back(channels[c].name());
      if (channels[c].name() != name && channels[c].variable != name) continue;
      weights[c] = static_cast<float>(value);
      found = true;
    }
    if (!found) fail(ErrorKind::usage, "{}: {}", key, unknown_word("channel", name, known));
  }
  return weights;
}

}  // namespace zonda::model
