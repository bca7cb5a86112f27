// What lies between a replica and the fakes of its ports: every call goes there and comes back, and either way may take time or
// fail. The fakes know nothing of schedules; whoever runs one brings a wire that does.
#pragma once

#include "runtime/task.hpp"

#include <functional>
#include <string_view>

namespace batchd::simulation {

enum class Passage {
  through,
  refused,  ///< there: nothing left the machine, so that nothing has happened; not possible on the way back
  lost,     ///< there: it left and never arrived; back: it has happened, and the caller will not hear of it
};

class Wire {
 public:
  virtual ~Wire() = default;
  /// Completes when the call of `verb` has arrived or failed; what the verb does happens right then, without a pause.
  virtual Task<Passage> there(std::string_view verb) = 0;
  /// Completes when its answer has arrived or failed.
  virtual Task<Passage> back(std::string_view verb) = 0;
  /// To be called when a call was lost on its way there: what is slow enough to be given up may still arrive. Runs `effect`
  /// (what the verb does, without an answer) at some later time, or never.
  virtual void arrives_late(std::string_view /*verb*/, std::function<void()> /*effect*/) {}
};

/// Everything arrives at once.
class DirectWire final : public Wire {
 public:
  Task<Passage> there(std::string_view) override { co_return Passage::through; }
  Task<Passage> back(std::string_view) override { co_return Passage::through; }
};

}  // namespace batchd::simulation
