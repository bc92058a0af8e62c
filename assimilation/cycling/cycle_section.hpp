#pragma once
// The `cycle` section of a run file, for those who need not know what is in it.
#include <cstdint>
#include <memory>
#include <optional>

namespace zonda::config {
class Table;
}

namespace zonda::assimilation {

struct CycleConfig;

/// A CycleConfig by value.
class CycleSection {
 public:
  CycleSection();
  ~CycleSection();
  CycleSection(const CycleSection& other);
  CycleSection& operator=(const CycleSection& other);
  CycleConfig& config() { return *config_; }
  const CycleConfig& config() const { return *config_; }
  std::size_t members() const;
  /// Of synthetic observations, where there are any.
  std::optional<std::uint64_t> seed() const;

 private:
  std::unique_ptr<CycleConfig> config_;
};
void describe(config::Table& table, CycleSection& section);

}  // namespace zonda::assimilation
