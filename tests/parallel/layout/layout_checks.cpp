#include "layout/layout_checks.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "parallel/counting.hpp"
#include "parallel/layout/halo_exchange.hpp"
#include "parallel/layout/redistribute.hpp"

namespace zonda::parallel {
namespace {

const Philox noise(11, "layout checks");

std::vector<double> random_values(std::uint64_t stream, std::size_t n) {
  std::vector<double> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = noise.normal(stream * 1'000'003 + i);
  return values;
}

/// Over all ranks.
double dot(const Communicator& c, std::span<const double> a, std::span<const double> b) {
  double sum = std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  c.all_reduce(std::span(&sum, 1), Reduction::sum).wait();
  return sum;
}

/// The data axis takes the ranks that are left.
std::vector<MeshShape> meshes(int ranks) {
  std::vector<MeshShape> shapes;
  for (const char* others : {"", "spatial=2", "spatial=2,tensor=2", "tensor=2,spatial=4"})
    if (ranks % parse_mesh(others).ranks() == 0) shapes.push_back(parse_mesh(others, ranks));
  return shapes;
}

void mesh_groups_and_neighbours(const Communicator& c) {
  for (int data = 1; data <= c.size(); ++data) {
    if (c.size() % data != 0) continue;
    MeshShape shape;
    shape[Axis::data] = data;
    shape[Axis::spatial] = c.size() / data;
    const Mesh mesh(c, shape);
    EXPECT_EQ(shape.rank(shape.coordinates(c.rank())), c.rank());
    for (const Axis axis : mesh_axes) {
      const Communicator& group = mesh.along(axis);
      EXPECT_EQ(group.size(), shape[axis]);
      EXPECT_EQ(group.rank(), mesh.coordinate(axis));
      // Its members are where the coordinates say.
      std::vector<int> members(static_cast<std::size_t>(group.size()));
      const int me = c.rank();
      group.all_gather(std::as_bytes(std::span(&me, 1)), std::as_writable_bytes(std::span(members))).wait();
      auto at = shape.coordinates(c.rank());
      for (int k = 0; k < group.size(); ++k) {
        at[static_cast<std::size_t>(axis)] = k;
        EXPECT_EQ(members[static_cast<std::size_t>(k)], shape.rank(at));
      }
    }
    const int slab = mesh.coordinate(Axis::spatial), slabs = mesh.size(Axis::spatial);
    EXPECT_EQ(mesh.north().has_value(), slab > 0);
    EXPECT_EQ(mesh.south().has_value(), slab < slabs - 1);
    if (mesh.north()) {
      EXPECT_EQ(*mesh.north(), slab - 1);
    }
    if (mesh.south()) {
      EXPECT_EQ(*mesh.south(), slab + 1);
    }
    const std::vector<Axis> both{Axis::data, Axis::spatial};
    const Communicator all = mesh.across(both);
    EXPECT_EQ(all.size(), c.size());
    EXPECT_EQ(all.rank(), c.rank());
  }
  MeshShape wrong;
  wrong[Axis::tensor] = c.size() + 1;
  EXPECT_THROW(Mesh(c, wrong), Error);
}

/// All layouts of three dimensions on the axes of more than one rank.
std::vector<Layout> layouts(const MeshShape& mesh) {
  std::vector<Layout> all{Layout(3)};
  for (const Axis axis : mesh_axes) {
    if (mesh[axis] == 1) continue;
    const std::vector<Layout> before = all;
    for (const Layout& layout : before) {
      all.push_back(layout.with(axis, partial));
      for (std::size_t d = 0; d < 3; ++d)
        if (!layout.axis_of(d)) all.push_back(layout.with(axis, sharded(d)));
    }
  }
  return all;
}

/// Calls `body(from, to, shape)` for pairs of layouts: all of them, or a sample that is the same on all ranks.
void for_pairs(const MeshShape& mesh,
               const std::function<void(const Layout&, const Layout&, std::span<const std::size_t>)>& body) {
  const std::vector<Layout> all = layouts(mesh);
  const std::vector<std::vector<std::size_t>> shapes{{3, 7, 10}, {8, 2, 5}};
  const std::size_t pairs = all.size() * all.size(), step = std::max<std::size_t>(pairs / 60, 1);
  for (std::size_t p = 0; p < pairs; p += step)
    body(all[p / all.size()], all[(p + p / all.size()) % all.size()], shapes[p % 2]);
}

/// The index in the whole tensor of each number that the rank at `at` holds.
std::vector<std::size_t> global_indices(const Layout& layout, std::span<const std::size_t> shape, const MeshShape& mesh,
                                        const std::array<int, 4>& at) {
  std::array<Range, 3> range{};
  for (std::size_t d = 0; d < 3; ++d) range[d] = layout.range(d, shape[d], mesh, at);
  std::vector<std::size_t> indices;
  for (std::size_t i = range[0].begin; i < range[0].end; ++i)
    for (std::size_t j = range[1].begin; j < range[1].end; ++j)
      for (std::size_t k = range[2].begin; k < range[2].end; ++k) indices.push_back((i * shape[1] + j) * shape[2] + k);
  return indices;
}

/// What a rank holds of the tensor of a layout: along partial axes every coordinate has a term of its own.
double term(const Layout& layout, const std::array<int, 4>& at, std::size_t index) {
  std::uint64_t stream = 1;
  for (const Axis axis : mesh_axes)
    stream =
        stream * 9 + (layout[axis] == partial ? static_cast<std::uint64_t>(at[static_cast<std::size_t>(axis)]) : 0);
  return noise.normal(stream * 100'000 + index);
}

/// The tensor that these terms make up.
double whole(const Layout& layout, const MeshShape& mesh, std::size_t index) {
  double sum = 0;
  for (int rank = 0; rank < mesh.ranks(); ++rank) {
    const std::array<int, 4> at = mesh.coordinates(rank);
    bool first = true;  // one rank for each set of partial coordinates
    for (const Axis axis : mesh_axes)
      if (layout[axis] != partial && at[static_cast<std::size_t>(axis)] != 0) first = false;
    if (first) sum += term(layout, at, index);
  }
  return sum;
}

void redistribution_keeps_the_tensor(const Communicator& c) {
  for (const MeshShape& shape_of_mesh : meshes(c.size())) {
    const Mesh mesh(c, shape_of_mesh);
    const auto at = shape_of_mesh.coordinates(c.rank());
    for_pairs(shape_of_mesh, [&](const Layout& from, const Layout& to, std::span<const std::size_t> shape) {
      std::vector<double> local;
      for (const std::size_t index : global_indices(from, shape, shape_of_mesh, at))
        local.push_back(term(from, at, index));
      std::vector<double> moved = redistribute(mesh, shape, from, to, std::span<const double>(local));
      const std::vector<std::size_t> indices = global_indices(to, shape, shape_of_mesh, at);
      ASSERT_EQ(moved.size(), indices.size());
      for (const Axis axis : mesh_axes)
        if (to[axis] == partial) mesh.along(axis).all_reduce(std::span(moved), Reduction::sum).wait();
      for (std::size_t i = 0; i < indices.size(); ++i) {
        ASSERT_NEAR(moved[i], whole(from, shape_of_mesh, indices[i]), 1e-12)
            << to_string(shape_of_mesh) << ": " << from.to_string() << " -> " << to.to_string();
      }
    });
  }
}

void redistribution_has_its_adjoint(const Communicator& c) {
  for (const MeshShape& shape_of_mesh : meshes(c.size())) {
    const Mesh mesh(c, shape_of_mesh);
    const auto at = shape_of_mesh.coordinates(c.rank());
    for_pairs(shape_of_mesh, [&](const Layout& from, const Layout& to, std::span<const std::size_t> shape) {
      // Any numbers, equal nowhere: the adjoint holds for all that the ranks can hold.
      const std::size_t n = global_indices(from, shape, shape_of_mesh, at).size(),
                        m = global_indices(to, shape, shape_of_mesh, at).size();
      const auto stream = static_cast<std::uint64_t>(c.rank());
      const std::vector<double> x = random_values(stream, n), y = random_values(stream + 100, m);
      const auto forward = redistribute(mesh, shape, from, to, std::span<const double>(x));
      const auto backward = redistribute_adjoint(mesh, shape, from, to, std::span<const double>(y));
      ASSERT_EQ(backward.size(), n);
      const double left = dot(c, forward, y), right = dot(c, x, backward);
      const double scale = std::sqrt(dot(c, forward, forward) * dot(c, y, y)) + 1e-300;
      EXPECT_LT(std::abs(left - right) / scale, 1e-12)
          << to_string(shape_of_mesh) << ": " << from.to_string() << " -> " << to.to_string();
    });
  }
}

void redistribution_sends_what_the_formula_says(const Communicator& plain) {
  const auto traffic = std::make_shared<Traffic>();
  const Communicator c = counted(plain, traffic);
  for (const MeshShape& shape_of_mesh : meshes(c.size())) {
    const Mesh mesh(c, shape_of_mesh);
    const auto at = shape_of_mesh.coordinates(c.rank());
    const auto expect_formula = [&](const Layout& from, const Layout& to, std::span<const std::size_t> shape) {
      const std::vector<float> local(global_indices(from, shape, shape_of_mesh, at).size(), 1);
      const std::uint64_t bytes = traffic->bytes(), messages = traffic->messages();
      redistribute(mesh, shape, from, to, std::span<const float>(local));
      const LayoutTraffic sent{traffic->messages() - messages, traffic->bytes() - bytes};
      const LayoutTraffic formula = redistribution_traffic(from, to, shape, sizeof(float), shape_of_mesh, at);
      EXPECT_EQ(sent.bytes, formula.bytes) << from.to_string() << " -> " << to.to_string();
      EXPECT_EQ(sent.messages, formula.messages) << from.to_string() << " -> " << to.to_string();
    };
    for_pairs(shape_of_mesh, expect_formula);
    // Large enough for the sum in segments.
    const std::vector<std::size_t> large{3, 101, 97};
    for (const Axis axis : mesh_axes) expect_formula(Layout(3).with(axis, partial), Layout(3), large);
  }
}

/// The numbers for one axis, written out.
void one_axis_traffic(const Communicator& c) {
  MeshShape mesh;
  mesh[Axis::spatial] = c.size();
  const auto ranks = static_cast<std::uint64_t>(c.size());
  const std::vector<std::size_t> shape{4 * ranks, 8 * ranks, 2};
  const std::uint64_t all = 4 * 8 * 2 * ranks * ranks * sizeof(float);
  const Layout whole_tensor(3), rows = whole_tensor.with(Axis::spatial, sharded(0)),
                                columns = whole_tensor.with(Axis::spatial, sharded(1)),
                                sum = whole_tensor.with(Axis::spatial, partial);
  const auto bytes = [&](const Layout& from, const Layout& to) {
    return redistribution_traffic(from, to, shape, sizeof(float), mesh, mesh.coordinates(c.rank())).bytes;
  };
  EXPECT_EQ(bytes(rows, whole_tensor), all / ranks * (ranks - 1));
  EXPECT_EQ(bytes(rows, columns), all / ranks / ranks * (ranks - 1));
  EXPECT_EQ(bytes(sum, rows), all / ranks * (ranks - 1));
  EXPECT_EQ(bytes(whole_tensor, rows), 0U);
  EXPECT_EQ(bytes(rows, sum), 0U);
}

std::vector<std::vector<std::size_t>> slabs(std::size_t ranks) {
  std::vector<std::vector<std::size_t>> all(3);
  for (std::size_t r = 0; r < ranks; ++r) {
    all[0].push_back(4);
    all[1].push_back(1 + (r * 5) % 4);
    all[2].push_back(r % 3 == 1 ? 0 : 2);  // some have none
  }
  return all;
}

constexpr std::size_t outer = 2, inner = 5;

void halo_holds_the_neighbours_rows(const Communicator& c) {
  const auto rank = static_cast<std::size_t>(c.rank());
  for (const auto& rows : slabs(static_cast<std::size_t>(c.size()))) {
    const std::size_t all = std::accumulate(rows.begin(), rows.end(), std::size_t{0});
    const std::size_t begin = std::accumulate(rows.begin(), rows.begin() + c.rank(), std::size_t{0});
    // Wider than a slab, and than everything.
    for (const std::size_t width : {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{9}, all + 5}) {
      const HaloExchange halo(c, rows, width);
      const auto value = [&](std::size_t o, std::size_t row, std::size_t i) {
        return noise.normal((o * all + row) * inner + i);
      };
      std::vector<double> slab;
      for (std::size_t o = 0; o < outer; ++o)
        for (std::size_t r = begin; r < begin + rows[rank]; ++r)
          for (std::size_t i = 0; i < inner; ++i) slab.push_back(value(o, r, i));
      std::vector<double> extended(outer * halo.extended_rows() * inner, -99);
      halo.exchange(outer, inner, std::span<const double>(slab), std::span(extended)).wait();
      const bool some = rows[rank] > 0;
      EXPECT_EQ(halo.north(), some ? std::min(width, begin) : 0);
      EXPECT_EQ(halo.south(), some ? std::min(width, all - begin - rows[rank]) : 0);
      std::size_t at = 0;
      for (std::size_t o = 0; o < outer; ++o)
        for (std::size_t r = begin - halo.north(); r < begin + rows[rank] + halo.south(); ++r)
          for (std::size_t i = 0; i < inner; ++i) ASSERT_EQ(extended[at++], value(o, r, i)) << "row " << r;
    }
  }
  EXPECT_THROW(HaloExchange(c, std::vector<std::size_t>(static_cast<std::size_t>(c.size()) + 1, 2), 1), Error);
}

void halo_has_its_adjoint(const Communicator& c) {
  const auto rank = static_cast<std::size_t>(c.rank());
  for (const auto& rows : slabs(static_cast<std::size_t>(c.size()))) {
    for (const std::size_t width : {std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
      const HaloExchange halo(c, rows, width);
      const std::vector<double> x = random_values(rank, outer * rows[rank] * inner),
                                y = random_values(rank + 50, outer * halo.extended_rows() * inner);
      std::vector<double> forward(y.size()), backward(x.size());
      // Both at once: nothing waits for the other.
      Event there = halo.exchange(outer, inner, std::span<const double>(x), std::span(forward));
      Event back = halo.adjoint(outer, inner, std::span<const double>(y), std::span(backward));
      back.wait();
      there.wait();
      const double left = dot(c, forward, y), right = dot(c, x, backward);
      EXPECT_LT(std::abs(left - right) / std::sqrt(dot(c, forward, forward) * dot(c, y, y)), 1e-12);
    }
  }
}

void halo_may_lie_on_one_side(const Communicator& plain) {
  const auto traffic = std::make_shared<Traffic>();
  const Communicator c = counted(plain, traffic);
  const auto rank = static_cast<double>(c.rank());
  const HaloExchange halo(c, std::vector<std::size_t>(static_cast<std::size_t>(c.size()), 2), 0, 1);
  const bool last = c.rank() + 1 == c.size();
  EXPECT_EQ(halo.north(), 0U);
  EXPECT_EQ(halo.south(), last ? 0U : 1U);
  const std::vector<double> slab{rank, rank + 0.5};
  std::vector<double> extended(halo.extended_rows()), back(2);
  halo.exchange(1, 1, std::span<const double>(slab), std::span(extended)).wait();
  EXPECT_EQ(traffic->bytes(), c.rank() > 0 ? sizeof(double) : 0);
  EXPECT_EQ(halo.exchange_traffic(1, 1, sizeof(double)).bytes, traffic->bytes());
  if (!last) {
    EXPECT_EQ(extended[2], rank + 1);
  }
  halo.adjoint(1, 1, std::span<const double>(extended), std::span(back)).wait();
  EXPECT_EQ(back[0], c.rank() > 0 ? 2 * rank : rank);
  EXPECT_EQ(back[1], rank + 0.5);
}

void halo_sends_what_the_formula_says(const Communicator& plain) {
  const auto traffic = std::make_shared<Traffic>();
  const Communicator c = counted(plain, traffic);
  const auto rank = static_cast<std::size_t>(c.rank());
  for (const auto& rows : slabs(static_cast<std::size_t>(c.size()))) {
    for (const std::size_t width : {std::size_t{0}, std::size_t{2}, std::size_t{7}}) {
      const HaloExchange halo(c, rows, width);
      std::vector<float> slab(outer * rows[rank] * inner), extended(outer * halo.extended_rows() * inner);
      std::uint64_t bytes = traffic->bytes(), messages = traffic->messages();
      halo.exchange(outer, inner, std::span<const float>(slab), std::span(extended)).wait();
      const HaloExchange::Traffic there = halo.exchange_traffic(outer, inner, sizeof(float));
      EXPECT_EQ(traffic->bytes() - bytes, there.bytes);
      EXPECT_EQ(traffic->messages() - messages, there.messages);
      bytes = traffic->bytes(), messages = traffic->messages();
      halo.adjoint(outer, inner, std::span<const float>(extended), std::span(slab)).wait();
      const HaloExchange::Traffic back = halo.adjoint_traffic(outer, inner, sizeof(float));
      EXPECT_EQ(traffic->bytes() - bytes, back.bytes);
      EXPECT_EQ(traffic->messages() - messages, back.messages);
    }
  }
  // Even slabs: a neighbour on each side that is not beyond a pole.
  const HaloExchange even(c, slabs(static_cast<std::size_t>(c.size()))[0], 2);
  const std::uint64_t neighbours = (c.rank() > 0 ? 1U : 0U) + (c.rank() + 1 < c.size() ? 1U : 0U);
  EXPECT_EQ(even.exchange_traffic(outer, inner, sizeof(float)).bytes, neighbours * 2 * outer * inner * sizeof(float));
  EXPECT_EQ(even.exchange_traffic(outer, inner, sizeof(float)).messages, neighbours);
}

}  // namespace

std::span<const CommunicatorCheck> layout_checks() {
  static const std::vector<CommunicatorCheck> checks{
      {"mesh_groups_and_neighbours", mesh_groups_and_neighbours},
      {"redistribution_keeps_the_tensor", redistribution_keeps_the_tensor},
      {"redistribution_has_its_adjoint", redistribution_has_its_adjoint},
      {"redistribution_sends_what_the_formula_says", redistribution_sends_what_the_formula_says},
      {"one_axis_traffic", one_axis_traffic},
      {"halo_holds_the_neighbours_rows", halo_holds_the_neighbours_rows},
      {"halo_has_its_adjoint", halo_has_its_adjoint},
      {"halo_may_lie_on_one_side", halo_may_lie_on_one_side},
      {"halo_sends_what_the_formula_says", halo_sends_what_the_formula_says},
  };
  return checks;
}

}  // namespace zonda::parallel
