#include "model/training/distillation/student_start.hpp"

#include <algorithm>
#include <string_view>

#include "core/error.hpp"

namespace zonda::model {
namespace {

/// How many equal parts the last dimension of a parameter holds side by side.
std::int64_t parts_of(std::string_view name) {
  if (name.find(".qkv.") != std::string_view::npos) return 3;                              // query, key, value
  if (name.ends_with(".modulation") || name.starts_with("conditioning.shared")) return 6;  // scale, shift, gate twice
  if (name == "head.norm") return 2;                                                       // scale, shift
  return 1;
}

std::string teachers_name(const std::string& name, int every) {
  if (!name.starts_with("block")) return name;
  const std::size_t dot = name.find('.');
  return fmt::format("block{}{}", std::stoi(name.substr(5, dot - 5)) * every, name.substr(dot));
}

/// Rows and columns of a parameter as a matrix: all dimensions but the last, and the last.
struct Matrix {
  std::int64_t rows, columns;
  explicit Matrix(const Shape& shape) : rows(1), columns(shape[shape.rank() - 1]) {
    for (int i = 0; i + 1 < shape.rank(); ++i) rows *= shape[i];
  }
};

/// The leading rows, and of each part the leading columns; rows that the teacher lacks become zero.
void take_leading(const Matrix& from, const float* teacher, const Matrix& to, float* student, std::int64_t parts) {
  const std::int64_t width = to.columns / parts, theirs = from.columns / parts;
  const std::int64_t columns = std::min(width, theirs);
  std::fill_n(student, to.rows * to.columns, 0.0F);
  for (std::int64_t row = 0; row < std::min(to.rows, from.rows); ++row)
    for (std::int64_t part = 0; part < parts; ++part)
      std::copy_n(teacher + row * from.columns + part * theirs, columns, student + row * to.columns + part * width);
}

}  // namespace

NetworkConfig student_network(const NetworkConfig& teacher, const StudentConfig& student, bool levels) {
  const NetworkShape shape = resolve(teacher);
  if (shape.lift > 1)
    fail(ErrorKind::usage, "distill: a lifted network cannot be a teacher of a student of its blocks");
  if (student.every < 1 || student.every > shape.blocks)
    fail(ErrorKind::usage, "distill.student.every: {} of the teacher's {} blocks", student.every, shape.blocks);
  NetworkConfig config = teacher;
  config.lora.reset();
  config.merged_response = levels;
  if (student.adapters) config.lora = LoraConfig{.rank = student.adapters->rank, .edges = student.adapters->edges};
  config.precision = "fp32";
  config.blocks = (shape.blocks + student.every - 1) / student.every;
  const int width = student.width.value_or(shape.width), head = shape.width / shape.heads;
  if (width > shape.width || width % head != 0)
    fail(ErrorKind::usage, "distill.student.width: {}, expected a multiple of the teacher's head size {} up to {}",
         width, head, shape.width);
  config.width = width;
  config.heads = width / head;
  return config;
}

std::vector<std::size_t> matched_blocks(int teacher_blocks, int every) {
  std::vector<std::size_t> matched;
  for (int first = 0; first < teacher_blocks; first += every)
    matched.push_back(static_cast<std::size_t>(std::min(first + every, teacher_blocks) - 1));
  return matched;
}

void start_from_teacher(ForecastNetwork& student, const ForecastNetwork& teacher, const StudentConfig& config,
                        std::uint64_t seed) {
  student.initialise(seed);
  ParameterStore& store = student.parameters();
  const ParameterStore& source = teacher.parameters();
  for (ParameterId id = 0; id < static_cast<ParameterId>(store.list().size()); ++id) {
    const Parameter& p = store.at(id);
    const ParameterId there = source.find(teachers_name(p.name, config.every));
    if (there < 0) continue;
    const Parameter& theirs = source.at(there);
    const Matrix to(p.shape), from(theirs.shape);
    // Kernels of more than two dimensions are taken whole; of the others what is larger than the teacher's may only be
    // the rows of new inputs.
    const bool grows = to.columns > from.columns || (to.rows > from.rows && p.name != "embedding.patch.weight");
    if (p.shape.rank() > 2 ? p.shape != theirs.shape : grows) continue;
    take_leading(from, source.value(there).as<float>(), to, store.value(id).as<float>(), parts_of(p.name));
  }
  store.values_changed();
}

}  // namespace zonda::model
