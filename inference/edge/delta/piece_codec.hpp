#pragma once
// A run of bytes as what it differs by from another run of the same length, or from nothing.
#include <cstddef>
#include <string>
#include <string_view>

namespace zonda::edge {

/// `width`: bytes of a number (1, 2, 4). Differences of the numbers as integers, in byte planes, zstd'ed.
std::string encode_difference(std::string_view from, std::string_view to, std::size_t width);
/// Throws Error(data) unless the frame holds as many bytes as `from`.
std::string decode_difference(std::string_view from, std::string_view frame, std::size_t width,
                              const std::string& name);

/// zstd of bytes, with `likeness` as what they may repeat (an older file of that name, or nothing).
std::string encode_text(std::string_view likeness, std::string_view text);
/// Throws Error(data) unless the frame holds `bytes` bytes.
std::string decode_text(std::string_view likeness, std::string_view frame, std::size_t bytes, const std::string& name);
/// The same where only a bound of its length is known.
std::string decode_text_up_to(std::string_view frame, std::size_t most, const std::string& name);

}  // namespace zonda::edge
