// The eight states of a batch and their public names (PROTOCOL.md 6).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sim {

enum class BatchState : std::uint8_t { validating, failed, in_progress, finalizing, completed, expired, cancelling, cancelled };

inline constexpr std::array<std::string_view, 8> batch_state_names = {"validating", "failed",  "in_progress", "finalizing",
                                                                      "completed",  "expired", "cancelling",  "cancelled"};

inline std::string_view name_of(BatchState state) {
  return batch_state_names[static_cast<std::size_t>(state)];
}

inline std::optional<BatchState> batch_state_named(std::string_view name) {
  for (std::size_t i = 0; i < batch_state_names.size(); ++i) {
    if (batch_state_names[i] == name) return static_cast<BatchState>(i);
  }
  return std::nullopt;
}

inline bool terminal(BatchState state) {
  return state == BatchState::failed || state == BatchState::completed || state == BatchState::expired ||
         state == BatchState::cancelled;
}

}  // namespace sim
