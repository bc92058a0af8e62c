#pragma once
// Bit-rounding: keeps the leading mantissa bits of a float and zeroes the rest, so that a lossless coder packs the
// field. Source: Klower et al. 2021, "Compressing atmospheric data into its real information content", Nature
// Computational Science 1.
#include <span>

namespace zonda::ingest {

/// Rounds each value in place to `kept_bits` explicit mantissa bits (1..23), to nearest, ties to even. The relative
/// error is at most 2^-(kept_bits + 1). NaN and infinity stay as they are; a finite value never becomes infinite.
void round_mantissa(std::span<float> values, int kept_bits);

}  // namespace zonda::ingest
