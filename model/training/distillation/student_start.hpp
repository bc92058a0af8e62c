#pragma once
// What a student begins with: blocks 0, k, 2k ... of the teacher; embedding, position, conditioning and head of the
// teacher as far as sizes fit. Inputs that the teacher does not have begin at zero.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/network/forecast_network.hpp"

namespace zonda::model {

/// A student that differs from another in its adapters alone (LoRA: Hu et al. 2021), so that a station which has that
/// other takes these few numbers more.
struct StudentAdapters {
  int rank = 4;
  std::vector<double> edges;  ///< days; one set of adapters more than edges
};

/// Sizes of a student.
struct StudentConfig {
  int every = 3;                      ///< block i of the student is block i * every of the teacher
  std::optional<int> width;           ///< at most the teacher's, whose head size is kept; default: the teacher's
  std::optional<std::string> from{};  ///< a student of these sizes whose weights it begins with
  std::optional<StudentAdapters> adapters{};
};

/// The student's network; of one with token levels (`levels`) merged tokens answer. Throws Error(usage) for a lifted
/// teacher, or a width that is no whole number of the teacher's heads.
NetworkConfig student_network(const NetworkConfig& teacher, const StudentConfig& student, bool levels = false);

/// Blocks of the teacher whose output the student's blocks are to give: the last of each group of `every`.
std::vector<std::size_t> matched_blocks(int teacher_blocks, int every);

/// Draws the student's weights from `seed`, then takes the teacher's. A narrower student takes the leading channels of
/// the residual stream, whole heads, and the leading hidden numbers. Both networks are on the host.
void start_from_teacher(ForecastNetwork& student, const ForecastNetwork& teacher, const StudentConfig& config,
                        std::uint64_t seed);

}  // namespace zonda::model
