#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "assimilation/diagnostics/pressure_fields.hpp"
#include "core/time.hpp"

namespace zonda::assimilation {

/// The mean of `members` [member][channel, lat, lon] as a CF NetCDF file.
void write_mean_fields(const std::filesystem::path& path, const PressureFields& fields, Time time,
                       const std::vector<std::vector<float>>& members, const std::string& title,
                       const std::string& method);

}  // namespace zonda::assimilation
