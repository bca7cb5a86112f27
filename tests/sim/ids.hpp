// Names that the provider gives: unguessable, and different in every run, so that a client which remembers an earlier
// run of the simulator can never meet its files again by accident.
#pragma once

#include "hashing.hpp"

#include <random>
#include <string>

namespace sim {

class IdMaker {
 public:
  std::string file_id() { return "file-" + word() + word(); }

  std::string batch_id() {
    const std::string a = word(), b = word();
    return "batch_" + a.substr(0, 8) + '-' + a.substr(8, 4) + "-4" + a.substr(13, 3) + "-8" + b.substr(1, 3) + '-' +
           b.substr(4, 12);
  }

  std::string request_id() { return word() + word(); }

 private:
  std::string word() {
    std::string out;
    append_hex(out, random_());
    return out;
  }

  std::mt19937_64 random_{(std::uint64_t{std::random_device{}()} << 32) ^ std::random_device{}()};
};

}  // namespace sim
