#include "model/dynamics/restart_file.hpp"

#include <cstring>
#include <span>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"

namespace zonda::model {
namespace {

constexpr char magic[8] = {'Z', 'O', 'N', 'D', 'A', 'R', 'S', '1'};
constexpr std::size_t identity_length = 64;

/// Numbers stand in the machine's order (little-endian on every machine Zonda is built for), without padding.
struct Header {
  char magic[8];
  char identity[identity_length];
  std::int64_t steps, states_written, states_in_file;
  std::uint64_t count;
  std::int32_t member;
  std::uint32_t spool_checksum;
};
static_assert(sizeof(Header) == 8 + identity_length + 32 + 8);

}  // namespace

void write_restart(const std::filesystem::path& path, const Restart& restart) {
  Header header{};
  std::memcpy(header.magic, magic, sizeof magic);
  std::memcpy(header.identity, restart.identity.data(), std::min(restart.identity.size(), identity_length));
  header.steps = restart.steps;
  header.states_written = restart.states_written;
  header.states_in_file = restart.states_in_file;
  header.count = restart.memory.size();
  header.member = restart.member;
  header.spool_checksum = restart.spool_checksum;
  std::string contents(sizeof header + restart.memory.size() * sizeof(double) + sizeof(std::uint32_t), '\0');
  std::memcpy(contents.data(), &header, sizeof header);
  std::memcpy(contents.data() + sizeof header, restart.memory.data(), restart.memory.size() * sizeof(double));
  const std::size_t body = contents.size() - sizeof(std::uint32_t);
  const std::uint32_t checksum = crc32c(std::as_bytes(std::span(contents.data(), body)));
  std::memcpy(contents.data() + body, &checksum, sizeof checksum);
  write_file(path, contents);
}

Restart read_restart(const std::filesystem::path& path) {
  const std::string contents = read_file(path);
  Header header;
  if (contents.size() < sizeof header + sizeof(std::uint32_t) || std::memcmp(contents.data(), magic, sizeof magic) != 0)
    fail(ErrorKind::data, "{} is no restart file of this version (its first bytes should read {})", path.string(),
         std::string_view(magic, sizeof magic));
  std::memcpy(&header, contents.data(), sizeof header);
  const std::size_t body = contents.size() - sizeof(std::uint32_t);
  if (header.count > contents.size() || body != sizeof header + header.count * sizeof(double))
    fail(ErrorKind::data, "{} is truncated: {} bytes, expected {}", path.string(), contents.size(),
         sizeof header + header.count * sizeof(double) + sizeof(std::uint32_t));
  std::uint32_t checksum;
  std::memcpy(&checksum, contents.data() + body, sizeof checksum);
  if (checksum != crc32c(std::as_bytes(std::span(contents.data(), body))))
    fail(ErrorKind::data, "{} is damaged: its checksum does not fit its contents", path.string());
  Restart restart;
  restart.identity.assign(header.identity, identity_length);
  restart.member = header.member;
  restart.steps = header.steps;
  restart.states_written = header.states_written;
  restart.states_in_file = header.states_in_file;
  restart.spool_checksum = header.spool_checksum;
  restart.memory.resize(header.count);
  std::memcpy(restart.memory.data(), contents.data() + sizeof header, header.count * sizeof(double));
  return restart;
}

}  // namespace zonda::model
