#include "assimilation/cycling/cycle_section.hpp"

#include "assimilation/cycling/cycle_config.hpp"

namespace zonda::assimilation {

CycleSection::CycleSection() : config_(std::make_unique<CycleConfig>()) {}
CycleSection::~CycleSection() = default;
CycleSection::CycleSection(const CycleSection& other) : config_(std::make_unique<CycleConfig>(*other.config_)) {}
CycleSection& CycleSection::operator=(const CycleSection& other) {
  *config_ = *other.config_;
  return *this;
}

std::size_t CycleSection::members() const {
  return static_cast<std::size_t>(config_->members);
}

std::optional<std::uint64_t> CycleSection::seed() const {
  if (!config_->observations.synthetic) return std::nullopt;
  return config_->observations.synthetic->seed;
}

void describe(config::Table& table, CycleSection& section) {
  describe(table, section.config());
}

}  // namespace zonda::assimilation
