#include "model/tensor/arena.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/error.hpp"

namespace zonda::model {

void Arena::begin_plan() {
  pieces_.clear();
  cursor_ = protected_ = peak_ = live_ = 0;
  clock_ = 0;
  planning_ = true;
}

Tensor Arena::take(Shape shape, DType dtype) {
  Tensor tensor(nullptr, shape, dtype, memory_->device());
  tensor.slot = static_cast<std::int32_t>(cursor_);
  const std::size_t bytes = (tensor.bytes() + 63) / 64 * 64;
  if (planning_) {
    pieces_.push_back({bytes, 0, clock_++, -1});
  } else {
    if (cursor_ >= pieces_.size() || pieces_[cursor_].bytes != bytes)
      fail(ErrorKind::failure, "a step takes {} of {} where its memory plan has another piece", shape.to_string(),
           name_of(dtype));
    tensor.data = static_cast<std::byte*>(buffer_.data()) + pieces_[cursor_].offset;
  }
  ++cursor_;
  return tensor;
}

void Arena::release(Tensor& tensor) {
  if (tensor.slot >= 0 && static_cast<std::size_t>(tensor.slot) < protected_) return;
  if (planning_ && tensor.slot >= 0) pieces_[static_cast<std::size_t>(tensor.slot)].last = clock_++;
  tensor = Tensor{};
}

std::size_t Arena::finish_plan() {
  planning_ = false;
  for (Piece& piece : pieces_)
    if (piece.last < 0) piece.last = clock_;

  std::vector<std::pair<std::int64_t, std::int64_t>> events;
  for (const Piece& piece : pieces_) {
    events.emplace_back(piece.first, static_cast<std::int64_t>(piece.bytes));
    events.emplace_back(piece.last, -static_cast<std::int64_t>(piece.bytes));
  }
  std::sort(events.begin(), events.end());
  std::int64_t alive = 0;
  for (const auto& [when, change] : events) {
    alive += change;
    live_ = std::max(live_, static_cast<std::size_t>(std::max<std::int64_t>(alive, 0)));
  }

  std::vector<std::size_t> order(pieces_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return pieces_[a].bytes > pieces_[b].bytes; });
  std::vector<std::size_t> placed;  // sorted by offset
  for (std::size_t i : order) {
    Piece& piece = pieces_[i];
    if (piece.bytes == 0) continue;
    std::size_t end = 0, best = std::numeric_limits<std::size_t>::max(), best_gap = best;
    for (std::size_t j : placed) {
      const Piece& other = pieces_[j];
      if (other.last < piece.first || piece.last < other.first) continue;
      if (other.offset >= end + piece.bytes && other.offset - end < best_gap) {
        best_gap = other.offset - end;
        best = end;
      }
      end = std::max(end, other.offset + other.bytes);
    }
    piece.offset = best == std::numeric_limits<std::size_t>::max() ? end : best;
    peak_ = std::max(peak_, piece.offset + piece.bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                   [&](std::size_t a, std::size_t b) { return pieces_[a].offset < pieces_[b].offset; }),
                  i);
  }
  return peak_;
}

void Arena::allocate() {
  if (buffer_.bytes() < peak_) {
    buffer_ = Buffer();
    buffer_ = Buffer(peak_, *memory_);
  }
}

void Arena::poison() {
  if (buffer_.data()) memory_->fill_bytes(buffer_.data(), 0xff, buffer_.bytes());
}

}  // namespace zonda::model
