#pragma once
// Products of int8 matrices with sums in 32 bits, by the instructions that the machine has. Sums are exact, so that all
// kernels give the same integers, and any cut into pieces does.
#include <cstdint>
#include <span>
#include <string_view>

namespace zonda::model::int8 {

inline constexpr std::int64_t kPanel = 64;  ///< columns that a kernel multiplies at a time
inline constexpr std::int64_t kGroup = 8;   ///< the summed dimension is filled up with zeros to a multiple of it

constexpr std::int64_t filled_up(std::int64_t k) {
  return (k + kGroup - 1) / kGroup * kGroup;
}

/// One way to multiply. Both operands are packed: how, only the kernel knows.
struct Kernel {
  std::string_view name;
  std::int64_t left_bytes, right_bytes;  ///< of one number when packed
  /// Rows of `k` numbers of [-127, 127], filled_up(k) numbers apart with zeros between, are packed to `out`.
  void (*pack_left)(const std::int8_t* rows, std::int64_t count, std::int64_t k, std::byte* out);
  /// Columns [0, columns), at most kPanel, of b [k, n], any numbers, to a panel [filled_up(k), kPanel]; `offsets`
  /// [kPanel] is what product() adds to each column's sums.
  void (*pack_right)(const std::int8_t* b, std::int64_t n, std::int64_t columns, std::int64_t k, std::byte* panel,
                     std::int32_t* offsets);
  /// sums [rows, kPanel] = left panel; k is filled up.
  void (*product)(const std::byte* left, const std::byte* panel, const std::int32_t* offsets, std::int64_t rows,
                  std::int64_t k, std::int32_t* sums);
};

/// Those this machine has the instructions for, the fastest last; the first is portable.
std::span<const Kernel> kernels();
/// Throws Error(usage) listing the names.
const Kernel& kernel_named(std::string_view name);
/// The fastest, or the one that the environment variable ZONDA_INT8_KERNEL names when the program first asks.
const Kernel& chosen_kernel();

}  // namespace zonda::model::int8
