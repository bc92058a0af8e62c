#pragma once
// Arena: the memory of activations and scratch, planned before it is used.
//
// The same code runs twice. While planning, take() returns tensors without memory and notes (size, first use, last
// use); finish_plan() places every piece so that pieces alive at the same time do not overlap. While running, the k-th
// take() returns the k-th piece: no allocation, no search. A step whose takes differ from the plan is an error, not a
// wrong answer.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/tensor/buffer.hpp"
#include "model/tensor/tensor.hpp"

namespace zonda::model {

class Arena {
 public:
  explicit Arena(Memory& memory = host_memory()) : memory_(&memory) {}
  void begin_plan();
  /// Places the pieces (largest first, tightest gap) and returns the exact peak in bytes.
  std::size_t finish_plan();
  bool planning() const { return planning_; }

  Tensor take(Shape shape, DType dtype);
  /// Marks the last use of a tensor of this arena; the view becomes none. Protected pieces stay as they are.
  void release(Tensor& tensor);

  /// While planning: pieces taken so far live until the end of the plan, whatever releases them.
  void protect() { protected_ = cursor_; }
  /// Where the next take() stands; rewind() goes back to such a place to run that part (again).
  std::size_t position() const { return cursor_; }
  void rewind(std::size_t position) { cursor_ = position; }

  std::size_t peak_bytes() const { return peak_; }
  /// Lower bound no placement can beat: the largest sum of sizes alive at one moment.
  std::size_t live_bytes() const { return live_; }
  /// Reserves the memory (idempotent). Throws Error(failure) when it is short.
  void allocate();
  void free() { buffer_ = Buffer(); }
  /// Fills the memory with NaN: after it, whoever reads scratch before writing it is found out.
  void poison();

 private:
  struct Piece {
    std::size_t bytes = 0, offset = 0;
    std::int64_t first = 0, last = -1;
  };
  std::vector<Piece> pieces_;
  std::size_t cursor_ = 0, protected_ = 0, peak_ = 0, live_ = 0;
  std::int64_t clock_ = 0;
  bool planning_ = false;
  Memory* memory_;
  Buffer buffer_;
};

}  // namespace zonda::model
