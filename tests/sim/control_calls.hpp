// The control plane under /sim: the ledger, faults, reset. For tests only; no provider has it, and no key guards it.
#pragma once

#include "world.hpp"

#include <functional>
#include <memory>

namespace sim {

class ControlCalls {
 public:
  /// `reset` replaces the whole world; nothing of the old one may be used after it.
  ControlCalls(std::shared_ptr<World> world, std::function<void()> reset)
      : shared_(std::move(world)), world_(*shared_), reset_(std::move(reset)) {}

  Reply serve(const RequestHead& head, const std::string& body);

 private:
  Reply ledger(const RequestHead& head);
  Reply add_faults(const std::string& body);
  Reply change(const std::string& path, const std::string& body);

  std::shared_ptr<World> shared_;  ///< a long answer needs it to its end
  World& world_;
  std::function<void()> reset_;
};

}  // namespace sim
