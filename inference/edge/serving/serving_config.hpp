#pragma once
#include <string>

#include "core/config/table.hpp"

namespace zonda::edge {

struct ServingConfig {
  std::string address = "127.0.0.1";
  int port = 8080;
  int connections = 32;
  std::string observations = "local";
};

inline void describe(config::Table& table, ServingConfig& c) {
  table.key("address", c.address, "Address to listen on; 0.0.0.0 serves the network beside the station");
  table.key("port", c.port, "TCP port; 0 takes a free one").range(0, 65535);
  table.key("connections", c.connections, "Connections served at a time; as many again wait").range(1, 1000);
  table.key("observations", c.observations, "From where POST /v1/observations is taken")
      .one_of({"local", "any", "none"});
}

}  // namespace zonda::edge
